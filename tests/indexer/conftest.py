import pytest

from indexer import BuildOptions, Corpus, build_index
from indexer.calibration import run
from indexer.search.generation import OpenedGeneration
from tests.conftest import make_encoder, make_texts, write_lines


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """An index of 3,000 documents over HNSW, a tenth of them duplicates, not calibrated. Tests only read it."""
    root = tmp_path_factory.mktemp("small")
    texts = make_texts(2700)
    texts += texts[:300]
    rows = [{"_id": str(i), "title": text.split()[0], "text": text} for i, text in enumerate(texts)]
    corpus = Corpus([write_lines(root / "corpus.jsonl", rows)])
    options = BuildOptions(dims=8, shortlist="hnsw", shortlist_values={"links": 8}, calibration=None)
    build_index(corpus, make_encoder(), root / "index", options)
    return root / "index"


@pytest.fixture
def opened(small):
    generation = OpenedGeneration(small / "generations" / "000001")
    yield generation
    generation.close()


@pytest.fixture
def measured_however_small(monkeypatch):
    monkeypatch.setattr(run, "_AT_ONCE", 0)
