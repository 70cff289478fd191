import pytest
import torch
from torch import nn

from models import TrainingError
from models.progress import Evaluated, Step, TrainingStarted
from models.training.checkpoints import BestWeights, Checkpoints
from models.training.loop import LoopOptions, TrainingLoop, TrainingTask


class Quadratic(TrainingTask):
    """Moves a number towards 1; the score of each evaluation comes from a list, or is the number."""

    sizes, weights, training, validation, metric = (2, 4), (3.0, 1.0), 10, 5, "accuracy"
    advice = "lower the learning rate"

    def __init__(self, scores=None, loss_of=lambda number: 1.0):
        torch.manual_seed(0)
        self.module = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.module.weight)
        self.optimizer = torch.optim.SGD(self.module.parameters(), lr=0.1)
        self.scores, self.loss_of, self.rates = scores, loss_of, []

    @property
    def value(self):
        return float(self.module.weight.detach())

    def step(self, number):
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        loss = ((self.module.weight - 1) ** 2).sum() * self.loss_of(number)
        loss.backward()
        return loss, {2: loss, 4: 2 * loss}

    def evaluate(self):
        score = self.value if self.scores is None else self.scores.pop(0)
        return {2: score, 4: score}


def run(task, kept=None, report=None, **options):
    events = []

    def record(event):
        events.append(event)
        if report:
            report(event)

    loop = TrainingLoop(task, LoopOptions(**{"steps": 6, **options}), kept or BestWeights(), report=record)
    return loop, loop.run(), events


def of_type(kind, events):
    return [event for event in events if isinstance(event, kind)]


def interrupt_at(step):
    def report(event):
        if isinstance(event, Step) and event.step == step:
            raise KeyboardInterrupt

    return report


def test_a_run_reports_its_steps_and_evaluations():
    loop, stopped, events = run(Quadratic(), evaluate_every=4)
    assert stopped == "finished"
    assert events[0] == TrainingStarted(steps=6, done=0, training=10, validation=5, sizes=(2, 4))
    assert [event.step for event in of_type(Step, events)] == list(range(1, 7))
    assert of_type(Step, events)[0].losses == {2: 1.0, 4: 2.0}
    evaluations = of_type(Evaluated, events)
    assert [event.step for event in evaluations] == [4, 6], "the last step is evaluated too"
    steps = of_type(Step, events)
    assert evaluations[1].losses[2] == pytest.approx((steps[4].loss + steps[5].loss) / 2)
    assert [entry["step"] for entry in loop.progress.history] == [4, 6]
    assert loop.progress.history[0]["accuracy"].keys() == {"2", "4"}


def test_the_learning_rate_follows_the_schedule_of_the_task():
    task = Quadratic()
    run(task, steps=20)
    assert task.rates == pytest.approx([0.1 * task.rate(number, 0, 20) for number in range(20)])
    assert task.rates[0] < task.rates[1] > task.rates[-1]


def test_the_best_evaluation_is_kept_and_patience_ends_the_run():
    task, kept = Quadratic(scores=[0.2, 0.9, 0.5, 0.9, 0.1, 0.1]), BestWeights()
    values = []
    _, stopped, events = run(
        task, kept, lambda event: values.append(task.value), steps=50, evaluate_every=1, patience=2
    )
    assert stopped == "early stop"
    assert [event.best for event in of_type(Evaluated, events)] == [True, True, False, False]
    progress = kept.load_best(task.module)
    assert (progress.best, progress.best_step, progress.step) == (0.9, 2, 4)
    assert task.value == values[[type(event) for event in events].index(Evaluated, 3)]


def test_the_mean_is_weighted_by_size():
    task = Quadratic()
    task.evaluate = lambda: {2: 1.0, 4: 0.0}
    _, _, events = run(task, steps=1, evaluate_every=1)
    assert of_type(Evaluated, events)[0].mean == 0.75


def test_initial_weights_can_be_the_best():
    task, kept = Quadratic(scores=[0.9, 0.5]), BestWeights()
    run(task, kept, steps=1, evaluate_every=1, evaluate_first=True)
    assert kept.load_best(task.module).best_step == 0
    assert task.value == 0


