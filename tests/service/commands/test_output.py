import json

import pytest

from service.commands.output import ProgressDisplay, fail, human_bytes, note, note_skipped, print_json, print_table


def test_messages_go_to_standard_error_without_markup(capsys):
    note("[bold]plain[/bold] :smile:")
    fail("broken [1]")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "[bold]plain[/bold] :smile:\nerror: broken [1]\n")


@pytest.mark.parametrize(
    ("count", "last"), [(1, "skipped a0: bad"), (10, "skipped a9: bad"), (12, "skipped 2 more rows")]
)
def test_at_most_ten_skipped_items_are_listed(capsys, count, last):
    note_skipped([(f"a{i}", "bad") for i in range(count)], "rows")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "skipped a0: bad"
    assert (len(lines), lines[-1]) == (min(count, 11), last)


def test_json_keeps_unicode(capsys):
    print_json({"text": "größer"})
    out = capsys.readouterr().out
    assert "größer" in out
    assert json.loads(out) == {"text": "größer"}


def test_a_table_is_not_wrapped_in_a_narrow_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "20")
    print_table(("name", "value"), [("x" * 40, "1"), ("[red]:smile:", "22")], "title")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "title"
    assert "x" * 40 in lines[4]
    assert lines[5].startswith("│ [red]:smile: "), "cells are no markup"
    assert lines[5].endswith("│    22 │"), "numbers are right-aligned"


def test_a_display_starts_and_stops(capsys):
    with ProgressDisplay() as display:
        display._bar.add_task("step", total=2, facts="2 rows/s")
        assert display._bar.live.is_started
    assert not display._bar.live.is_started
    assert "step" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 KB"), (2_000_000, "2.0 MB"), (3e9, "3.0 GB"), (4e12, "4.0 TB")],
)
def test_bytes_have_a_decimal_unit(size, text):
    assert human_bytes(size) == text
