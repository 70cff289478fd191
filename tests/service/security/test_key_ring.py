import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import DataError, InvalidOptionError
from service import Settings
from service.security.key_ring import KeyRing
from service.security.keys import create_key, revoke_key

STRONG = "k7Qw-29_fhZpL0mXbT4sVd"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only as the test says."""
    now = [100.0]
    monkeypatch.setattr("service.security.key_ring.monotonic", lambda: now[0])
    return now


def ring_of(**settings):
    return KeyRing.from_settings(Settings(index="x", **settings))


def test_a_changed_file_is_reloaded_after_a_second(file, clock):
    first = create_key(file, "first", ["read"]).encode()
    ring = ring_of(keys=file)
    assert ring.find(first).name == "first"
    second = create_key(file, "second", ["read"]).encode()
    revoke_key(file, "first")
    clock[0] += 0.5
    assert ring.find(second) is None
    assert ring.find(first).name == "first"
    clock[0] += 0.6
    assert ring.find(second).name == "second"
    assert ring.find(first) is None


@pytest.mark.parametrize("damage", [lambda file: file.write_text("{"), lambda file: file.unlink()])
def test_a_damaged_file_leaves_the_keys_valid_and_is_logged_once(file, clock, caplog, damage):
    secret = create_key(file, "a", ["read"]).encode()
    ring = ring_of(keys=file)
    damage(file)
    for _ in range(3):
        clock[0] += 2
        assert ring.find(secret).name == "a"
    assert caplog.text.count("keeping the API keys read before") == 1
    file.unlink(missing_ok=True)
    other = create_key(file, "b", ["read"]).encode()
    clock[0] += 2
    assert ring.find(other).name == "b"
    assert ring.find(secret) is None


def test_keys_of_the_environment_and_of_a_secret_file_have_every_scope(tmp_path, clock):
    held = tmp_path / "secret"
    held.write_text(STRONG + "\n")
    for ring in (ring_of(api_key=STRONG), ring_of(api_key_file=held)):
        assert ring.find(STRONG.encode()).scopes == {"read", "write"}
        assert ring.find(STRONG[:-1].encode()) is None
    held.write_text(STRONG[::-1])
    clock[0] += 2
    assert ring.find(STRONG.encode()) is None
    assert ring.find(STRONG[::-1].encode()).name == "api-key"


def test_the_environment_variable_is_read_and_not_shown(monkeypatch):
    monkeypatch.setenv("MRL_API_KEY", STRONG)
    settings = Settings(index="x")
    assert STRONG not in repr(settings)
    assert KeyRing.from_settings(settings).find(STRONG.encode())


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ("", "it has 0 characters"),
        ("changeme", "it has 8 characters; the minimum is 20"),
        ("CHANGEME-changeme-ChangeMe", "without common words"),
        ("my-secret-password-1234", "without common words"),
        ("abababababababababababab", "it has 2 distinct characters; the minimum is 8"),
        ("with a space in the middle of it", "spaces, control characters"),
        ("schlüssel-der-lang-genug-wäre", "non-ASCII"),
    ],
)
def test_weak_secrets_are_refused_and_not_repeated(tmp_path, secret, message):
    held = tmp_path / "held"
    held.write_text(secret)
    for source in ({"api_key": secret}, {"api_key_file": held}):
        with pytest.raises(InvalidOptionError, match=message) as refused:
            ring_of(**source)
        assert not secret or secret not in str(refused.value)


def test_without_a_key_the_message_gives_both_remedies(file):
    ways = "create one with mrl keys create NAME .* serve with --keys .* with --auth off"
    with pytest.raises(InvalidOptionError, match=f"no API key is given: {ways}"):
        ring_of()
    create_key(file, "old", ["read"], datetime.now(UTC) - timedelta(days=1))
    with pytest.raises(InvalidOptionError, match=f"no valid key in {re.escape(str(file))}: {ways}"):
        ring_of(keys=file)
    with pytest.raises(InvalidOptionError, match="give only one"):
        ring_of(api_key=STRONG, api_key_file=file)
    with pytest.raises(DataError, match="cannot read the API key in /no/file"):
        ring_of(api_key_file="/no/file")


@given(st.binary(max_size=80))
def test_no_other_bytes_find_a_key(presented):
    assert (ring_of(api_key=STRONG).find(presented) is not None) == (presented == STRONG.encode())
