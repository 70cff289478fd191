"""A tiny teacher with random weights, and texts it knows."""

from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from models import Nesting
from models.data.pairs import Pair
from models.distillation.options import DistillationOptions

KNOWN = ["red", "blue", "green", "cat", "dog", "bird", "runs", "sleeps", "sky", "##line", "##fish", "air"]
NESTING = Nesting((4, 8, 24))


def make_teacher(root: Path) -> Path:
    """A tiny BERT of 16 dimensions with a WordPiece tokenizer that knows "skyline" and "airline" in pieces."""
    torch.manual_seed(0)
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[unused0]", "[UNK]", *KNOWN])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    )
    fast.save_pretrained(root / "bert")
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    bert = BertModel(config)
    with torch.no_grad():
        bert.embeddings.position_embeddings.weight *= 0.1  # where a word stands is nothing a student can see
    bert.save_pretrained(root / "bert")
    model = SentenceTransformer(modules=[Transformer(str(root / "bert")), Pooling(16)], device="cpu")
    model.save(str(root / "model"), create_model_card=False)
    return root / "model"


def make_texts(count=400, seed=0):
    rng = np.random.default_rng(seed)
    words = [*(word for word in KNOWN if not word.startswith("##")), "skyline", "airline"]
    return [" ".join(rng.choice(words, size=4)) for _ in range(count)]


def make_pairs(count=60):
    return [Pair(" ".join(text.split()[:2]), text) for text in dict.fromkeys(make_texts(count, seed=5))]


def options(**changes):
    values = {"nesting": NESTING, "steps": 150, "batch_size": 32, "learning_rate": 0.02, "validation": 0.2, **changes}
    return DistillationOptions(**values)
