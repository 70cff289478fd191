import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from service.security.keys import read_keys


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.json"


def test_create_list_revoke(mrl, file, monkeypatch):
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
def test_mistakes(mrl, file, arguments, status, message):
    code, out, err = mrl("keys", *arguments, "--keys", file)
    assert (code, out) == (status, "")
    assert message in " ".join(err.replace("│", " ").split())
