"""The keys a running service accepts, read again when their files change."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from models.errors import AdaptiveRetrievalError, DataError, InvalidOptionError
from service.security.keys import SCOPES, Key, read_keys
from service.settings import Settings

logger = logging.getLogger("mrl.service")

_SECONDS_BETWEEN_LOOKS: Final = 1.0
_LEAST_CHARACTERS: Final = 20
_LEAST_DIFFERENT: Final = 8
_KNOWN: Final = re.compile("changeme|changethis|change_me|default|example|password|secret|12345678|test", re.IGNORECASE)


class KeyRing:
    """Finds the key that a request presents.

    Files are looked at no more than once a second. One that became unreadable leaves the keys read last in force, and
    says so in the log: a slip while a file is edited by hand must not lock every client out.
    """

    def __init__(self, sources: Sequence[_Source]) -> None:
        self._sources = sources
        self._keys = tuple(key for source in sources for key in source.keys)
        self._verified: dict[bytes, Key] = {}
        self._next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS

    @classmethod
    def of(cls, settings: Settings) -> KeyRing:
        """Read the keys of the settings.

        Raises:
            InvalidOptionError: there is none, or one that is easy to guess; the message says the ways out.
            DataError: a file cannot be used.
        """
        sources: list[_Source] = []
        if settings.keys is not None:
            sources.append(_Source(settings.keys, read_keys))
        if settings.api_key is not None and settings.api_key_file is not None:
            raise InvalidOptionError("api_key", "MRL_API_KEY and an API key file are given: give one of them")
        if settings.api_key is not None:
            given = _from_secret(settings.api_key.get_secret_value(), "MRL_API_KEY")
            sources.append(_Source(None, lambda _: (given,)))
        if settings.api_key_file is not None:
            sources.append(_Source(settings.api_key_file, _read_secret))
        ring = cls(sources)
        if all(key.expired for key in ring._keys):
            lacking = f"no valid key in {settings.keys}" if settings.keys else "no API key is given"
            place = settings.keys or "keys.json"
            raise InvalidOptionError(
                "keys",
                f"{lacking}: make one with mrl keys create NAME --scope read --scope write --keys {place} and serve "
                f"with --keys {place}; or, where everybody who reaches the port may change the index, with --auth off",
            )
        return ring

    def find(self, presented: bytes) -> Key | None:
        """Return the key that was presented, expired or not; None where it is unknown."""
        if time.monotonic() >= self._next_look:
            self._look()
        # A presented key that was verified is known again by its digest, whose bytes nobody can choose; only verified
        # ones are kept, so that guesses take no memory.
        digest = hashlib.sha256(presented).digest()
        key = self._verified.get(digest)
        if key is None:
            # Every key is compared, so that the time tells nothing of the one that matched.
            for candidate in [candidate for candidate in self._keys if candidate.matches(presented)]:
                key = self._verified[digest] = candidate
        return key

    def _look(self) -> None:
        self._next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        changed = [source.look() for source in self._sources]
        if any(changed):
            self._keys = tuple(key for source in self._sources for key in source.keys)
            self._verified = {}
            logger.info("API keys read again: %d", len(self._keys))


class _Source:
    """Keys from one place, and the state of its file when they were read."""

    def __init__(self, path: Path | None, read: Callable[[Path], tuple[Key, ...]]) -> None:
        self._path, self._read = path, read
        self._stamp = self._state()
        self.keys = read(path or Path())

    def look(self) -> bool:
        """Read the file again where it changed; tell whether there are other keys now."""
        if self._path is None or (stamp := self._state()) == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.keys = self._read(self._path)
        except AdaptiveRetrievalError as error:
            logger.error("the API keys read before stay in force: %s", error)
            return False
        return True

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path) if self._path else None  # noqa: PTH116  a third of the time of Path.stat
        except OSError:
            return None
        return found and (found.st_mtime_ns, found.st_size, found.st_ino)


def _read_secret(path: Path) -> tuple[Key, ...]:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the API key in {path}: {error}") from error
    return (_from_secret(secret, str(path)),)


def _from_secret(secret: str, source: str) -> Key:
    """Make a key with every scope of a secret that somebody chose.

    Raises:
        InvalidOptionError: it is easy to guess, or cannot be sent in a header; the message does not repeat it.
    """
    rest = _KNOWN.sub("", secret)
    if not re.fullmatch(r"[!-~]*", secret):
        problem = "it holds spaces, control characters or characters beyond ASCII"
    elif len(secret) < _LEAST_CHARACTERS:
        problem = f"it has {len(secret)} characters, and the least is {_LEAST_CHARACTERS}"
    elif len(rest) < _LEAST_CHARACTERS:
        problem = f"without the well-known words in it, it has under {_LEAST_CHARACTERS} characters"
    elif len(set(rest)) < _LEAST_DIFFERENT:
        problem = f"it has {len(set(rest))} different characters, and the least is {_LEAST_DIFFERENT}"
    else:
        return Key.of(secret, "api-key", SCOPES)
    raise InvalidOptionError(
        "api_key",
        f"the API key from {source} is refused: {problem}; make one with: "
        "python -c 'import secrets; print(secrets.token_urlsafe(32))'",
    )
