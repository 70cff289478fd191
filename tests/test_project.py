"""What holds for the project as a whole: who imports whom, what is exported, and that the README tells the truth."""

import ast
import json
import re
import shlex
from pathlib import Path

import httpx
import numpy as np
import pytest

import indexer
import models
import service
from service.cli import app
from service.http.server import running
from service.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
ROOMS = ("models", "indexer", "service")


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room):
    above = ROOMS[ROOMS.index(room) + 1 :]
    for path in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in (*above, "tests", "benchmarks")], path


@pytest.mark.parametrize("package", [models, indexer, service])
def test_public_names_exist_and_are_documented(package):
    assert package.__all__ == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name).__doc__


def test_no_unpickling():
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\bimport pickle|pickle\.load|torch\.load\(|allow_pickle=True|joblib", text), path


@pytest.fixture(scope="module")
def readme_index(tmp_path_factory):
    """The README's own corpus, written and indexed by its own commands."""
    root = tmp_path_factory.mktemp("readme")
    rows = [json.loads(line) for line in re.findall(r"'(\{\"_id\".*?\})'", README)]
    assert [row["_id"] for row in rows] == ["1", "2", "3", "4"]
    (root / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:3]))
    (root / "more.jsonl").write_text(json.dumps(rows[3]) + "\n")
    return root


def test_the_python_example_runs_and_the_curl_examples_are_answered(readme_index, monkeypatch, capsys):
    monkeypatch.chdir(readme_index)
    (program,) = (code for language, code in BLOCKS if language == "python")
    exec(compile(program, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("1 0.27")
    shown = json.loads(next(code for language, code in BLOCKS if language == "json"))
    commands = re.findall(r"^curl (.*?[^\\])$", "\n".join(code for _, code in BLOCKS), re.MULTILINE | re.DOTALL)
    assert len(commands) == 8
    with running(Settings(index=Path("my-index"), port=0, auth="off", log_level="warning")) as url:
        for number, command in enumerate(commands):
            words = shlex.split(command.replace("\\\n", ""))
            address = next(word for word in words if word.startswith("localhost:8000")).replace("localhost:8000", url)
            body = next((words[i + 1] for i, word in enumerate(words) if word in ("-d", "--data-binary")), None)
            if body and body.startswith("@"):
                body = Path(body[1:]).read_text()
            method = words[words.index("-X") + 1] if "-X" in words else "POST" if body else "GET"
            headers = dict([words[words.index("-H") + 1].split(": ")]) if body else {}
            response = httpx.request(method, address, content=body, headers=headers, trust_env=False)
            assert response.status_code == (201 if method == "PUT" else 200), command
            if number == 0:
                answer = response.json()
                assert answer.keys() == shown.keys()
                for ours, theirs in zip(answer["results"], shown["results"], strict=True):
                    assert (ours["id"], ours["payload"]) == (theirs["id"], theirs["payload"])
                    np.testing.assert_allclose(ours["score"], theirs["score"], atol=1e-4)
                for plan in (answer["plan"], shown["plan"]):
                    plan["promise"].pop("milliseconds")  # another machine, another time
                assert answer["plan"] == shown["plan"]
                assert [stage["name"] for stage in answer["stages"]] == [stage["name"] for stage in shown["stages"]]


def test_the_commands_the_readme_names_exist(mrl_commands):
    named = set(re.findall(r"\bmrl (?:(index) ([a-z]+)|([a-z]+))", README))
    assert named
    for group, sub, command in named:
        assert (sub in mrl_commands[group]) if group else command in mrl_commands


def test_the_readme_names_make_targets_and_files_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / link).exists(), link


@pytest.fixture(scope="module")
def mrl_commands():
    import typer

    group = typer.main.get_command(app)
    return {name: set(getattr(command, "commands", {})) for name, command in group.commands.items()}
