from dataclasses import replace

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from models import InvalidOptionError, Prompts, load_encoder
from models.encoders.tokens import count_tokens, text_of_tokens
from tests.conftest import make_encoder
from tests.models.text_models import save_bert, save_transformer

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    """A BERT that reads [CLS] and [SEP] around a text and at most 6 tokens."""
    root = tmp_path_factory.mktemp("tokens")
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    save_bert(root / "bert", tokenizer)
    path = save_transformer(root / "bert", root / "model", max_length=6)
    return load_encoder(str(path), device="cpu")


def test_a_transformer_counts_special_tokens_and_truncates(transformer):
    assert count_tokens(transformer, ["a b", "a b c a b c a b c"]) == 4 + 6
    assert count_tokens(transformer, ["a"], "b ") == 4


def test_counting_leaves_the_model_as_it_was(transformer):
    before = transformer.content_hash
    count_tokens(transformer, ["a b c"])
    transformer.encode_documents(["a"])
    assert load_encoder(transformer.name, device="cpu").content_hash == before


def test_a_static_encoder_counts_without_special_tokens():
    encoder = replace(make_encoder(), prompts=Prompts())
    assert count_tokens(encoder, ["w1 w2", ""]) == 2
    assert count_tokens(encoder, ["w1 w2"], "w3 ") == 3


def test_tokens_are_decoded(transformer):
    assert text_of_tokens(transformer, [5, 6]) == "a b"
    assert text_of_tokens(make_encoder(), [3, 7]) == "w3 w7"
    assert text_of_tokens(transformer, []) == ""


@pytest.mark.parametrize("token", [8, -1, 2**40])
def test_an_unknown_token_is_refused(transformer, token):
    with pytest.raises(InvalidOptionError, match=f"token {token} is none of the 8 of model .*: give tokens of its own"):
        text_of_tokens(transformer, [5, token])


class Bare:
    """An encoder whose tokenizer is not available."""

    name = "bare"


def test_a_model_without_a_tokenizer_counts_nothing_and_decodes_nothing():
    assert count_tokens(Bare(), ["a"]) == 0
    with pytest.raises(InvalidOptionError, match="model 'bare' has no tokenizer that can decode tokens: give texts"):
        text_of_tokens(Bare(), [1])
