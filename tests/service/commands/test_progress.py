import pytest

from indexer.progress import BuildingShortlist, EncodingDocuments, Publishing
from models.progress import Evaluated, Event, Step, TrainingStarted
from service.commands.progress import BuildProgress, TrainingProgress


def tasks(display):
    return [(task.description, task.completed, task.total) for task in display._bar.tasks]


def test_each_stage_of_a_build_has_a_bar_that_ends_full():
    with BuildProgress(100) as progress:
        progress.report(EncodingDocuments(done=0))
        progress.report(EncodingDocuments(done=60, rejected=2))
        assert tasks(progress) == [("encode", 60, 100)]
        assert progress._bar.tasks[0].fields["facts"].endswith("rows/s, 2 rejected")
        progress.report(BuildingShortlist(done=30, total=90))
        assert tasks(progress) == [("encode", 60, 60), ("shortlist", 30, 90)]
        progress.report(Publishing(generation="000001"))
        progress.report(Event())
    assert tasks(progress) == [("encode", 60, 60), ("shortlist", 30, 30), ("publish", 1, 1)]


def test_rows_of_an_interrupted_build_do_not_count_for_the_rate():
    with BuildProgress(100) as progress:
        progress.report(EncodingDocuments(done=50))
        progress.report(EncodingDocuments(done=50))
        assert progress._bar.tasks[0].fields["facts"] == ""


def test_a_failed_stage_does_not_end_full():
    progress = BuildProgress(100)

    def fail():
        with progress:
            progress.report(EncodingDocuments(done=10))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert tasks(progress) == [("encode", 10, 100)]


def test_training_has_a_bar_and_a_line_for_each_evaluation(capsys):
    with TrainingProgress("pairs") as progress:
        progress.report(TrainingStarted(steps=20, done=5, training=100, validation=10, sizes=(8, 32)))
        progress.report(Step(step=6, total=20, loss=1.25))
        assert tasks(progress) == [("training", 6, 20)]
        assert progress._bar.tasks[0].fields["facts"] == "loss 1.25"
        losses, scores = {8: 2.0, 32: 1.0}, {8: 0.5, 32: 0.75}
        progress.report(Evaluated(step=6, metric="ndcg@10", scores=scores, mean=0.6, losses=losses, best=True))
    err = " ".join(capsys.readouterr().err.split())
    assert "100 pairs to train on, 10 to validate on, sizes 8, 32" in err
    assert "step 6 loss 8: 2.000 32: 1.000" in err
    assert "step 6 nDCG@10 8: 0.500 32: 0.750" in err
