"""The lexical index: its words, its scores, and that updates change what it finds."""

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import BuildOptions, Corpus, Document, Generations, Index, LexicalOptions, build_index, parse_filter
from indexer.building.compact import compact_index
from indexer.errors import BuildError, BundleCorruptError
from indexer.lexical import LEXICAL_FILES, LexicalIndex, Words, write_lexical
from indexer.lexical.base import K1, B
from indexer.progress import BuildingLexicalIndex
from indexer.search.results import StageClock
from indexer.storage.manifest import FILE_NAME, Manifest
from models import InvalidOptionError
from tests.conftest import make_encoder, make_index, make_texts, write_lines

ENCODER = make_encoder()
TEXTS = make_texts(60)
LEXICAL = LexicalOptions()


def naive(query, documents, base):
    """BM25 of documents by the statistics of ``base``, in Lucene's variant; words are what spaces part."""
    mean = sum(len(text.split()) for text in base) / len(base)
    scores = []
    for text in documents:
        counts, length = Counter(text.split()), len(text.split())
        score = 0.0
        for word in query.split():
            having = sum(word in other.split() for other in base)
            frequency = math.log(1 + (len(base) - having + 0.5) / (having + 0.5))
            score += frequency * counts[word] / (K1 * (1 - B + B * length / mean) + counts[word])
        scores.append(score)
    return scores


def scores_of(index, query, condition=None):
    """BM25 by id, where it is over 0."""
    view = index.view
    selection = condition and view.select(parse_filter(condition), StageClock())
    scores, ids = view.lexical.scores(query, view.delta, selection), view.ids()
    return {ids[row]: float(scores[row]) for row in np.flatnonzero(scores)}


def document(identifier, text, **payload):
    return Document(identifier, text, {"text": text, **payload})


def lexical_index(folder, texts, options=LexicalOptions(fields=("text",))):  # noqa: B008 - frozen
    facts = write_lexical(folder, [{"text": text} for text in texts], options)
    return LexicalIndex(folder, len(texts), facts)


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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Straße, STRASSE", ["strasse", "strasse"]),
        ("ﬁne \uff46\uff49\uff4e\uff45", ["fine", "fine"]),
        ("C++ x_1 don't", ["c", "x_1", "don", "t"]),
        ('"a" OR (b* NEAR:c)^2 -- \0 🙂', ["a", "or", "b", "near", "c", "2"]),
        ("東京 мир", ["東京", "мир"]),
        ("", []),
    ],
)
def test_words_of_a_text(text, found):
    assert Words(("text",), None).of_text(text) == found


def test_words_come_from_the_named_fields_also_within_objects_and_lists():
    payload = {"text": "one", "meta": {"keys": ["two", 3, None], "other": "four"}, "title": 5}
    assert Words(("title", "text", "meta.keys", "none"), None).of_payload(payload) == ["one", "two"]


def test_a_language_finds_other_forms_of_a_word(tmp_path):
    index = lexical_index(tmp_path, ["many wings", "one"], LexicalOptions(fields=("text",), language="english"))
    scores = np.zeros(2, np.float32)
    index.add_scores(Counter(index.words.of_text("a winged thing")), scores)
    assert scores[0] > 0 == scores[1]


@pytest.mark.parametrize(
    ("options", "param", "message"),
    [
        ({"language": "klingon"}, "language", "'klingon': give one of .*english"),
        ({"fields": ("_id",)}, "lexical", "'_id': name a field of the payload"),
        ({"fields": ("a\\",)}, "lexical", "ends in a backslash"),
    ],
)
def test_options_outside_their_bounds_are_named(options, param, message):
    with pytest.raises(InvalidOptionError, match=message) as raised:
        LexicalOptions(**options)
    assert raised.value.param == param


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


def test_fields_of_a_corpus_with_other_names(tmp_path):
    from indexer import Fields

    rows = [{"_id": "1", "the.text": "w1 w2", "other": "w3"}]
    corpus = Corpus([write_lines(tmp_path / "c.jsonl", rows)], Fields(text="the.text"))
    build_index(corpus, ENCODER, tmp_path / "index", BuildOptions(dims=16, lexical=LEXICAL))
    with Index.open(tmp_path / "index", encoder=ENCODER) as index:
        assert index.manifest.lexical.fields == ("title", "the\\.text")
        assert scores_of(index, "w1").keys() == {"1"}
        assert scores_of(index, "w3") == {}


