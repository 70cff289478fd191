"""How good a representation is at each of its sizes: on pairs of texts, and on labels (``models.evaluation.labels``).

What needs scikit-learn is imported from its own module by those who use it.
"""

from models.evaluation.pairs import PairScore, evaluate_pairs, measure_pairs, pair_ndcg

__all__ = ["PairScore", "evaluate_pairs", "measure_pairs", "pair_ndcg"]
