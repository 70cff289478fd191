import numpy as np
import pytest
import torch
from PIL import Image

from models import InvalidOptionError, Nesting, Prompts, truncate
from models.classifier.vision_model import base_vision_model, new_vision_model
from models.encoders.image import ImageModelEncoder

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8))


def test_a_new_model_is_its_network_mean_pooling_and_a_linear_map():
    torch.manual_seed(0)
    model = new_vision_model(12, 16, "cpu").eval()
    network, dense = model[0], model[2].linear.weight.detach()
    with torch.inference_mode():
        pixels = network.preprocess([NOISE])["pixel_values"]
        assert pixels.shape == (1, 3, 16, 16)
        expected = network.model(pixels).last_hidden_state.mean((2, 3)) @ dense.T
    encoder = ImageModelEncoder("new", model, Nesting((4, 12)), Prompts())
    np.testing.assert_allclose(encoder.encode_images([NOISE]), truncate(expected.numpy(), 12), atol=1e-5)


def test_weights_follow_the_seed():
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        weights.append(next(new_vision_model(8, 16, "cpu").parameters()).detach().numpy())
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_a_base_gets_a_map_only_if_its_dimension_differs(vit_directory):
    assert len(base_vision_model(str(vit_directory), 32, "cpu")) == 2
    model = base_vision_model(str(vit_directory), 12, "cpu")
    assert len(model) == 3
    assert ImageModelEncoder("base", model, None, Prompts()).encode_images([NOISE]).shape == (1, 12)


def test_a_base_without_an_image_side_is_refused():
    with pytest.raises(InvalidOptionError, match="base 'wordllama' encodes no images: give a vision model, or no base"):
        base_vision_model("wordllama", 64, "cpu")
