"""Quality of a representation at each of its sizes: on pairs of texts, and on labels (``models.evaluation.labels``).

Modules that need scikit-learn or matplotlib are not imported here.
"""

from models.evaluation.pairs import PairScore, evaluate_pairs, measure_pairs, pair_ndcg

__all__ = ["PairScore", "evaluate_pairs", "measure_pairs", "pair_ndcg"]
