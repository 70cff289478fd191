"""The interface of encoders, over every encoder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from models import Encoder, ImageEncoder, InvalidOptionError, ModelError, Nesting, Prompts, load_encoder
from models.encoders.base import TokenEncoder
from tests.models.image_models import digits


@dataclass
class Case:
    """An encoder's directory and what is known of it."""

    directory: Path
    dimension: int
    texts: tuple[str, str, str]
    prompt: str  # made of words the model knows


WORDS = ("w1 w2", "w3", "w4 w5 w6")


@pytest.fixture(params=["static", "transformer", "clip"])
def case(request, model_directory, transformer_directory, clip_directory):
    return {
        "static": Case(model_directory, 32, WORDS, "w9 "),
        "transformer": Case(transformer_directory, 16, WORDS, "w9 "),
        "clip": Case(clip_directory, 32, ("two", "a photo of five", "nine"), "photo of "),
    }[request.param]


@pytest.fixture
def loaded(case):
    return load_encoder(str(case.directory), query_prompt="", document_prompt="", device="cpu")


@pytest.fixture(params=["clip", "vit"])
def image_encoder(request, clip_directory, vit_directory):
    return load_encoder({"clip": clip_directory, "vit": vit_directory}[request.param], device="cpu")


def test_it_is_an_encoder_with_its_facts(case, loaded):
    assert isinstance(loaded, Encoder)
    assert isinstance(loaded, TokenEncoder)
    assert loaded.name == str(case.directory)
    assert loaded.dimension == case.dimension
    assert loaded.nesting == Nesting.halving(case.dimension)
    assert loaded.prompts == Prompts()


def test_vectors_are_unit_rows_of_float32(case, loaded):
    for encode in (loaded.encode_documents, loaded.encode_queries):
        vectors = encode(list(case.texts))
        assert (vectors.dtype, vectors.shape) == (np.float32, (3, case.dimension))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert encode([]).shape == (0, case.dimension)


def test_a_single_text_is_not_taken_for_a_list_of_letters(loaded):
    for encode in (loaded.encode_documents, loaded.encode_queries):
        with pytest.raises(InvalidOptionError, match=r"texts given as a single value \('moon'\): pass a list"):
            encode("moon")


def test_a_text_has_the_same_vector_alone_and_in_a_batch(case, loaded):
    together = loaded.encode_documents(list(case.texts))
    alone = np.concatenate([loaded.encode_documents([text]) for text in case.texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert len({tuple(row) for row in alone.round(3).tolist()}) == 3


def test_prompts_go_before_the_texts(case, loaded):
    text = case.texts[0]
    prompted = load_encoder(case.directory, query_prompt=case.prompt, document_prompt="", device="cpu")
    expected = loaded.encode_queries([case.prompt + text])
    np.testing.assert_allclose(prompted.encode_queries([text]), expected, atol=1e-6)
    np.testing.assert_allclose(prompted.encode_documents([text]), loaded.encode_documents([text]), atol=1e-6)
    reverse = load_encoder(case.directory, query_prompt="", document_prompt=case.prompt, device="cpu")
    np.testing.assert_allclose(reverse.encode_documents([text]), expected, atol=1e-6)
    assert len({encoder.content_hash for encoder in (loaded, prompted, reverse)}) == 3


def test_the_content_hash_is_the_same_at_every_load_and_after_use(case, loaded):
    loaded.encode_queries(list(case.texts))
    assert loaded.tokenizer is not None
    again = load_encoder(case.directory, query_prompt="", document_prompt="", device="cpu")
    assert again.content_hash == loaded.content_hash
    assert len(again.content_hash) == 64


def test_a_given_nesting_must_end_at_the_dimension(case):
    given = Nesting((4, case.dimension))
    assert load_encoder(case.directory, nesting=given, device="cpu").nesting == given
    with pytest.raises(ModelError, match=rf"has {case.dimension} dimensions, but its nesting \[8, 64\] ends at 64"):
        load_encoder(case.directory, nesting=Nesting((8, 64)), device="cpu")


def test_images_become_unit_rows_alone_and_in_a_batch(image_encoder):
    images = [image.convert("RGB") for image in digits(40)[0]]
    assert isinstance(image_encoder, ImageEncoder)
    vectors = image_encoder.encode_images(images)  # more than a batch
    assert (vectors.dtype, vectors.shape) == (np.float32, (40, 32))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(image_encoder.encode_images(images[-1:]), vectors[-1:], atol=1e-5)
    assert image_encoder.encode_images([]).shape == (0, 32)


@pytest.mark.parametrize(
    ("own", "query", "document", "expected"),
    [
        ({"query": "q: ", "document": "d: "}, None, None, Prompts("q: ", "d: ")),
        ({"query": "q: ", "document": None}, None, None, Prompts("q: ", "")),
        ({}, None, None, Prompts("", "")),
        ({"query": "q: ", "document": "d: "}, "", "x ", Prompts("", "x ")),
    ],
    ids=["own", "none", "absent", "replaced"],
)
def test_own_prompts_are_used_unless_replaced(own, query, document, expected):
    assert Prompts.chosen(own, query, document) == expected
