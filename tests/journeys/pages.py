"""The documentation's code blocks, and how the tests run their commands."""

import itertools
import re
import shlex
import subprocess
from pathlib import Path

import httpx

from service import Settings
from service.http.server import running

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def read_page(name):
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page, language):
    """The text of a page's code blocks in one language; "" for fences that name none."""
    return [code for found, code in _FENCE.findall(page) if found == language]


def commands(block):
    """The commands of a block of shell: lines, joined where one ends in a backslash, without comments."""
    lines = block.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def shell_lines(page):
    """The commands of all blocks of shell of a page."""
    return [line for block in blocks(page, "sh") for line in commands(block)]


def request(command, url):
    """Send what a ``curl`` line to localhost:8000 would send to the service at ``url``."""
    words = shlex.split(command)
    options = dict(itertools.pairwise(words))
    address = next(word for word in words if word.startswith("localhost:8000")).replace("localhost:8000", url)
    body = options.get("-d", options.get("--data-binary"))
    if body and body.startswith("@"):
        body = Path(body[1:]).read_text(encoding="utf-8")
    headers = dict([options["-H"].split(": ")]) if "-H" in options else {}
    method = options.get("-X", "POST" if body else "GET")
    return httpx.request(method, address, content=body, headers=headers, trust_env=False)


class Shell:
    """Runs the commands of a page in the current folder: ``mrl`` in this process, ``curl`` against a service it starts.

    Args:
        mrl: the fixture of that name.
        index: the index that ``curl`` reaches.
    """

    def __init__(self, mrl, index="my-index"):
        self._mrl, self._index = mrl, index

    def run(self, lines):
        """Run commands in order; returns what each printed, and the response of each ``curl``."""
        first = next((number for number, line in enumerate(lines) if line.startswith("curl ")), len(lines))
        results = [self.step(line) for line in lines[:first]]
        if first < len(lines):
            settings = Settings(index=Path(self._index), port=0, auth="off", log_level="warning", watch_share=0)
            with running(settings) as url:
                results += [self.step(line, url) for line in lines[first:]]
        return results

    def step(self, line, url=None):
        """Run one command; ``url`` is where ``curl`` goes."""
        program, *arguments = shlex.split(line, comments=True)
        if program == "curl":
            response = request(line, url)
            assert response.is_success, (line, response.text)
            return response
        if program == "mrl":
            if arguments[0] == "serve":
                return None  # ``run`` starts the service for the commands that need it
            status, out, error = self._mrl(*arguments)
            assert status == 0, (line, error)
            return out
        assert program in ("printf", "cp", "mv"), f"the tests do not run {program}: {line}"
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout
