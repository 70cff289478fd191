"""A served index, an index to change, a runner of the command, and what is logged."""

import json
import logging
import shutil
import sys

import httpx
import pytest

from indexer import Index
from models.training.options import TrainingOptions
from service import Settings, cli
from service.demo import run
from service.demo.docstrings import Docstring
from service.http.server import running
from service.telemetry.logs import JsonLines
from tests.conftest import make_texts


@pytest.fixture(scope="session")
def url(built):
    """A served index that all tests share: it must not be changed. To change one, use ``own_client`` or ``root``."""
    # Without the watch, which would write into a directory that other tests copy.
    with running(Settings(index=built, port=0, auth="off", log_level="warning", watch_share=0)) as address:
        yield address


@pytest.fixture(scope="session")
def opened(built):
    """The index behind ``url``, opened in this process. It must not be changed either."""
    with Index.open(built) as index:
        yield index


@pytest.fixture
def client(url):
    with httpx.Client(base_url=url, trust_env=False) as opened:
        yield opened


@pytest.fixture
def address(url):
    """Host and port of the shared service."""
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


@pytest.fixture
def root(built, tmp_path):
    """An index directory of this test's own."""
    shutil.copytree(built, tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def own_client(root):
    """A client of a service over ``root``."""
    settings = Settings(index=root, port=0, auth="off", log_level="warning", watch_share=0, max_body_bytes=1 << 20)
    with running(settings) as address, httpx.Client(base_url=address, trust_env=False) as opened:
        yield opened


@pytest.fixture
def mrl(monkeypatch, capsys):
    """Run ``mrl`` in this process; return (exit status, standard output, standard error)."""

    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["mrl", *map(str, arguments)])
        # The tests' own terminal must not decide how wide a message is.
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run_command


@pytest.fixture
def small_demo(monkeypatch, model_directory):
    """Make the demonstration small: a tiny model and docstrings made up; return their number."""
    words = make_texts(120, seed=5)
    made = [
        Docstring(f"m.f{i}", "function", f"{text}.\n\n{text} {words[(i + 1) % len(words)]} and more words.")
        for i, text in enumerate(words)
    ]
    monkeypatch.setattr(run, "read_docstrings", lambda most: made[:most])
    monkeypatch.setattr(run, "BASE", str(model_directory))
    monkeypatch.setattr(run, "QUERIES", ("w1 w2", "w3"))
    monkeypatch.setattr(run, "_OPTIONS", TrainingOptions(epochs=1, batch_size=32))
    return len(made)


class _Collected(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(json.loads(JsonLines().format(record)))


@pytest.fixture
def log_lines(caplog):
    """Return what the JSON format writes for a logger."""
    caplog.set_level("INFO", logger="mrl")
    handler = _Collected()
    logging.getLogger("mrl").addHandler(handler)
    yield lambda name="mrl.access": [line for line in handler.lines if line["logger"] == name]
    logging.getLogger("mrl").removeHandler(handler)
