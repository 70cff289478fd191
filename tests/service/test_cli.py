import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from models import AdaptiveRetrievalError

COMMANDS = ["train", "index", "search", "serve", "evaluate", "demo"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        *([name] for name in COMMANDS),
        *(["index", name] for name in ("build", "calibrate", "inspect", "verify", "rollback")),
    ],
)
def test_help_on_every_level(mrl, arguments):
    status, out, _ = mrl(*arguments, "--help")
    assert status == 0
    assert "Usage: mrl" in re.sub(r"\s+", " ", out)
    if not arguments:
        assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("width", [80, 120])
def test_help_fits_the_terminal(width):
    program = [sys.executable, "-m", "service", "index", "build", "--help"]
    environment = {**os.environ, "COLUMNS": str(width)}
    out = subprocess.run(program, capture_output=True, text=True, check=True, env=environment).stdout
    assert max(map(len, out.splitlines())) == width


def test_errors_are_one_line_with_their_notes(monkeypatch, mrl):
    def fail(*_, **__):
        error = AdaptiveRetrievalError("it failed")
        error.add_note("after 3 rows")
        raise error

    monkeypatch.setattr("service.commands.search.Index.open", fail)
    assert mrl("search", "index", "text") == (1, "", "error: it failed; after 3 rows\n")


def test_a_lack_of_memory_is_one_line(monkeypatch, mrl):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("service.commands.search.Index.open", fail)
    expected = "error: out of memory (none is left): give the command more memory, or less data\n"
    assert mrl("search", "index", "text") == (1, "", expected)


def test_ctrl_c_ends_with_status_130(monkeypatch, mrl):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("service.commands.search.Index.open", interrupt)
    status, _, _ = mrl("search", "index", "text")
    assert status == 130


def test_the_command_starts_without_torch():
    program = "import sys; import service.cli; assert 'torch' not in sys.modules, 'torch takes seconds to import'"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path.cwd())
