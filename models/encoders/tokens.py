"""What a model's tokenizer makes of texts: how many tokens, and which text tokens stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from tokenizers import Tokenizer

from models.encoders.base import Encoder
from models.errors import InvalidOptionError

_MOST_IDS = 1 << 32


@runtime_checkable
class TokenEncoder(Encoder, Protocol):
    """An encoder whose tokenizer can be used apart from it, by any number of threads."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Cuts texts where the model does, never pads; None where the model's is of another making."""
        ...

    @property
    def special_tokens(self) -> bool:
        """Whether the model reads special tokens around a text."""
        ...


def count_tokens(encoder: Encoder, texts: Sequence[str], prompt: str = "") -> int:
    """Count the tokens that a model reads of texts; 0 where its tokenizer cannot be used.

    Args:
        encoder: the model.
        texts: any number.
        prompt: what is put in front of each.
    """
    if not isinstance(encoder, TokenEncoder) or encoder.tokenizer is None:
        return 0
    found = encoder.tokenizer.encode_batch_fast(
        [prompt + text for text in texts], add_special_tokens=encoder.special_tokens
    )
    return sum(len(one.ids) for one in found)


def text_of_tokens(encoder: Encoder, ids: Sequence[int]) -> str:
    """Return the text that tokens of a model stand for.

    Raises:
        InvalidOptionError: the model's tokenizer cannot be used, or has no such token.
    """
    if not isinstance(encoder, TokenEncoder) or encoder.tokenizer is None:
        raise InvalidOptionError(
            "input", f"model {encoder.name!r} has no tokenizer that tokens can be read with: give texts"
        )
    tokenizer = encoder.tokenizer
    for one in ids:
        if not 0 <= one < _MOST_IDS or tokenizer.id_to_token(one) is None:
            raise InvalidOptionError(
                "input",
                f"token {one} is none of the {tokenizer.get_vocab_size():,} of model {encoder.name!r}: "
                "give tokens of its own tokenizer, or texts",
            )
    text: str = tokenizer.decode(list(ids), skip_special_tokens=False)
    return text
