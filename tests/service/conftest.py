"""A served index and a runner of the command."""

import sys

import httpx
import pytest

from service import Settings, cli
from service.http.server import running


@pytest.fixture(scope="session")
def url(built):
    # Without the watch, which would write into a directory that other tests copy.
    with running(Settings(index=built, port=0, auth="off", log_level="warning", watch_share=0)) as address:
        yield address


@pytest.fixture
def client(url):
    with httpx.Client(base_url=url, trust_env=False) as opened:
        yield opened


@pytest.fixture
def mrl(monkeypatch, capsys):
    """Run ``mrl`` in this process; return (exit status, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mrl", *map(str, arguments)])
        # The tests' own terminal must not decide how wide a message is.
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run
