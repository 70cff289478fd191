import pytest

from indexer.lexical import Words
from indexer.lexical.words import check_language
from models import InvalidOptionError


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


def test_a_language_gives_forms_of_a_word_the_same_stem():
    assert Words(("text",), "english").of_text("Wings winged") == ["wing", "wing"]


def test_a_language_without_a_stemmer_is_refused():
    check_language("english")
    with pytest.raises(InvalidOptionError, match=r"language 'klingon': give one of .*english"):
        check_language("klingon")
