import json
import os
import re
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DataError, InvalidOptionError
from service import Settings
from service.security.key_ring import KeyRing
from service.security.keys import Key, create_key, read_keys, revoke_key

STRONG = "k7Qw-29_fhZpL0mXbT4sVd"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only as the test says."""
    now = [100.0]
    monkeypatch.setattr("service.security.key_ring.time.monotonic", lambda: now[0])
    return now


def ring_of(**settings):
    return KeyRing.from_settings(Settings(index="x", **settings))


class TestFile:
    def test_it_holds_hashes_and_no_keys_and_only_its_owner_reads_it(self, file):
        secret = create_key(file, "search", ["read"])
        assert re.fullmatch(r"mrl_[A-Za-z0-9_-]{43}", secret)
        assert secret[4:] not in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        (key,) = read_keys(file)
        assert (key.name, key.scopes, key.expires) == ("search", {"read"}, None)
        assert key.matches(secret.encode())
        assert not key.matches(secret[:-1].encode())
        assert list(file.parent.iterdir()) == [file], "nothing half-written is left"

    def test_equal_secrets_have_different_hashes(self):
        first, second = (Key.from_secret(STRONG, "a", ["read"]) for _ in range(2))
        assert first.sha256 != second.sha256
        assert first.matches(STRONG.encode())
        assert second.matches(STRONG.encode())

    def test_names_are_unique_and_checked(self, file):
        create_key(file, "a", ["read"])
        with pytest.raises(
            InvalidOptionError, match="already has a key of this name; revoke it or choose another name"
        ):
            create_key(file, "a", ["write"])
        for name in ("", "a b", "ä", "a" * 65, "a\n"):
            with pytest.raises(InvalidOptionError, match="allowed are 1 to 64 of"):
                create_key(file, name, ["read"])
        assert [key.name for key in read_keys(file)] == ["a"]

    def test_revoked_is_gone(self, file):
        create_key(file, "a", ["read"])
        create_key(file, "b", ["read", "write"])
        revoke_key(file, "a")
        assert [key.name for key in read_keys(file)] == ["b"]
        with pytest.raises(InvalidOptionError, match=r"no such key in .*; its keys are: b"):
            revoke_key(file, "a")

    def test_keys_made_at_the_same_time_are_all_kept(self, file):
        makers = [threading.Thread(target=create_key, args=(file, f"k{i}", ["read"])) for i in range(8)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        assert {key.name for key in read_keys(file)} == {f"k{i}" for i in range(8)}

    def test_a_link_stays_a_link(self, file, tmp_path):
        link = tmp_path / "link.json"
        link.symlink_to(file)
        create_key(link, "a", ["read"])
        assert link.is_symlink()
        assert [key.name for key in read_keys(file)] == ["a"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "the file: Invalid JSON"),
            ("[]", "is not a key file: the file"),
            ('{"version": 2, "keys": []}', "version: Input should be 1"),
            ('{"keys": [{"name": "a"}]}', "keys.0.scopes: Field required"),
            ('{"keys": [], "more": 1}', "more: Extra inputs"),
        ],
    )
    def test_what_is_no_key_file_is_refused(self, file, content, message):
        file.write_text(content)
        with pytest.raises(DataError, match=message):
            read_keys(file)
        with pytest.raises(DataError, match=message):
            create_key(file, "a", ["read"])
        assert file.read_text() == content

    def test_a_name_twice_is_refused(self, file):
        create_key(file, "a", ["read"])
        held = json.loads(file.read_text())
        file.write_text(json.dumps({**held, "keys": held["keys"] * 2}))
        with pytest.raises(DataError, match="two keys have the same name"):
            read_keys(file)

    def test_a_missing_file_or_folder_is_told(self, file, tmp_path):
        with pytest.raises(DataError, match=r"no key file at .*: create one with mrl keys create NAME"):
            read_keys(file)
        with pytest.raises(DataError, match=r"cannot change key file .*No such file or directory"):
            create_key(tmp_path / "no" / "keys.json", "a", ["read"])


class TestRing:
    def test_a_changed_file_is_taken_in_after_a_second(self, file, clock):
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
    def test_a_damaged_file_leaves_the_keys_in_force_and_is_logged_once(self, file, clock, caplog, damage):
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

    def test_keys_of_the_environment_and_of_a_secret_file_have_every_scope(self, tmp_path, clock):
        held = tmp_path / "secret"
        held.write_text(STRONG + "\n")
        for ring in (ring_of(api_key=STRONG), ring_of(api_key_file=held)):
            assert ring.find(STRONG.encode()).scopes == {"read", "write"}
            assert ring.find(STRONG[:-1].encode()) is None
        held.write_text(STRONG[::-1])
        clock[0] += 2
        assert ring.find(STRONG.encode()) is None
        assert ring.find(STRONG[::-1].encode()).name == "api-key"

    def test_the_environment_variable_is_read_and_not_shown(self, monkeypatch):
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
    def test_weak_secrets_are_refused_and_not_repeated(self, tmp_path, secret, message):
        held = tmp_path / "held"
        held.write_text(secret)
        for source in ({"api_key": secret}, {"api_key_file": held}):
            with pytest.raises(InvalidOptionError, match=message) as refused:
                ring_of(**source)
            assert not secret or secret not in str(refused.value)

    def test_without_a_key_both_ways_out_are_told(self, file):
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
    def test_no_other_bytes_find_a_key(self, presented):
        ring = RING
        assert (ring.find(presented) is not None) == (presented == STRONG.encode())


RING = ring_of(api_key=STRONG)


class TestCommand:
    def test_create_list_revoke(self, mrl, file, monkeypatch):
        status, secret, err = mrl("keys", "create", "ci", "--scope", "read", "--scope", "write", "--keys", file)
        assert status == 0
        assert "cannot be shown again" in err
        monkeypatch.setenv("MRL_KEYS", str(file))
        assert mrl("keys", "create", "soon", "--scope", "read", "--days", "3")[0] == 0
        by_name = {key.name: key for key in read_keys(file)}
        assert by_name["ci"].matches(secret.strip().encode())
        assert by_name["ci"].scopes == {"read", "write"}
        assert timedelta(days=2.9) < by_name["soon"].expires - datetime.now(UTC) <= timedelta(days=3)
        status, out, _ = mrl("keys", "list")
        assert re.search(r"ci +│ +read write .* never", out)
        assert secret.strip() not in out
        listed = json.loads(mrl("keys", "list", "--json")[1])
        assert [set(key) for key in listed] == [{"name", "scopes", "created", "expires"}] * 2
        assert mrl("keys", "revoke", "ci")[0] == 0
        assert [key["name"] for key in json.loads(mrl("keys", "list", "--json")[1])] == ["soon"]

    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (["create", "a", "--scope", "admin"], 1, "scope 'admin': allowed are read, write"),
            (["create", "a"], 2, "Missing option '--scope'"),
            (["create", "a/b", "--scope", "read"], 1, "name 'a/b': allowed are 1 to 64"),
            (["revoke", "a"], 1, "no key file at"),
        ],
    )
    def test_mistakes(self, mrl, file, arguments, status, message):
        code, out, err = mrl("keys", *arguments, "--keys", file)
        assert (code, out) == (status, "")
        assert message in " ".join(err.replace("│", " ").split())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(file):
    create_key(file, "a", ["read"])
    file.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read_keys(file)
