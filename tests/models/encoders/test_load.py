import pytest

from models import ImageEncoder, ModelError, Nesting, Prompts, load_encoder
from models.encoders.image import ImageModelEncoder
from models.encoders.static import StaticEncoder
from models.encoders.transformer import SentenceTransformerEncoder


def test_the_kind_of_encoder_follows_the_directory(model_directory, transformer_directory, clip_directory):
    assert type(load_encoder(str(model_directory))) is StaticEncoder
    assert type(load_encoder(str(transformer_directory), device="cpu")) is SentenceTransformerEncoder
    assert type(load_encoder(str(clip_directory), device="cpu")) is ImageModelEncoder
    assert not isinstance(load_encoder(str(transformer_directory), device="cpu"), ImageEncoder)


def test_the_built_in_model_takes_nesting_and_prompts():
    encoder = load_encoder("wordllama", nesting=Nesting((32, 256)), query_prompt="query: ")
    assert (encoder.name, encoder.dimension) == ("wordllama", 256)
    assert encoder.nesting.sizes == (32, 256)
    assert encoder.prompts == Prompts(query="query: ")


def test_a_relative_directory_is_recorded_by_its_absolute_name(model_directory, monkeypatch):
    monkeypatch.chdir(model_directory.parent)
    for name in (f"./{model_directory.name}", model_directory.name):
        assert load_encoder(name).name == str(model_directory)


def test_a_path_is_a_name(model_directory):
    assert load_encoder(model_directory).content_hash == load_encoder(str(model_directory)).content_hash


@pytest.mark.parametrize("name", ["/no/such/model", "./missing", "~/missing", "a/b/c"])
def test_a_missing_directory_is_not_taken_for_a_hub_name(name):
    with pytest.raises(ModelError, match="no such directory; give 'wordllama', a model directory or a hub name"):
        load_encoder(name)


def test_a_file_is_not_a_model(tmp_path, monkeypatch):
    (tmp_path / "model").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="model 'model': no such directory"):
        load_encoder("model")
