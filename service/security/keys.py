"""API keys at rest: a JSON file with the hash, scopes and expiry of each key, never the key itself.

A key has 256 random bits, so a salted SHA-256 is enough: guessing is hopeless without a slow hash (bcrypt, Argon2), and
verification costs each request a microsecond instead of a tenth of a second.
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

from indexer import fsync
from models import DataError, InvalidOptionError

KeyScope = Literal["read", "write"]
SCOPES: Final[tuple[KeyScope, ...]] = get_args(KeyScope)

_PREFIX: Final = "mrl_"
_NAME: Final = r"[A-Za-z0-9._-]{1,64}"
_SALT_BYTES: Final = 16
_Hex = Annotated[str, StringConstraints(pattern=r"^(?:[0-9a-f]{2})+$")]


class Key(BaseModel):
    """A stored key: everything but its secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=f"^{_NAME}$")]
    scopes: Annotated[frozenset[KeyScope], Field(min_length=1)]
    salt: _Hex
    sha256: _Hex = Field(description="SHA-256 of the salt followed by the secret.")
    created: AwareDatetime
    expires: AwareDatetime | None = None

    @classmethod
    def from_secret(cls, secret: str, name: str, scopes: Iterable[KeyScope], expires: datetime | None = None) -> Self:
        """Hash a secret with a new salt."""
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
        """Whether the key has expired."""
        return self.expires is not None and datetime.now(UTC) >= self.expires

    def matches(self, secret: bytes) -> bool:
        """Return whether this is the key's secret, comparing in constant time."""
        return hmac.compare_digest(_digest(bytes.fromhex(self.salt), secret), bytes.fromhex(self.sha256))


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


def read_keys(path: str | Path) -> tuple[Key, ...]:
    """Read a key file.

    Raises:
        DataError: the file cannot be read, or is not a key file.
    """
    try:
        return _KeyFile.model_validate_json(Path(path).read_bytes()).keys
    except FileNotFoundError:
        raise DataError(
            f"no key file at {path}: create one with mrl keys create NAME --scope read --keys {path}"
        ) from None
    except OSError as error:
        raise DataError(f"cannot read key file {path}: {error.strerror}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "the file"
        raise DataError(f"{path} is not a key file: {place}: {problem['msg']}") from None


def create_key(path: str | Path, name: str, scopes: Sequence[KeyScope], expires: datetime | None = None) -> str:
    """Create a key, add its hash to a key file and return the secret, which cannot be recovered later.

    Args:
        path: of the key file; created if it does not exist.
        name: of the key, unique in the file.
        scopes: what the key allows.
        expires: when the key expires; never if None.

    Raises:
        InvalidOptionError: the name is invalid or taken.
        DataError: the file cannot be read or written, or is not a key file.
    """
    path = Path(path)
    if not re.fullmatch(_NAME, name):
        raise InvalidOptionError(
            "name", f"name {name!r:.80}: allowed are 1 to 64 of A-Z, a-z, 0-9, dot, dash and underscore"
        )
    secret = _PREFIX + secrets.token_urlsafe(32)
    with _locked(path):
        keys = read_keys(path) if path.exists() else ()
        if any(key.name == name for key in keys):
            raise InvalidOptionError(
                "name", f"name {name!r}: {path} already has a key of this name; revoke it or choose another name"
            )
        _write(path, (*keys, Key.from_secret(secret, name, scopes, expires)))
    return secret


def revoke_key(path: str | Path, name: str) -> None:
    """Remove a key from a key file.

    Raises:
        InvalidOptionError: there is no key of this name.
        DataError: the file cannot be read or written, or is not a key file.
    """
    path = Path(path)
    with _locked(path):
        keys = read_keys(path)
        remaining = tuple(key for key in keys if key.name != name)
        if len(remaining) == len(keys):
            names = ", ".join(key.name for key in keys) or "none"
            raise InvalidOptionError("name", f"name {name!r:.80}: no such key in {path}; its keys are: {names}")
        _write(path, remaining)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock the file's directory: of two commands that change the file at once, one would lose the other's key."""
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
    target = path.resolve()  # replace the target of a symbolic link, not the link
    try:
        # Created with mode 0600 and renamed into place: a service, or a crash, sees the old keys or the new ones.
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
