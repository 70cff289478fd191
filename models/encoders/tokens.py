"""Tokens of an encoder: counting those of texts, and decoding them to text."""

from __future__ import annotations

from collections.abc import Sequence

from models.encoders.base import Encoder, TokenEncoder
from models.errors import InvalidOptionError

_MOST_IDS = 1 << 32


def count_tokens(encoder: Encoder, texts: Sequence[str], prompt: str = "") -> int:
    """Count the tokens a model reads for some texts; 0 if its tokenizer is not available.

    Args:
        encoder: the model.
        texts: any number of texts.
        prompt: the text put before each of them.
    """
    if not isinstance(encoder, TokenEncoder) or encoder.tokenizer is None:
        return 0
    encodings = encoder.tokenizer.encode_batch_fast(
        [prompt + text for text in texts], add_special_tokens=encoder.special_tokens
    )
    return sum(len(encoding.ids) for encoding in encodings)


def text_of_tokens(encoder: Encoder, ids: Sequence[int]) -> str:
    """Decode token ids of a model to text.

    Raises:
        InvalidOptionError: the model's tokenizer is not available, or has no such token.
    """
    if not isinstance(encoder, TokenEncoder) or encoder.tokenizer is None:
        raise InvalidOptionError(
            "input", f"model {encoder.name!r} has no tokenizer that can decode tokens: give texts instead"
        )
    tokenizer = encoder.tokenizer
    for token in ids:
        if not 0 <= token < _MOST_IDS or tokenizer.id_to_token(token) is None:
            raise InvalidOptionError(
                "input",
                f"token {token} is none of the {tokenizer.get_vocab_size():,} of model {encoder.name!r}: "
                "give tokens of its own tokenizer, or texts",
            )
    text: str = tokenizer.decode(list(ids), skip_special_tokens=False)
    return text
