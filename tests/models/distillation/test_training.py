import numpy as np
import pytest
import torch

from models import Nesting, TrainingError
from models.data.pairs import Pair
from models.distillation.training import StudentTask, TokenLists, distillation_loss, ranking_loss, train_student
from models.progress import Step, silent
from models.training.checkpoints import Checkpoints
from models.training.trainable import as_trainable
from tests.conftest import make_encoder, make_texts
from tests.models.distillation.teachers import options


@pytest.mark.parametrize("sizes", [(4, 8), (4, 16), (8, 24)])
def test_the_loss_is_zero_for_the_teachers_own_vectors_and_only_there(sizes):
    torch.manual_seed(0)
    targets = torch.zeros(6, 16)
    targets[:, :4] = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    student = torch.nn.functional.pad(targets, (0, 8))[:, : sizes[-1]]
    assert float(distillation_loss(3 * student, targets, Nesting(sizes))) == pytest.approx(0, abs=1e-5)
    assert float(distillation_loss(torch.randn(6, sizes[-1]), targets, Nesting(sizes))) > 0.5


def test_the_ranking_loss_is_zero_where_short_prefixes_rank_as_the_teacher_does_and_ignores_the_rest():
    torch.manual_seed(0)
    targets = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    nesting = Nesting((2, 4, 16))
    alike = torch.cat([targets, torch.randn(6, 12)], dim=1)
    assert float(ranking_loss(3 * alike, targets, Nesting((4, 16)), 0.05)) == pytest.approx(0, abs=1e-5)
    assert float(ranking_loss(alike, targets, nesting, 0.05)) > 0.01, "a prefix of 2 cannot"
    assert float(ranking_loss(alike, targets, Nesting((8, 16)), 0.05)) > 0.01, "the first size, where all are long"
    # Computed directly: each row's softmax over the five other rows, at size 4.
    student = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    expected = 0.0
    for row in range(6):
        others = [other for other in range(6) if other != row]
        wanted = torch.softmax(targets[row] @ targets[others].T / 0.5, dim=0)
        found = torch.softmax(student[row] @ student[others].T / 0.5, dim=0)
        expected += float((wanted * (wanted / found).log()).sum()) / 6
    padded = torch.nn.functional.pad(student, (0, 12))
    assert float(ranking_loss(padded, targets, Nesting((4, 16)), 0.5)) == pytest.approx(expected, rel=1e-4)


@pytest.fixture
def make_task():
    """A function that makes a task of 120 texts, whose targets are rotated vectors of their own table."""

    def make(**changes):
        texts, encoder = make_texts(120), make_encoder()
        targets = encoder.encode_documents(texts)[:, ::-1].copy()
        pairs = [Pair(text.split()[0], text) for text in texts]
        chosen = options(**{"nesting": Nesting((8, 32)), "steps": 12, **changes})
        return StudentTask(as_trainable(encoder, "cpu"), texts, targets, pairs, chosen)

    return make


def test_token_lists_give_the_arguments_of_an_embedding_bag():
    lists = TokenLists(make_encoder().tokenizer, ["w1 w2", "w3", "w4 w5 w6"])
    tokens, offsets = lists.batch(np.array([2, 0]), torch.device("cpu"))
    assert tokens.tolist() == [4, 5, 6, 1, 2]
    assert offsets.tolist() == [0, 3]


def test_an_interrupted_training_resumes_to_the_same_table(make_task, tmp_path):
    def interrupt(event):
        if isinstance(event, Step) and event.step == 5:
            raise KeyboardInterrupt

    whole = make_task()
    train_student(whole, Checkpoints(tmp_path / "whole"), {}, max_seconds=None, report=silent)
    with pytest.raises(KeyboardInterrupt):
        train_student(make_task(), Checkpoints(tmp_path / "run"), {}, max_seconds=None, report=interrupt)
    resumed, events = make_task(), []
    progress = train_student(resumed, Checkpoints(tmp_path / "run"), {}, max_seconds=None, report=events.append)
    assert [event.step for event in events if isinstance(event, Step)] == list(range(6, 13))
    assert (progress.step, progress.history) == (12, [{"texts": 120}])
    np.testing.assert_allclose(resumed.table(), whole.table(), atol=1e-5)  # threads add gradients in any order


def test_without_time_left_nothing_is_trained(make_task, tmp_path):
    task = make_task()
    before = task.table().copy()
    assert train_student(task, Checkpoints(tmp_path), {}, max_seconds=-1.0, report=silent).step == 0
    np.testing.assert_array_equal(task.table(), before)


@pytest.mark.parametrize(("contrast", "ranking", "pairs"), [(0.0, 1.0, 0), (0.3, 0.0, 120)])
def test_a_loss_of_weight_0_is_left_out(make_task, contrast, ranking, pairs):
    task = make_task(contrast=contrast, ranking=ranking)
    assert task.pair_count == pairs
    loss, by_size = task.step(0)
    assert torch.isfinite(loss)
    assert by_size == {}
    assert task._embedding.weight.grad.is_sparse


def test_a_loss_that_is_not_finite_is_refused_with_advice(make_task, tmp_path):
    with pytest.raises(TrainingError, match=r"the loss became \w+ at step 0: lower --learning-rate 0.02 or raise"):
        train_student(make_task(temperature=1e-39), Checkpoints(tmp_path), {}, max_seconds=None, report=silent)
