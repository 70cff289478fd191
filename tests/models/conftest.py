import pytest

from tests.models.image_models import make_clip, make_vit
from tests.models.text_models import make_transformer


@pytest.fixture(scope="session")
def transformer_directory(tmp_path_factory):
    """A tiny BERT with random weights and a query prompt, as a sentence-transformers directory. Do not modify."""
    return make_transformer(tmp_path_factory.mktemp("transformer"))


@pytest.fixture(scope="session")
def clip_directory(tmp_path_factory):
    """A tiny CLIP with random weights. Do not modify."""
    return make_clip(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture(scope="session")
def vit_directory(tmp_path_factory):
    """A tiny vision model with random weights and no text side. Do not modify."""
    return make_vit(tmp_path_factory.mktemp("vit") / "model")
