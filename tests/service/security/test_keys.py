import json
import os
import re
import stat
import threading

import pytest

from models.errors import DataError, InvalidOptionError
from service.security.keys import Key, create_key, read_keys, revoke_key

STRONG = "k7Qw-29_fhZpL0mXbT4sVd"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.json"


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

    def test_a_revoked_key_is_removed(self, file):
        create_key(file, "a", ["read"])
        create_key(file, "b", ["read", "write"])
        revoke_key(file, "a")
        assert [key.name for key in read_keys(file)] == ["b"]
        with pytest.raises(InvalidOptionError, match=r"no such key in .*; its keys are: b"):
            revoke_key(file, "a")

    def test_keys_created_at_the_same_time_are_all_kept(self, file):
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
    def test_an_invalid_key_file_is_refused(self, file, content, message):
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

    def test_a_missing_file_or_folder_is_reported(self, file, tmp_path):
        with pytest.raises(DataError, match=r"no key file at .*: create one with mrl keys create NAME"):
            read_keys(file)
        with pytest.raises(DataError, match=r"cannot change key file .*No such file or directory"):
            create_key(tmp_path / "no" / "keys.json", "a", ["read"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_reported(file):
    create_key(file, "a", ["read"])
    file.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read_keys(file)
