"""What a lexical index is made of."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.filters import parse_field
from indexer.lexical.words import check_language
from models.errors import InvalidOptionError


@dataclass(frozen=True, slots=True)
class LexicalOptions:
    """Which words of a document can be found.

    Attributes:
        fields: payload fields that hold them, named as in filters; those of the corpus' title and text where empty.
        language: whose stemmer makes one word of ``wing`` and ``wings``; words stay as they are where None.
    """

    fields: tuple[str, ...] = ()
    language: str | None = None

    def __post_init__(self) -> None:
        for name in self.fields:
            if not parse_field(name, "lexical").names:
                raise InvalidOptionError("lexical", f"lexical field {name!r}: name a field of the payload")
        check_language(self.language)