@pytest.mark.parametrize(("whole_periods", "steps"), [(False, 1), (True, 4)])
def test_a_time_limit_ends_the_run_after_an_evaluation(whole_periods, steps):
    _, stopped, events = run(Quadratic(), steps=100, evaluate_every=4, max_seconds=1e-9, whole_periods=whole_periods)
    assert stopped == "time limit"
    assert [event.step for event in of_type(Evaluated, events)] == [steps]
    assert len(of_type(Step, events)) == steps


def test_without_time_nothing_is_trained():
    _, stopped, events = run(Quadratic(), max_seconds=0.0)
    assert (stopped, len(events)) == ("time limit", 1)


def test_the_share_of_a_run_is_by_time_if_that_is_further():
    task, shares = Quadratic(), []
    task.rate = lambda number, share, total: shares.append((number, share)) or 0.0
    run(task, steps=4, max_seconds=1e-9)
    assert shares[0][1] > 0.25
    shares.clear()
    run(task, steps=4, max_seconds=1e9)
    assert [share for _, share in shares] == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=1e-6)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_before_the_weights_change(loss):
    task = Quadratic(loss_of=lambda number: loss if number == 2 else 1.0)
    before = []
    with pytest.raises(TrainingError, match=f"the loss became {loss} at step 2: lower the learning rate"):
        run(task, report=lambda event: before.append(task.value))
    assert task.value == before[-1]


class TestInterrupts:
    def test_the_best_so_far_is_kept(self):
        task, kept = Quadratic(), BestWeights()
        loop, stopped, _ = run(task, kept, interrupt_at(5), evaluate_every=2)
        assert (stopped, loop.progress.step) == ("interrupted", 5)
        assert kept.load_best(task.module).best_step == 4

    def test_before_the_first_evaluation_there_is_nothing_to_keep(self):
        with pytest.raises(KeyboardInterrupt):
            run(Quadratic(), report=interrupt_at(1), evaluate_every=2)

    def test_they_can_be_passed_on(self):
        with pytest.raises(KeyboardInterrupt):
            run(Quadratic(), report=interrupt_at(5), evaluate_every=2, keep_on_interrupt=False)

    def test_a_run_without_evaluations_saves_a_checkpoint(self, tmp_path):
        options = {"keep_on_interrupt": False, "checkpoint_seconds": 60.0}
        with pytest.raises(KeyboardInterrupt):
            run(Quadratic(), Checkpoints(tmp_path), interrupt_at(3), **options)
        whole, resumed = Quadratic(), Quadratic()
        run(whole)
        _, _, events = run(resumed, Checkpoints(tmp_path), **options)
        assert [event.step for event in of_type(Step, events)] == [4, 5, 6]
        assert resumed.value == whole.value
        assert resumed.rates == whole.rates[3:]


def test_checkpoints_are_saved_from_time_to_time(tmp_path):
    run(Quadratic(), Checkpoints(tmp_path), checkpoint_seconds=0.0)
    assert Checkpoints(tmp_path).peek().step == 6


def test_a_resumed_run_goes_on_from_the_last_evaluation(tmp_path):
    run(Quadratic(), Checkpoints(tmp_path), interrupt_at(5), evaluate_every=2)
    whole, resumed = Quadratic(), Quadratic()
    run(whole, evaluate_every=2)
    loop, stopped, events = run(resumed, Checkpoints(tmp_path), evaluate_every=2)
    assert stopped == "finished"
    assert events[0].done == 4
    assert [event.step for event in of_type(Step, events)] == [5, 6]
    assert [entry["step"] for entry in loop.progress.history] == [2, 4, 6]
    assert resumed.value == whole.value


def test_a_process_that_does_not_save_leaves_no_files(tmp_path):
    loop = TrainingLoop(
        Quadratic(), LoopOptions(steps=2, evaluate_every=1), Checkpoints(tmp_path / "none"), saves=False
    )
    assert loop.run() == "finished"
    assert not (tmp_path / "none").exists()


def test_all_processes_take_the_same_answer_about_time():
    loop = TrainingLoop(Quadratic(), LoopOptions(steps=5, max_seconds=1e9), BestWeights(), agree=lambda late: True)
    assert (loop.run(), loop.progress.step) == ("time limit", 1)


def test_a_task_without_evaluations_has_none():
    class Bare(Quadratic):
        evaluate = TrainingTask.evaluate

    with pytest.raises(NotImplementedError):
        Bare().evaluate()
