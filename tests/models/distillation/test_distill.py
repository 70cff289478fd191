import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from models import InvalidOptionError, Nesting, TrainingError, load_encoder, truncate
from models.distillation.distill import distill, neighbour_agreement
from models.distillation.teacher import Teacher
from models.progress import DistillationStarted, Step
from tests.models.distillation.teachers import NESTING, make_pairs, make_texts, options


@pytest.fixture(scope="module")
def distilled(tmp_path_factory, teacher):
    out, events = tmp_path_factory.mktemp("distilled") / "student", []
    return distill(make_texts(), make_pairs(), str(teacher), out, options(), report=events.append), events


def test_the_student_finds_the_teachers_neighbours_better_than_before_training(teacher, tmp_path):
    agreement = {}
    for name, changes in {"before": {"steps": 1, "learning_rate": 1e-9}, "after": {"steps": 300}}.items():
        own = options(nesting=Nesting((8, 16)), **changes)
        agreement[name] = distill(make_texts(), [], str(teacher), tmp_path / name, own).agreement
    for size in (8, 16):
        assert agreement["after"][size] > agreement["before"][size] + 0.03, f"size {size}"


def test_pairs_are_measured_where_there_are_some(distilled, teacher, tmp_path):
    result, _ = distilled
    assert result.ndcg.keys() == {4, 8, 24}
    assert all(0 < value <= 1 for value in [*result.ndcg.values(), result.teacher_ndcg])
    without = distill(make_texts(), [], str(teacher), tmp_path / "without", options(steps=1))
    assert (without.ndcg, without.teacher_ndcg) == ({}, None)


def test_the_student_is_a_static_table_with_the_words_of_the_texts(distilled):
    result, _ = distilled
    encoder = load_encoder(str(result.directory))
    assert encoder.nesting == NESTING
    assert encoder.tokenizer.encode("airline cat", add_special_tokens=False).tokens == ["airline", "cat"]
    assert "[unused0]" not in encoder.tokenizer.get_vocab()
    texts = ["red cat", "skyline"]
    theirs = SentenceTransformer(str(result.directory), device="cpu").encode(texts)
    np.testing.assert_allclose(encoder.encode_documents(texts), truncate(theirs, 24), atol=1e-5)


def test_record_card_and_events_tell_what_was_done(distilled):
    result, events = distilled
    record = json.loads((result.directory / "mrl.json").read_text())
    assert record["texts"] == result.texts
    assert record["after"]["agreement@10"] == {str(size): value for size, value in result.agreement.items()}
    card = (result.directory / "README.md").read_text()
    assert load_encoder(str(result.directory)).content_hash in card
    assert f"| 24 | {result.agreement[24]:.3f} | {result.ndcg[24]:.3f} |" in card
    assert isinstance(events[0], DistillationStarted)
    steps = [event for event in events if isinstance(event, Step)]
    assert (steps[-1].step, steps[-1].total) == (150, 150)
    assert np.mean([step.loss for step in steps[-5:]]) < np.mean([step.loss for step in steps[:5]])
    assert not (result.directory / "checkpoint").exists()


def test_an_interrupted_run_goes_on_to_the_same_student_without_asking_the_teacher_again(
    distilled, teacher, tmp_path, monkeypatch
):
    def interrupt(event):
        if isinstance(event, Step) and event.step == 20:
            raise KeyboardInterrupt

    out = tmp_path / "student"
    with pytest.raises(KeyboardInterrupt):
        distill(make_texts(), make_pairs(), str(teacher), out, options(), report=interrupt)
    monkeypatch.setattr(Teacher, "_encode", None)
    events = []
    distill(make_texts(), make_pairs(), str(teacher), out, options(), report=events.append)
    assert next(event.step for event in events if isinstance(event, Step)) == 21
    np.testing.assert_allclose(load_encoder(str(out)).table, load_encoder(str(distilled[0].directory)).table, atol=1e-6)


def test_time_bounds_the_teacher_and_the_training(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr("models.distillation.teacher._BLOCK", 50)
    encode = Teacher._encode
    blocks = []

    def slow(self, texts):
        blocks.append(len(texts))
        return encode(self, texts)

    monkeypatch.setattr(Teacher, "_encode", slow)
    limited = options(steps=100_000, max_seconds=2)
    result = distill(make_texts(), [], str(teacher), tmp_path / "student", limited)
    assert 0 < result.steps < 100_000
    assert result.seconds < 20
    blocks.clear()
    with pytest.raises(InvalidOptionError, match="0 texts are too few for batches of 32: give more, or more time"):
        distill(make_texts(seed=9), [], str(teacher), tmp_path / "other", options(max_seconds=1e-6))


def test_a_finished_student_is_not_overwritten(distilled, teacher):
    with pytest.raises(TrainingError, match="already holds a model"):
        distill(make_texts(), [], str(teacher), distilled[0].directory, options())


def test_a_loss_that_is_not_finite_ends_the_run_with_advice(teacher, tmp_path):
    with pytest.raises(TrainingError, match=r"the loss became \w+ at step 0: lower --learning-rate 0.02 or raise"):
        distill(make_texts(), make_pairs(), str(teacher), tmp_path / "student", options(temperature=1e-39))


def test_an_assistant_stands_beside_the_teacher(teacher, distilled, tmp_path):
    static = str(distilled[0].directory)
    result = distill(make_texts(), [], str(teacher), tmp_path / "student", options(steps=5, assistant=static))
    assert load_encoder(str(result.directory)).dimension == 24
    assert "together with those of the static table `student`" in (result.directory / "README.md").read_text()
    with pytest.raises(InvalidOptionError, match=r"assistant .*: give a static table, such as wordllama"):
        distill(make_texts(), [], str(teacher), tmp_path / "other", options(assistant=str(teacher)))


def test_neighbour_agreement_counts_shared_neighbours():
    teacher = truncate(np.random.default_rng(0).normal(size=(40, 8)), 8)
    assert neighbour_agreement(teacher, teacher, [8]) == {8: 1.0}
    opposite = neighbour_agreement(truncate(np.random.default_rng(1).normal(size=(40, 8)), 8), teacher, [4, 8])
    assert all(0.1 < share < 0.45 for share in opposite.values()), "10 of 39 by chance"
