"""Helpers of the tests of lexical search: a naive BM25, and scores of an opened index by id."""

import math
from collections import Counter

import numpy as np

from indexer import LexicalOptions, parse_filter
from indexer.lexical import LexicalIndex, write_lexical
from indexer.lexical.base import K1, B
from indexer.search.results import StageClock
from tests.conftest import make_encoder, make_texts

ENCODER = make_encoder()
TEXTS = make_texts(60)
LEXICAL = LexicalOptions()


def naive(query, documents, base):
    """BM25 of documents with the statistics of ``base``, in Lucene's variant; words are separated by spaces."""
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
    """Positive BM25 scores by id."""
    view = index.view
    selection = condition and view.select(parse_filter(condition), StageClock())
    scores, ids = view.lexical.scores(query, view.delta, selection), view.ids()
    return {ids[row]: float(scores[row]) for row in np.flatnonzero(scores)}


def lexical_index(folder, texts, options=LexicalOptions(fields=("text",))):  # noqa: B008 - frozen
    facts = write_lexical(folder, [{"text": text} for text in texts], options)
    return LexicalIndex(folder, len(texts), facts)
