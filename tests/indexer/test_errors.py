import inspect
import re

from indexer import errors
from models.errors import AdaptiveRetrievalError


def test_the_drawing_is_the_tree():
    drawn, parents = {}, {-1: "AdaptiveRetrievalError"}
    for branch, name in re.findall(r"^([│ ]*[├└]── )(\w+)", errors.__doc__, re.MULTILINE):
        depth = len(branch) // 4 - 1
        drawn[name], parents[depth] = parents[depth - 1], name
    classes = inspect.getmembers(errors, lambda found: inspect.isclass(found) and found is not AdaptiveRetrievalError)
    assert drawn == {name: found.__mro__[1].__name__ for name, found in classes}


def test_a_rejected_row_is_not_taken_for_a_bug_and_want_of_memory_is_a_memory_error():
    assert not issubclass(errors.RejectedRowError, ValueError)
    assert issubclass(errors.OutOfMemoryError, MemoryError)
    assert issubclass(errors.PrunedError, AdaptiveRetrievalError)
