"""MTEB itself on a small task defined here; nothing is downloaded."""

import numpy as np
import pytest

pytest.importorskip("mteb")

import mteb
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import EncoderProtocol
from mteb.types import PromptType

from models import InvalidOptionError, ModelError, Prompts, truncate
from models.evaluation.mteb_model import MtebModel
from tests.conftest import make_encoder, make_texts

DOCUMENTS = make_texts(60)
QUERIES = [" ".join(text.split()[:3]) for text in DOCUMENTS[:20]]


class SmallRetrieval(AbsTaskRetrieval):
    metadata = TaskMetadata(
        name="SmallRetrieval",
        dataset={"path": "none", "revision": "1"},
        description="The first half of a document finds it.",
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )

    def load_data(self, *args, **kwargs):
        rows = [{"id": f"d{i}", "title": "", "text": text} for i, text in enumerate(DOCUMENTS)]
        queries = [{"id": f"q{i}", "text": text} for i, text in enumerate(QUERIES)]
        self.dataset = {
            "default": {
                "test": {
                    "corpus": Dataset.from_list(rows),
                    "queries": Dataset.from_list(queries),
                    "relevant_docs": {f"q{i}": {f"d{i}": 1} for i in range(len(QUERIES))},
                    "top_ranked": None,
                }
            }
        }
        self.data_loaded = True


def batches(texts, size=7):
    return [{"text": texts[start : start + size]} for start in range(0, len(texts), size)]


def encode(model, texts, prompt_type=None):
    task = SmallRetrieval.metadata
    return model.encode(
        batches(texts), task_metadata=task, hf_split="test", hf_subset="default", prompt_type=prompt_type
    )


def mrr(dimensions):
    """Mean reciprocal rank at 10, computed directly."""
    encoder = make_encoder()
    documents = truncate(encoder.encode_documents(DOCUMENTS), dimensions)
    scores = truncate(encoder.encode_queries(QUERIES), dimensions) @ documents.T
    ranks = [int((row > row[i]).sum()) + 1 for i, row in enumerate(scores)]
    return np.mean([1 / rank if rank <= 10 else 0 for rank in ranks])


@pytest.mark.parametrize("dimensions", [None, 8])
def test_mteb_evaluates_a_model_at_its_full_size_and_at_a_prefix(dimensions):
    model = MtebModel(make_encoder(), dimensions=dimensions)
    assert isinstance(model, EncoderProtocol)
    result = mteb.evaluate(model, SmallRetrieval(), cache=None, co2_tracker=False, show_progress_bar=False)
    scores = result.task_results[0].scores["test"][0]
    assert scores["mrr_at_10"] == pytest.approx(mrr(dimensions or 32), abs=1e-4)
    assert 0.1 < scores["main_score"] <= 1


def test_queries_and_documents_get_their_prompts():
    encoder = make_encoder(prompts=Prompts("w7 ", "w9 "))
    model = MtebModel(encoder)
    texts = make_texts(20)
    np.testing.assert_array_equal(encode(model, texts, PromptType.query), encoder.encode_queries(texts))
    np.testing.assert_array_equal(encode(model, texts, PromptType.document), encoder.encode_documents(texts))
    np.testing.assert_array_equal(encode(model, texts), encoder.encode_documents(texts))
    assert model.mteb_model_meta.use_instructions
    assert encode(model, []).shape == (0, 32)


def test_a_prefix_is_truncated_then_normalised_and_kept_apart_in_the_results():
    encoder = make_encoder()
    whole, cut = MtebModel(encoder), MtebModel(encoder, dimensions=8)
    vectors = encode(cut, DOCUMENTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(vectors, truncate(encoder.encode_documents(DOCUMENTS), 8))
    np.testing.assert_allclose(np.asarray(cut.similarity(vectors, vectors)), vectors @ vectors.T, atol=1e-5)
    assert whole.mteb_model_meta != cut.mteb_model_meta
    assert (cut.mteb_model_meta.embed_dim, cut.mteb_model_meta.revision) == (8, encoder.content_hash)


def test_a_model_is_loaded_by_name(model_directory):
    model = MtebModel(str(model_directory), dimensions=16)
    assert model.mteb_model_meta.name == "adaptive-retrieval/tiny"
    assert MtebModel(str(model_directory), model.encoder.content_hash).dimensions == 32


def test_what_cannot_be_evaluated_is_refused():
    encoder = make_encoder()
    with pytest.raises(InvalidOptionError, match="dimensions 33: model 'tiny' has 1 to 32"):
        MtebModel(encoder, dimensions=33)
    with pytest.raises(ModelError, match="revision abc of model 'tiny' is not available"):
        MtebModel(encoder, "abc")
    with pytest.raises(ModelError, match="a batch of image: only texts"):
        MtebModel(encoder).encode(
            [{"image": [None]}], task_metadata=SmallRetrieval.metadata, hf_split="test", hf_subset="default"
        )
