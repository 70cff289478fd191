"""Options of the lexical index."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.filters import parse_field
from indexer.lexical.words import check_language
from models.data.lists import check_list
from models.errors import InvalidOptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class LexicalOptions:
    """Which words of a document are indexed.

    English stems of the title and of the keywords in a nested object::

        BuildOptions(lexical=LexicalOptions(fields=("title", "meta.keywords"), language="english"))

    Attributes:
        fields: payload fields to index, named as in filters; the corpus's title and text fields if empty.
        language: language of the stemmer, which gives ``wing`` and ``wings`` the same stem; no stemming if None.

    Raises:
        InvalidOptionError: a field is not one of the payload, or there is no stemmer for the language.
    """

    fields: tuple[str, ...] = ()
    language: str | None = None

    def __post_init__(self) -> None:
        check_list(self.fields, "lexical fields", "lexical")
        for name in self.fields:
            if not parse_field(name, "lexical").names:
                raise InvalidOptionError("lexical", f"lexical field {name!r}: name a field of the payload")
        check_language(self.language)
