import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from models import Encoder, ModelError, Nesting, Prompts, load_encoder
from models.encoders.device import choose_device
from tests.conftest import WORDS


@pytest.fixture(scope="module")
def transformer_directory(tmp_path_factory):
    """A tiny BERT with random weights and a query prompt, saved as a sentence-transformers directory."""
    root = tmp_path_factory.mktemp("transformer")
    torch.manual_seed(0)
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "query:", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    )
    fast.save_pretrained(root / "bert")
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(root / "bert")
    module = Transformer(str(root / "bert"))
    model = SentenceTransformer(
        modules=[module, Pooling(16)], device="cpu", prompts={"query": "query: ", "document": ""}
    )
    model.save(str(root / "model"), create_model_card=False)
    return root / "model"


def test_loads_encodes_and_is_an_encoder(transformer_directory):
    encoder = load_encoder(str(transformer_directory))
    assert isinstance(encoder, Encoder)
    assert encoder.dimension == 16
    assert encoder.nesting == Nesting((8, 16))
    assert encoder.prompts == Prompts(query="query: ")
    vectors = encoder.encode_documents(["w1 w2", "w3"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert encoder.encode_queries([]).shape == (0, 16)


def test_the_models_own_query_prompt_is_used_unless_replaced(transformer_directory):
    own = load_encoder(str(transformer_directory))
    without = load_encoder(str(transformer_directory), query_prompt="")
    np.testing.assert_allclose(own.encode_queries(["w1"]), own.encode_documents(["query: w1"]), atol=1e-6)
    np.testing.assert_allclose(without.encode_queries(["w1"]), own.encode_documents(["w1"]), atol=1e-6)
    assert own.content_hash != without.content_hash


def test_content_hash_follows_the_weights(transformer_directory):
    first, second = (load_encoder(str(transformer_directory)) for _ in range(2))
    assert first.content_hash == second.content_hash
    third = load_encoder(str(transformer_directory))
    with torch.no_grad():
        next(third.model.parameters()).add_(0.1)
    assert third.content_hash != first.content_hash


def test_a_directory_that_holds_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="is not a sentence-transformers directory"):
        load_encoder(str(tmp_path))


def test_a_gpu_that_is_not_there_is_refused_and_auto_falls_back(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"
    with pytest.raises(ModelError, match="device 'cuda': torch sees no GPU on this machine; use --device cpu or auto"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == "cuda"
