"""The quickstart of README and the pages it leads to: every command and example runs, in the order of the page."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from service.cli import app
from tests.journeys.pages import PAGES, ROOT, Shell, blocks, commands, read_page, shell_lines

README = read_page("README.md")
ROOMS = ("models", "indexer", "service")


def run_examples(page, name):
    for program in blocks(page, "python"):
        exec(compile(program, name, "exec"), {})


@pytest.fixture
def shell(mrl, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Shell(mrl)


def test_the_quickstart_works_from_an_empty_folder(shell, capsys):
    lines = shell_lines(README)
    results = dict(zip(lines, shell.run(lines), strict=True))
    found = next(result for line, result in results.items() if line.startswith("mrl search"))
    assert re.match(r" *1 +0\.27\d+ +1 Tides$", found.splitlines()[0])
    answer = next(result for line, result in results.items() if line.startswith("curl")).json()
    assert answer["results"][0]["id"] == "1"
    assert answer["plan"]["promise"]["met"]
    capsys.readouterr()
    run_examples(README, "README.md")
    assert capsys.readouterr().out.startswith("1 0.27")


def test_the_commands_of_indexing_and_searching_work(shell):
    shell.run(shell_lines(read_page("docs/index-and-search.md")))
    assert (Path("backup") / "CURRENT").exists()


def test_the_examples_of_the_python_page_work(shell, capsys):
    shell.run([line for line in shell_lines(README) if line.startswith("printf")][:1])
    run_examples(read_page("docs/python.md"), "docs/python.md")
    out = capsys.readouterr().out
    assert out.startswith("3\n1 0.27")
    assert "(2, 64)" in out


def named_commands(text):
    """Every ``mrl`` command of a page, in code blocks and in sentences, as words."""
    lines = re.findall(r"`(mrl [^`]+)`", text)
    lines += [line for language in ("sh", "") for block in blocks(text, language) for line in commands(block)]
    for line in lines:
        if match := re.match(r"mrl +(.*)", line.replace("\n", " ")):
            yield shlex.split(match[1].replace("…", ""), comments=True)


def options_of(command):
    """The options of a command."""
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def all_options(command):
    """The options of a command and of all commands below it."""
    below = getattr(command, "commands", {}).values()
    return options_of(command).union(*map(all_options, below))


OTHER_OPTIONS = {"--help", "--profile"}
"""What every command has, and docker-compose's."""


def test_the_example_of_the_training_page_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_examples(read_page("docs/training.md"), "docs/training.md")
    assert "(8, 16, 32, 64, 128, 256)" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_options_named_without_their_command_exist(page):
    named = set(re.findall(r"`(--[a-z][a-z-]+)", page.read_text(encoding="utf-8")))
    assert named <= all_options(typer.main.get_command(app)) | OTHER_OPTIONS


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_commands_and_options_that_a_page_names_exist(page):
    root = typer.main.get_command(app)
    for words in named_commands(page.read_text(encoding="utf-8")):
        command, rest = root, list(words)
        while isinstance(command, typer.core.TyperGroup) and rest and rest[0].islower():
            assert rest[0] in command.commands, words
            command = command.commands[rest.pop(0)]
        named = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert named <= options_of(command), words


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_places_in_the_code_that_a_page_names_exist(page):
    named = re.findall(
        r"`((?:models|indexer|service|tests|docker|benchmarks)/[\w./-]*)`", page.read_text(encoding="utf-8")
    )
    missing = [place for place in named if not (ROOT / place).exists()]
    assert not missing


def test_the_table_of_rooms_names_every_folder():
    named = set(re.findall(r"`([\w/]+)/`", read_page("docs/design.md").partition("### Where")[0]))
    packages = {path.parent.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).glob("*/*.py")}
    missing = {package.as_posix() for package in packages} - named
    assert not missing


def test_make_targets_and_linked_files_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), (page.name, target)
        for link, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
            path = (page.parent / link) if link else page
            assert path.exists(), (page.name, link)
            if anchor:
                assert anchor in anchors(path.read_text(encoding="utf-8")), (page.name, link, anchor)


def anchors(text):
    """The fragments of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
