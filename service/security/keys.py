"""API keys at rest: a JSON file that holds the hash of each key, its scopes and when it ends, never the key.

A key is 256 random bits, so its hash is a plain salted SHA-256: there is nothing to guess that a slow hash (bcrypt,
Argon2) would make dear, and a fast one costs each request a microsecond in place of a tenth of a second.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from indexer.storage.fsync import fsync
from models.errors import DataError, InvalidOptionError

KeyScope = Literal["read", "write"]
SCOPES: Final[tuple[KeyScope, ...]] = get_args(KeyScope)

_PREFIX: Final = "mrl_"
_NAME: Final = r"[A-Za-z0-9._-]{1,64}"
_SALT_BYTES: Final = 16
_Hex = Annotated[str, StringConstraints(pattern=r"^(?:[0-9a-f]{2})+$")]


class Key(BaseModel):
    """What is kept of a key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=f"^{_NAME}$")]
    scopes: Annotated[frozenset[KeyScope], Field(min_length=1)]
    salt: _Hex
    sha256: _Hex = Field(description="Of the salt's bytes, then the key's.")
    created: AwareDatetime
    expires: AwareDatetime | None = None

    @classmethod
    def of(cls, secret: str, name: str, scopes: Iterable[KeyScope], expires: datetime | None = None) -> Self:
        """Keep the hash of a secret under a fresh salt."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return cls(
            name=name,
            scopes=frozenset(scopes),
            salt=salt.hex(),
            sha256=_digest(salt, secret.encode()).hex(),
            created=datetime.now(UTC),
            expires=expires,
        )

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires is not None and datetime.now(UTC) >= self.expires

    def matches(self, presented: bytes) -> bool:
        """Compare in a time that does not depend on where the two differ."""
        return hmac.compare_digest(_digest(bytes.fromhex(self.salt), presented), bytes.fromhex(self.sha256))


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    keys: tuple[Key, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [key.name for key in self.keys]
        if len(set(names)) < len(names):
            raise ValueError("two keys have the same name")
        return self


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read a key file.

    Raises:
        DataError: it cannot be read, or is not a key file.
    """
    try:
        return _KeyFile.model_validate_json(path.read_bytes()).keys
    except FileNotFoundError:
        raise DataError(f"no key file at {path}: mrl keys create NAME --scope read --keys {path} makes one") from None
    except OSError as error:
        raise DataError(f"cannot read key file {path}: {error.strerror}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "the file"
        raise DataError(f"{path} is not a key file: {place}: {problem['msg']}") from None


def create_key(path: Path, name: str, scopes: Sequence[KeyScope], expires: datetime | None = None) -> str:
    """Make a key, add it to a key file (made where there is none) and return it: it cannot be had again.

    Raises:
        InvalidOptionError: the name is taken or not one.
        DataError: the file cannot be read or written, or is not a key file.
    """
    if not re.fullmatch(_NAME, name):
        raise InvalidOptionError("name", f"name {name!r:.80}: give 1 to 64 of A-Z, a-z, 0-9, dot, dash and underscore")
    secret = _PREFIX + secrets.token_urlsafe(32)
    with _changing(path):
        keys = read_keys(path) if path.exists() else ()
        if any(key.name == name for key in keys):
            raise InvalidOptionError(
                "name", f"name {name!r}: {path} has a key of that name; revoke it, or take another"
            )
        _write(path, (*keys, Key.of(secret, name, scopes, expires)))
    return secret


def revoke_key(path: Path, name: str) -> None:
    """Take a key out of a key file.

    Raises:
        InvalidOptionError: there is none of that name.
        DataError: the file cannot be read or written, or is not a key file.
    """
    with _changing(path):
        keys = read_keys(path)
        left = tuple(key for key in keys if key.name != name)
        if len(left) == len(keys):
            there = ", ".join(key.name for key in keys) or "none"
            raise InvalidOptionError("name", f"name {name!r:.80}: no such key in {path}; there are: {there}")
        _write(path, left)


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Keep other commands from changing the file meanwhile, which would lose one of two new keys."""
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise DataError(f"cannot change key file {path}: {path.resolve().parent}: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(path: Path, keys: tuple[Key, ...]) -> None:
    target = path.resolve()  # a link stays one
    try:
        # Made with mode 0600, and renamed into place: a service sees the old keys or the new, and so does a crash.
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(_KeyFile(keys=keys).model_dump_json(indent=2) + "\n")
            fsync(partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        fsync(target.parent)
    except OSError as error:
        raise DataError(f"cannot write key file {path}: {error.strerror}") from error


def _digest(salt: bytes, secret: bytes) -> bytes:
    return hashlib.sha256(salt + secret).digest()
