import os
import re
import shutil
import signal
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest

from service import Settings
from service.commands.serve import serve
from tests.conftest import write_lines
from tests.service.commands.mistakes import check_mistake


def test_every_setting_has_a_flag_except_the_key():
    # A key among the flags could be read from the list of processes.
    assert set(serve.__annotations__) == set(Settings.model_fields) - {"api_key"}


def test_flags_become_settings(mrl, built, monkeypatch):
    taken = []
    monkeypatch.setattr("service.http.server.serve", taken.append)
    monkeypatch.setenv("MRL_MAX_K", "7")
    flags = ["--port", "0", "--cors-origins", "https://a.example", "--cors-origins", "https://b.example", "--traces"]
    assert mrl("serve", built, "--auth", "off", *flags)[0] == 0
    (settings,) = taken
    assert (settings.index, settings.port, settings.max_k, settings.traces) == (built, 0, 7, True)
    assert settings.cors_origins == ("https://a.example", "https://b.example")


def test_help_names_the_environment_variable_and_the_default(mrl):
    out = " ".join(mrl("serve", "--help")[1].split())
    assert "[env: MRL_PORT] [default: 8000]" in out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["serve", "/no/index"], 1, "no index is published at /no/index"),
        (["serve"], 1, "no index given: name its directory, or set MRL_INDEX"),
        (["serve", "x", "--port", "99999"], 1, "port 99999: .*flag --port, MRL_PORT"),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(mrl, tmp_path, built, arguments, status, message):
    corpus = write_lines(tmp_path / "corpus.jsonl", [{"_id": "a", "text": "w1"}])
    filled = [argument.format(corpus=corpus, tmp=tmp_path, index=built) for argument in arguments]
    check_mistake(mrl(*filled), status, message)


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "service", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def test_serve_answers_and_stops_on_sigterm(built):
    process = start("serve", built, "--port", "0", "--auth", "off")
    try:
        port = None
        for line in process.stderr:
            if match := re.search(r"running on http://127.0.0.1:(\d+)", line):
                port = int(match[1])
                break
        deadline = time.monotonic() + 30
        while httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/search", json={"query": "w1", "k": 1}, trust_env=False)
        assert len(answer.json()["results"]) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()


def test_serve_fails_with_the_reason_if_the_index_is_damaged(built, tmp_path):
    index = tmp_path / "index"
    shutil.copytree(built, index)
    np.save(index / "generations" / "000001" / "vectors.npy", np.zeros(3))
    process = start("serve", index, "--port", "0", "--auth", "off")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.rstrip().splitlines()[-1].startswith("error: ")
    assert "vectors.npy has" in err
    assert "Traceback" not in err
