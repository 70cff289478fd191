"""What several tests need: a small encoder, a small corpus, an index of it."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from indexer import BuildOptions, Corpus, Index, build_index
from models import Nesting, Prompts
from models.encoders.static import StaticEncoder

# Timings on shared machines vary too much for a deadline; the suite's own time bound holds instead.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("project")

pytest_plugins = ["tests.skipped"]

DIMENSION = 32
WORDS = [f"w{i}" for i in range(300)]


def make_encoder(seed: int = 0, prompts: Prompts | None = None, name: str = "tiny") -> StaticEncoder:
    """A static table of 300 words; the unknown word has the zero vector, so an unknown text does too."""
    table = np.random.default_rng(seed).normal(size=(len(WORDS) + 1, DIMENSION)).astype(np.float32)
    table *= np.linspace(2, 0.3, DIMENSION, dtype=np.float32)  # most of the energy in front, as training leaves it
    table[-1] = 0
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate([*WORDS, "[UNK]"])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return StaticEncoder(name, Nesting((8, 16, DIMENSION)), prompts or Prompts(), table, tokenizer)


def make_texts(count: int, seed: int = 1) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=6)) for _ in range(count)]


def write_lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def make_index(root: Path, texts: list[str], encoder: StaticEncoder | None = None, **options) -> Index:
    """Build an index of texts whose ids are their numbers, and open it."""
    encoder = encoder or make_encoder()
    root.mkdir(parents=True, exist_ok=True)
    corpus = write_lines(root / "corpus.jsonl", [{"_id": str(i), "text": text} for i, text in enumerate(texts)])
    build_index(Corpus([corpus]), encoder, root / "index", BuildOptions(**{"dims": 16, **options}))
    return Index.open(root / "index", encoder=encoder)


@pytest.fixture(autouse=True)
def loggers_as_they_come():
    """A server that an earlier test ran set levels for the whole process."""
    for name in ("mrl", "mrl.access", "indexer", "models"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def encoder() -> StaticEncoder:
    return make_encoder()


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return make_texts(1000)


@pytest.fixture(scope="session")
def index(tmp_path_factory, texts, encoder):
    with make_index(tmp_path_factory.mktemp("shared"), texts, encoder) as opened:
        yield opened


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory, encoder) -> Path:
    """The small encoder as a sentence-transformers directory."""
    from models.training.trainable import as_trainable

    path = tmp_path_factory.mktemp("models") / "tiny"
    as_trainable(encoder, "cpu").save(str(path), create_model_card=False)
    return path


@pytest.fixture(scope="session")
def built(tmp_path_factory, texts, model_directory) -> Path:
    """An index directory built with the model directory, as the command line builds it."""
    from models import load_encoder

    root = tmp_path_factory.mktemp("built")
    rows = [{"_id": str(i), "title": f"title {i}", "text": text, "n": i} for i, text in enumerate(texts)]
    write_lines(root / "corpus.jsonl", rows)
    encoder = load_encoder(str(model_directory))
    build_index(Corpus([root / "corpus.jsonl"]), encoder, root / "index", BuildOptions(dims=16))
    return root / "index"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets, where the environment names one."""
    folder = os.environ.get("MRL_DATA_DIR")
    if not folder:
        pytest.skip("MRL_DATA_DIR names no folder of data")
    return Path(folder)
