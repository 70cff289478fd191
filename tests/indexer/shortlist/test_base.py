import numpy as np
import pytest

from indexer.shortlist import KINDS, shortlist_type
from indexer.shortlist.base import Candidates, Shortlist, ShortlistOptions
from models import InvalidOptionError


class NoOptions(ShortlistOptions):
    pass


class Constant(Shortlist[NoOptions]):
    """Finds row 7 for every query."""

    kind, file_name, options_type = "constant", "constant", NoOptions

    @classmethod
    def build(cls, prefixes, options):
        return cls()

    @classmethod
    def load(cls, path):
        return cls()

    def save(self, path):
        path.touch()

    def _search(self, prefixes, candidates, effort, allowed, threads):
        self.searched = (candidates, effort, allowed, threads)
        return Candidates(np.ones((len(prefixes), candidates)), np.full((len(prefixes), candidates), 7))

    def efforts(self, candidates):
        return [1]

    def comparisons(self, prefixes, candidates, effort=None):
        return 1.0

    memory_bytes = 8


class Scan(Constant):
    exact = True


QUERY = np.ones((1, 2), np.float32)


def test_arguments_left_out_have_defaults():
    structure = Constant()
    assert structure.search(QUERY, 3).rows.tolist() == [[7, 7, 7]]
    assert structure.searched == (3, None, None, 1)


def test_an_effort_below_one_is_refused_unless_it_means_nothing():
    with pytest.raises(InvalidOptionError, match="effort 0: give at least 1") as caught:
        Constant().search(QUERY, 3, 0)
    assert caught.value.param == "effort"
    assert Scan().search(QUERY, 3, 0).rows.shape == (1, 3)


def test_only_an_exact_structure_has_exact_scores_unless_it_says_otherwise():
    assert (Constant().exact_scores, Constant().close_scores) == (False, False)
    assert (Scan().exact_scores, Scan().close_scores) == (True, True)


def test_a_structure_runs_everywhere_unless_it_says_otherwise():
    assert Constant.unavailable() is None
    assert Constant().describe() == {"kind": "constant", "memory_bytes": 8}


@pytest.mark.parametrize("kind", KINDS)
def test_the_type_parameter_of_a_structure_is_its_options_type(kind):
    structure = shortlist_type(kind)
    (base,) = structure.__orig_bases__
    assert base.__args__ == (structure.options_type,)
    assert structure.options_type.model_config["frozen"]
    assert structure.options_type.model_config["extra"] == "forbid"
