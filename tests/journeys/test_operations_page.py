"""The commands of docs/operations.md, run in their order, and the alerts, settings and files that the page names."""

import re
import shutil
from pathlib import Path

import pytest

from indexer import Document, Generations, Index
from indexer.updates import Updates, update_facts
from service import Settings
from service.http.server import running
from service.security.keys import create_key, read_keys
from tests.journeys.pages import ROOT, Shell, read_page, shell_lines
from tests.service.applications import build_again

PAGE = read_page("docs/operations.md")
COMMANDS = shell_lines(PAGE)


@pytest.fixture
def place(built, tmp_path, monkeypatch):
    """A folder with an index of two generations and updates, and a key file."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(built, "my-index")
    build_again(tmp_path / "my-index", 50)
    with Updates.open("my-index") as updates:
        updates.upsert([Document("kept", "w1 w2", {"text": "w1 w2"})])
    create_key(Path("keys.json"), "search-page", ["read"])
    return tmp_path


@pytest.fixture
def run(mrl):
    shell = Shell(mrl)

    def step(command, url=None):
        result = shell.step(command, url)
        if command.startswith("curl"):
            assert result.status_code == 200, (command, result.text)

    return step


def test_every_command_of_the_page_works(place, run):
    index, lost = Path("my-index"), Path("my-index.lost")
    end = COMMANDS.index("cp -a backups/tuesday my-index") + 2
    for command in COMMANDS[:end]:
        run(command)
    for backup in (Path("backups/monday"), Path("backups/tuesday"), Path("elsewhere"), index):
        assert (Generations(backup).published(), update_facts(backup).documents) == ("000002", 51)
    # It was not lost, and goes on with its earlier generation.
    shutil.rmtree(index)
    lost.rename(index)
    assert len(COMMANDS) > end + 10
    with running(Settings(index=index, port=0, auth="off", log_level="error", watch_share=0)) as url:
        for command in COMMANDS[end:]:
            run(command, url)
    with Index.open(index, verify="all") as opened:
        assert opened.generation == "000003", "compacted at the end"
        assert opened.get(["kept"])
    assert {path.name for path in Path("backups").iterdir()} == {"monday", "tuesday", "before-upgrade"}
    assert [key.name for key in read_keys(Path("keys.json"))] == ["search-page-2"]


def test_a_lost_index_s_journal_can_be_kept_as_the_page_says(place, mrl):
    assert mrl("index", "snapshot", "my-index", "copy")[0] == 0
    with Updates.open("my-index") as updates:
        updates.upsert([Document("later", "w1", {"text": "w1"})])
    Path("my-index").rename("my-index.lost")
    Path("copy").rename("my-index")
    shutil.rmtree("my-index/journal")
    shutil.copytree("my-index.lost/journal", "my-index/journal")
    assert mrl("index", "verify", "my-index")[0] == 0
    with Index.open("my-index", verify="all") as index:
        assert len(index.get(["kept", "later"])) == 2


def test_every_alert_has_its_paragraph():
    alerts = re.findall(r"- alert: (\w+)", (ROOT / "docker" / "monitor" / "alerts.yml").read_text(encoding="utf-8"))
    assert alerts
    assert re.findall(r"^\*\*(\w+)\*\*: ", PAGE, re.MULTILINE) == alerts


def test_the_files_that_the_page_names_exist():
    for path in re.findall(r"`((?:docker|tests)/[\w./-]*)`", PAGE):
        assert (ROOT / path).exists(), path
