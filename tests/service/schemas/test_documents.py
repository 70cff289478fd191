import pytest
from pydantic import ValidationError

from service.schemas.documents import BulkAnswer, DeleteAnswer, DeleteRequest, LineReport


def report(line, result):
    return LineReport(line=line, id=str(line), result=result, reason=None)


def test_reports_are_appended_and_counted():
    answer = BulkAnswer()
    answer.extend([report(1, "added"), report(2, "rejected")])
    answer.extend([report(3, "added"), report(4, "replaced")])
    assert (answer.added, answer.replaced, answer.rejected) == (2, 1, 1)
    assert [line.line for line in answer.lines] == [1, 2, 3, 4]
    assert BulkAnswer().lines == []


def test_an_id_given_twice_is_missing_once():
    assert DeleteAnswer.from_count(["a", "b", "b", "c"], 1).model_dump() == {"deleted": 1, "missing": 2}


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": "a"}, {"ids": [3]}, {"ids": ["a"], "force": True}])
def test_ids_are_a_list_of_texts(body):
    with pytest.raises(ValidationError):
        DeleteRequest.model_validate(body)