def test_updates_are_found_and_what_they_hide_is_not(tmp_path):
    with make_index(tmp_path, TEXTS, ENCODER, lexical=LEXICAL) as index:
        query = f"{TEXTS[3]} {TEXTS[4]} fresh fresh"
        index.upsert([document("3", "fresh w1"), document("new", "fresh words fresh"), document("gone", "fresh")])
        index.delete(["4", "gone"])
        texts = {str(i): text for i, text in enumerate(TEXTS) if i not in (3, 4)}
        texts |= {"3": "fresh w1", "new": "fresh words fresh"}
        expected = dict(zip(texts, naive(query, texts.values(), TEXTS), strict=True))
        assert scores_of(index, query) == pytest.approx(
            {key: value for key, value in expected.items() if value}, rel=1e-5
        )

        # Another state sees what comes; the one before does not.
        before = index.view
        index.upsert([document("later", "fresh")])
        assert "later" in scores_of(index, "fresh")
        assert len(before.lexical.scores("fresh", before.delta, None)) == len(before.ids())
        assert np.count_nonzero(before.lexical.scores("fresh", before.delta, None)) == 2


def test_filters_hold_for_old_and_new_documents(tmp_path):
    rows = [{"_id": str(i), "text": "w1 w2", "n": i} for i in range(10)]
    corpus = Corpus([write_lines(tmp_path / "c.jsonl", rows)])
    build_index(corpus, ENCODER, tmp_path / "index", BuildOptions(dims=16, lexical=LEXICAL))
    with Index.open(tmp_path / "index", encoder=ENCODER) as index:
        index.upsert([document("10", "w1", n=10), document("11", "w1", n=2)])
        index.delete(["1"])
        assert scores_of(index, "w1", {"n": {"$lt": 3}}).keys() == {"0", "2", "11"}
        assert scores_of(index, "w1", {"n": {"$gte": 9}}).keys() == {"9", "10"}


def test_a_compaction_and_a_rollback_carry_it_along(tmp_path):
    with make_index(tmp_path, TEXTS, ENCODER, lexical=LexicalOptions(language="english")) as index:
        index.upsert([document("new", "fresh w1 w2")])
        index.delete(["0", "1"])
        ids = scores_of(index, "fresh w1 w2").keys()
        compact_index(index.root)
        assert index.reload()
        assert index.view.delta.untouched
        assert scores_of(index, "fresh w1 w2").keys() == ids
        assert index.manifest.lexical.language == "english"
        assert index.manifest.differing_files(index.opened.path) == []
        texts = [document.payload["text"] for document in index.view.fetch(range(len(index)))]
        query = "fresh w1"
        expected = [score for score in naive(query, texts, texts) if score]
        assert sorted(scores_of(index, query).values()) == pytest.approx(sorted(expected), rel=1e-5)
        Generations(index.root).rollback()
        assert index.reload()
        assert scores_of(index, "fresh w1 w2").keys() == ids


def test_everything_may_have_been_deleted_before_a_compaction(tmp_path):
    with make_index(tmp_path, TEXTS[:5], ENCODER, lexical=LEXICAL) as index:
        index.delete([str(i) for i in range(5)])
        compact_index(index.root)
        index.reload()
        assert scores_of(index, "w1") == {}
        index.upsert([document("a", "w1 w1"), document("b", "w1 w2")])
        found = scores_of(index, "w1")
        assert found["a"] > found["b"] > 0


def test_numbers_of_rows_given_anew_do_not_mix_documents_up(tmp_path, monkeypatch):
    monkeypatch.setattr("indexer.search.delta.PAGE", 1)
    with make_index(tmp_path, TEXTS[:5], ENCODER, lexical=LEXICAL) as index:
        for i in range(8):
            index.upsert([document("same", f"fresh{i}"), document(f"other {i % 2}", f"other{i}")])
            assert scores_of(index, f"fresh{i}").keys() == {"same"}
            assert scores_of(index, f"fresh{i - 1}") == {}
            assert scores_of(index, f"other{i}").keys() == {f"other {i % 2}"}


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
