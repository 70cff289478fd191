"""The keys that a running service accepts, reloaded when their files change."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

from models import AdaptiveRetrievalError, DataError, InvalidOptionError
from service.security.keys import SCOPES, Key, read_keys
from service.settings import Settings

logger = logging.getLogger("mrl.service")

_CHECK_SECONDS: Final = 1.0
_MIN_CHARACTERS: Final = 20
_MIN_DISTINCT: Final = 8
_COMMON_WORDS: Final = re.compile(
    "changeme|changethis|change_me|default|example|password|secret|12345678|test", re.IGNORECASE
)


class KeyRing:
    """Looks up the key that a request presents.

    Files are checked for changes at most once a second. If one becomes unreadable, its last keys stay valid and the
    error is logged: a mistake while editing a file must not lock out every client.
    """

    def __init__(self, sources: Sequence[_Source]) -> None:
        self._sources = sources
        self._keys = tuple(key for source in sources for key in source.keys)
        self._verified: dict[bytes, Key] = {}
        self._next_check = monotonic() + _CHECK_SECONDS

    @classmethod
    def from_settings(cls, settings: Settings) -> KeyRing:
        """Read all keys that the settings name.

        Raises:
            InvalidOptionError: there is no valid key, or one is easy to guess.
            DataError: a file cannot be read.
        """
        sources: list[_Source] = []
        if settings.keys is not None:
            sources.append(_Source(settings.keys, read_keys))
        if settings.api_key is not None and settings.api_key_file is not None:
            raise InvalidOptionError("api_key", "both MRL_API_KEY and an API key file are given; give only one")
        if settings.api_key is not None:
            key = _key_from_secret(settings.api_key.get_secret_value(), "MRL_API_KEY")
            sources.append(_Source(None, lambda _: (key,)))
        if settings.api_key_file is not None:
            sources.append(_Source(settings.api_key_file, _read_secret))
        ring = cls(sources)
        if all(key.expired for key in ring._keys):
            problem = f"no valid key in {settings.keys}" if settings.keys else "no API key is given"
            path = settings.keys or "keys.json"
            raise InvalidOptionError(
                "keys",
                f"{problem}: create one with mrl keys create NAME --scope read --scope write --keys {path} and serve "
                f"with --keys {path}; or, if everyone who can reach the port may change the index, with --auth off",
            )
        return ring

    def find(self, secret: bytes) -> Key | None:
        """Return the key with this secret, even if it has expired; None if there is none."""
        if monotonic() >= self._next_check:
            self._reload_changed()
        # Verified secrets are cached by their digest, which a client cannot choose. Failed guesses are not, so they
        # take no memory.
        digest = hashlib.sha256(secret).digest()
        key = self._verified.get(digest)
        if key is None:
            # All keys are compared, so that the time does not depend on which one matches.
            for candidate in [candidate for candidate in self._keys if candidate.matches(secret)]:
                key = self._verified[digest] = candidate
        return key

    def _reload_changed(self) -> None:
        self._next_check = monotonic() + _CHECK_SECONDS
        changed = [source.reload_if_changed() for source in self._sources]
        if any(changed):
            self._keys = tuple(key for source in self._sources for key in source.keys)
            self._verified = {}
            logger.info("API keys reloaded: %d", len(self._keys))


class _Source:
    """Keys from one file or setting, and the state of the file when they were read."""

    def __init__(self, path: Path | None, read: Callable[[Path], tuple[Key, ...]]) -> None:
        self._path, self._read = path, read
        self._stamp = self._state()
        self.keys = read(path or Path())

    def reload_if_changed(self) -> bool:
        """Reload the file if it has changed; return whether there are new keys."""
        if self._path is None or (stamp := self._state()) == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.keys = self._read(self._path)
        except AdaptiveRetrievalError as error:
            logger.error("keeping the API keys read before: %s", error)
            return False
        return True

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path) if self._path else None  # noqa: PTH116  three times as fast as Path.stat
        except OSError:
            return None
        return found and (found.st_mtime_ns, found.st_size, found.st_ino)


def _read_secret(path: Path) -> tuple[Key, ...]:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the API key in {path}: {error}") from error
    return (_key_from_secret(secret, str(path)),)


def _key_from_secret(secret: str, source: str) -> Key:
    """Return a key with every scope for a secret that the operator chose.

    Raises:
        InvalidOptionError: the secret is easy to guess, or cannot be sent in a header. The message does not repeat it.
    """
    rest = _COMMON_WORDS.sub("", secret)
    if not re.fullmatch(r"[!-~]*", secret):
        problem = "it contains spaces, control characters or non-ASCII characters"
    elif len(secret) < _MIN_CHARACTERS:
        problem = f"it has {len(secret)} characters; the minimum is {_MIN_CHARACTERS}"
    elif len(rest) < _MIN_CHARACTERS:
        problem = f"without common words such as 'password' it has fewer than {_MIN_CHARACTERS} characters"
    elif len(set(rest)) < _MIN_DISTINCT:
        problem = f"it has {len(set(rest))} distinct characters; the minimum is {_MIN_DISTINCT}"
    else:
        return Key.from_secret(secret, "api-key", SCOPES)
    raise InvalidOptionError(
        "api_key",
        f"the API key from {source} is refused: {problem}; generate one with: "
        "python -c 'import secrets; print(secrets.token_urlsafe(32))'",
    )
