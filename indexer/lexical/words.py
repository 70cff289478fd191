"""Texts become words: runs of letters, digits and underscores, in one case, and stems where the language is known."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Sequence
from typing import Any

import Stemmer

from indexer.filters import parse_field
from models.errors import InvalidOptionError

_WORD = re.compile(r"\w+")


def check_language(language: str | None) -> None:
    """Refuse a language that there is no stemmer for.

    Raises:
        InvalidOptionError: the message names those there are.
    """
    allowed = Stemmer.algorithms()
    if language is not None and language not in allowed:
        raise InvalidOptionError("language", f"language {language!r}: stemmers are {', '.join(allowed)}")


class Words:
    """Finds the words of queries and of documents, in the same way; any number of threads may share one."""

    def __init__(self, fields: Sequence[str], language: str | None) -> None:
        """Take the payload fields that count, by name, and the language of the stemmer; none where None."""
        self._fields = [parse_field(name, "lexical") for name in fields]
        self._language = language
        self._local = threading.local()

    def of_text(self, text: str) -> list[str]:
        """Return the words in order, repeated ones repeated."""
        # Compatibility forms and case are folded, so that the full-width or ligature spelling of a word is that word.
        words: list[str] = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
        return words if self._language is None else self._stemmer.stemWords(words)

    def of_payload(self, payload: dict[str, Any]) -> list[str]:
        """Return the words of a document: of its fields that are texts, or lists of texts."""
        values = (value for field in self._fields for value in field.scalars("", payload) or ())
        return self.of_text("\n".join(value for value in values if isinstance(value, str)))

    @property
    def _stemmer(self) -> Any:
        # A stemmer keeps a cache that two threads must not write to at once.
        if not hasattr(self._local, "stemmer"):
            self._local.stemmer = Stemmer.Stemmer(self._language)
        return self._local.stemmer
