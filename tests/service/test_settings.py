import pytest
from pydantic import ValidationError

from service import Settings
from service.commands.serve import serve


def test_settings_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("MRL_INDEX", "/data/index")
    monkeypatch.setenv("MRL_MAX_K", "7")
    settings = Settings()
    assert (str(settings.index), settings.max_k, settings.host) == ("/data/index", 7, "127.0.0.1")
    assert Settings(index="/other").index.name == "other", "what is given wins"


@pytest.mark.parametrize(("name", "value"), [("port", 70_000), ("threads", 0), ("log_level", "loud"), ("unknown", 1)])
def test_impossible_settings_are_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        Settings(index="x", **{name: value})


def test_every_setting_has_a_flag_and_a_description():
    flags = set(serve.__annotations__) - {"return"}
    # A key among the flags could be read in the list of processes.
    assert flags == set(Settings.model_fields) - {"api_key"}
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/", "https://*.example", "null"])
def test_invalid_origins_are_refused(origin):
    with pytest.raises(ValidationError, match="give origins such as"):
        Settings(index="x", cors_origins=origin)


def test_lists_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("MRL_CORS_ORIGINS", "https://a.example, http://b.example:3000")
    monkeypatch.setenv("MRL_ALLOWED_HOSTS", "a.example")
    read = Settings(index="x")
    assert read.cors_origins == ("https://a.example", "http://b.example:3000")
    assert read.allowed_hosts == ("a.example",)
    assert Settings(index="x", allowed_hosts=["a", "b,c"]).allowed_hosts == ("a", "b", "c")
