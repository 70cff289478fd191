"""A tiny text transformer with random weights."""

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from tests.conftest import WORDS

TRANSFORMER_DIMENSION = 16


def save_bert(path: Path, tokenizer: Tokenizer, **config) -> BertModel:
    """Write a tiny BERT and its tokenizer as transformers does; return the model."""
    torch.manual_seed(0)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    )
    fast.save_pretrained(path)
    settings = {"hidden_size": TRANSFORMER_DIMENSION, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = BertModel(
        BertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            intermediate_size=32,
            max_position_embeddings=64,
            **settings,
            **config,
        )
    )
    model.save_pretrained(path)
    return model


def save_transformer(bert: Path, path: Path, *, max_length: int | None = None, **options) -> Path:
    """Write what :func:`save_bert` wrote as a sentence-transformers directory with mean pooling."""
    modules = [Transformer(str(bert), max_seq_length=max_length), Pooling(TRANSFORMER_DIMENSION)]
    SentenceTransformer(modules=modules, device="cpu", **options).save(str(path), create_model_card=False)
    return path


def make_transformer(root: Path) -> Path:
    """A BERT over the tests' words with the query prompt ``query: ``, as a sentence-transformers directory."""
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "query:", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    save_bert(root / "bert", tokenizer)
    return save_transformer(root / "bert", root / "model", prompts={"query": "query: ", "document": ""})
