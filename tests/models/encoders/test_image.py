import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from models import Encoder, InvalidOptionError, ModelError, Nesting, TrainingError, load_encoder
from models.data.pairs import Pair
from models.distillation.distill import distill
from models.distillation.options import DistillationOptions
from models.encoders.base import ImageEncoder
from models.training.contrastive import train
from models.training.options import TrainingOptions
from tests.models.image_models import DIMENSION, digits, make_clip, make_siglip

TEXTS = ["a photo of five", "two"]


@pytest.fixture(scope="module")
def images():
    return [image.convert("RGB") for image in digits(40)[0]]


@pytest.fixture(scope="module")
def clip(clip_directory):
    return load_encoder(str(clip_directory))


def unit(features):
    vectors = features.pooler_output
    return (vectors / vectors.norm(dim=-1, keepdim=True)).numpy()


@pytest.mark.parametrize("make", [make_clip, make_siglip])
def test_both_sides_give_what_transformers_gives(tmp_path, images, make):
    path = make(tmp_path / "model")
    encoder = load_encoder(str(path))
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, ImageEncoder)
    assert (encoder.dimension, encoder.nesting) == (DIMENSION, Nesting((8, 16, 32)))
    model, tokenizer = AutoModel.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)
    processor = AutoImageProcessor.from_pretrained(path, backend="pil")
    with torch.inference_mode():
        pixels = processor(images, return_tensors="pt")
        theirs = unit(model.get_image_features(**pixels))
        # SigLIP pads all texts to one length; padding makes no difference to CLIP.
        words = tokenizer(TEXTS, padding="max_length", return_tensors="pt")
        their_texts = unit(model.get_text_features(input_ids=words["input_ids"]))
    ours = encoder.encode_images(images)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_queries(TEXTS), their_texts, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_documents(TEXTS[1:]), their_texts[1:], atol=1e-5)
    assert encoder.encode_images([]).shape == encoder.encode_queries([]).shape == (0, DIMENSION)


def test_a_vision_model_has_only_an_image_side(vit_directory, images):
    path = vit_directory
    encoder = load_encoder(str(path), nesting=Nesting((4, DIMENSION)))
    assert isinstance(encoder, ImageEncoder)
    assert encoder.nesting.sizes == (4, DIMENSION)
    with torch.inference_mode():
        pixels = AutoImageProcessor.from_pretrained(path, backend="pil")(images, return_tensors="pt")
        theirs = AutoModel.from_pretrained(path, add_pooling_layer=False).eval()(**pixels).last_hidden_state.mean(1)
    ours = encoder.encode_images(images)
    np.testing.assert_allclose(ours, theirs / theirs.norm(dim=-1, keepdim=True), atol=1e-5)
    with pytest.raises(InvalidOptionError, match="encodes images only, not 'two': give an image"):
        encoder.encode_queries(["two"])


def test_a_query_that_is_the_url_or_path_of_an_image_is_a_text(clip, tmp_path, images):
    path = tmp_path / "five.png"
    images[0].save(path)
    unknown = clip.encode_queries(["never-seen"])
    for text in (str(path), "http://127.0.0.1:9/five.png", "data:image/png;base64,AAAA", "http://127.0.0.1:9/a.mp4"):
        np.testing.assert_allclose(clip.encode_queries([text]), unknown, atol=1e-6)


def test_prompts_go_before_texts_and_not_before_images(clip, clip_directory, images):
    prompted = load_encoder(str(clip_directory), query_prompt="a photo of ", document_prompt="a ")
    np.testing.assert_allclose(prompted.encode_queries(["two"]), clip.encode_queries(["a photo of two"]), atol=1e-6)
    np.testing.assert_allclose(prompted.encode_documents(["two"]), clip.encode_queries(["a two"]), atol=1e-6)
    np.testing.assert_array_equal(prompted.encode_images(images[:2]), clip.encode_images(images[:2]))
    assert prompted.content_hash != clip.content_hash


def test_the_content_hash_follows_weights_and_pixels_and_not_what_was_encoded(clip_directory, images):
    first, second, third, fourth = (load_encoder(str(clip_directory)) for _ in range(4))
    second.encode_queries(["two", "a photo of two"])  # leaves padding set in the tokenizer
    second.encode_images(images[:1])
    assert first.content_hash == second.content_hash
    with torch.no_grad():
        next(third.model.parameters()).add_(0.1)
    fourth.model[0].processor.image_processor.image_mean = [0.5, 0.5, 0.5]
    assert len({encoder.content_hash for encoder in (first, third, fourth)}) == 3


def test_the_content_hash_of_a_model_whose_file_lacks_a_pooler_is_the_same_at_every_load(vit_directory):
    assert load_encoder(str(vit_directory)).content_hash == load_encoder(str(vit_directory)).content_hash


def test_an_image_model_is_not_trained_or_distilled_on_texts(clip_directory, tmp_path):
    clip, pairs = str(clip_directory), [Pair(f"q{i}", f"d{i}") for i in range(40)]
    with pytest.raises(
        TrainingError, match="encodes images and cannot be trained on texts: give a folder of labelled images"
    ):
        train(pairs, clip, tmp_path / "out", TrainingOptions())
    with pytest.raises(ModelError, match="encodes images: give a model of texts"):
        distill(["a text"], [], clip, tmp_path / "out", DistillationOptions())
