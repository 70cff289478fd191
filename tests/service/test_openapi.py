import json
from pathlib import Path

from service import openapi

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_committed_document_is_that_of_the_application():
    current = openapi.document()
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
    for part in ("paths", "components"):
        names = {name for name in current[part] if current[part][name] != committed[part].get(name)}
        names |= committed[part].keys() - current[part].keys()
        assert not names, f"docs/openapi.json is old in {part}: {sorted(names)}; write it anew with: make openapi"
    assert current == committed, "docs/openapi.json is old; write it anew with: make openapi"


def test_the_document_is_written_whatever_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MRL_AUTH", "off")
    monkeypatch.setenv("MRL_API_KEY_FILE", str(tmp_path / "none"))
    monkeypatch.setattr("sys.argv", ["openapi", str(tmp_path / "openapi.json")])
    openapi.main()
    written = json.loads((tmp_path / "openapi.json").read_text(encoding="utf-8"))
    assert written == openapi.document()
    assert written["security"]


def test_the_document_goes_to_standard_output_where_no_file_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["openapi"])
    openapi.main()
    assert json.loads(capsys.readouterr().out)["info"]["title"]
