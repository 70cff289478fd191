import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import BuildOptions, Corpus, Index, LexicalOptions, build_index
from indexer.errors import BuildError, BundleCorruptError
from indexer.lexical import LEXICAL_FILES
from indexer.progress import BuildingLexicalIndex
from indexer.storage.manifest import FILE_NAME, Manifest
from tests.conftest import make_index, write_lines
from tests.indexer.lexical.samples import ENCODER, LEXICAL, TEXTS, lexical_index, naive

words = st.sampled_from(["a", "b", "c", "d", "ee"])


texts_of_words = st.lists(words, max_size=8).map(" ".join)


@given(base=st.lists(texts_of_words, min_size=1, max_size=6), query=texts_of_words)
def test_scores_are_those_of_the_formula(tmp_path_factory, base, query):
    base = [*base, "a"]  # one word at least, so that there is a mean length
    index = lexical_index(tmp_path_factory.mktemp("lexical"), base)
    scores = np.zeros(len(base), np.float32)
    index.add_scores(Counter(index.words.of_text(query)), scores)
    assert scores == pytest.approx(naive(query, base, base), rel=1e-5)


@pytest.mark.parametrize("texts", [[], [""], ["", "- !"]])
def test_documents_without_words_can_be_indexed(tmp_path, texts):
    index = lexical_index(tmp_path, texts)
    scores = np.zeros(len(texts), np.float32)
    index.add_scores(Counter({"a": 1, "": 1}), scores)
    assert not scores.any()
    assert (index.facts.words, index.facts.mean_length) == (0, 0)


def test_a_language_finds_other_forms_of_a_word(tmp_path):
    index = lexical_index(tmp_path, ["many wings", "one"], LexicalOptions(fields=("text",), language="english"))
    scores = np.zeros(2, np.float32)
    index.add_scores(Counter(index.words.of_text("a winged thing")), scores)
    assert scores[0] > 0 == scores[1]


def test_an_index_has_it_only_on_request_and_older_manifests_open(tmp_path):
    with make_index(tmp_path, TEXTS[:5], ENCODER) as index:
        assert index.view.lexical is None
        assert not [name for name in index.manifest.files if name in LEXICAL_FILES]
        path = index.opened.path / FILE_NAME
    content = json.loads(path.read_text())
    del content["lexical"], content["checksum"]
    path.write_text(json.dumps(content))
    with Index.open(path.parents[2], encoder=ENCODER) as index:
        assert index.manifest.lexical is None


def test_its_files_are_in_the_manifest_and_checked(tmp_path):
    with make_index(tmp_path, TEXTS[:5], ENCODER, lexical=LEXICAL) as index:
        folder, manifest = index.opened.path, index.manifest
    assert manifest.lexical.fields == ("title", "text")
    assert set(LEXICAL_FILES) <= manifest.files.keys()
    assert manifest.differing_files(folder) == []
    scores = folder / LEXICAL_FILES[0]
    content = bytearray(scores.read_bytes())
    content[-1] ^= 1
    scores.write_bytes(content)
    assert manifest.differing_files(folder) == [LEXICAL_FILES[0]]
    content[:6] = b"broken"
    scores.write_bytes(content)
    with pytest.raises(BundleCorruptError, match=rf"{LEXICAL_FILES[0]} differ from the manifest"):
        Index.open(tmp_path / "index", encoder=ENCODER)
    with pytest.raises(BundleCorruptError, match="cannot read the lexical index"):
        Index.open(tmp_path / "index", encoder=ENCODER, verify="sizes")


def test_an_interrupted_build_with_other_words_is_refused(tmp_path):
    corpus = Corpus([write_lines(tmp_path / "c.jsonl", [{"_id": str(i), "text": t} for i, t in enumerate(TEXTS)])])

    def interrupt(event):
        if isinstance(event, BuildingLexicalIndex):
            raise KeyboardInterrupt

    options = BuildOptions(dims=16, lexical=LEXICAL)
    with pytest.raises(KeyboardInterrupt):
        build_index(corpus, ENCODER, tmp_path / "index", options, report=interrupt)
    with pytest.raises(BuildError, match="differs in lexical"):
        build_index(corpus, ENCODER, tmp_path / "index", BuildOptions(dims=16))
    result = build_index(corpus, ENCODER, tmp_path / "index", options)
    assert result.resumed_rows == len(TEXTS)
    assert Manifest.read(result.path).lexical.words == len({word for text in TEXTS for word in text.split()})


def test_a_rare_word_weighs_more_and_a_long_document_less(tmp_path):
    index = lexical_index(tmp_path, ["a b", "a", "a c c"])
    assert index.inverse_frequency("z") > index.inverse_frequency("b") > index.inverse_frequency("a") > 0
    short, long = index.weigh(np.array([1, 1], np.float32), np.array([1, 9], np.float32))
    assert short > long > 0
