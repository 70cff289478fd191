"""Tokenization: runs of letters, digits and underscores, case-folded, and stemmed if a language is given."""

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
    """Check that there is a stemmer for a language.

    Raises:
        InvalidOptionError: there is none; the message names the languages.
    """
    allowed = Stemmer.algorithms()
    if language is not None and language not in allowed:
        raise InvalidOptionError("language", f"language {language!r}: give one of {', '.join(allowed)}")


class Words:
    """Extracts the words of queries and documents. Instances can be shared between threads."""

    def __init__(self, fields: Sequence[str], language: str | None) -> None:
        """Set the payload fields to index, by name, and the language of the stemmer; no stemming if None."""
        self._fields = [parse_field(name, "lexical") for name in fields]
        self._language = language
        self._local = threading.local()

    def of_text(self, text: str) -> list[str]:
        """Return the words in order, with repetitions."""
        # Fold compatibility forms and case, so that full-width and ligature spellings of a word are the same word.
        words: list[str] = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
        return words if self._language is None else self._stemmer.stemWords(words)

    def of_payload(self, payload: dict[str, Any]) -> list[str]:
        """Return the words of a document, from the fields that hold a text or a list of texts."""
        values = (value for field in self._fields for value in field.scalars("", payload) or ())
        return self.of_text("\n".join(value for value in values if isinstance(value, str)))

    @property
    def _stemmer(self) -> Any:
        # A stemmer has a cache that is not thread-safe.
        if not hasattr(self._local, "stemmer"):
            self._local.stemmer = Stemmer.Stemmer(self._language)
        return self._local.stemmer
