import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from models import Nesting, TrainingError, load_encoder, truncate
from models.data.pairs import Pair
from models.progress import Evaluated, Step, TrainingStarted
from models.training.contrastive import train
from models.training.options import TrainingOptions
from tests.conftest import WORDS

NESTING = Nesting((8, 32), (2.0, 1.0))


def make_pairs(count=300, seed=0):
    """A query word stands for its neighbour: nothing the untrained table knows, and easy to learn."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        numbers = rng.choice(150, size=3, replace=False)
        pairs.append(Pair(" ".join(WORDS[i] for i in numbers), " ".join(WORDS[i + 150] for i in numbers)))
    return pairs


def options(**changes):
    values = {"nesting": NESTING, "epochs": 4, "batch_size": 64, "validation": 0.2, "patience": 10, **changes}
    return TrainingOptions(**values)


def interrupt_at(step):
    def report(event):
        if isinstance(event, Step) and event.step == step:
            raise KeyboardInterrupt

    return report


def weights(path):
    return load_encoder(str(path)).table


@pytest.fixture(scope="module")
def trained(tmp_path_factory, model_directory):
    out = tmp_path_factory.mktemp("trained") / "model"
    events = []
    result = train(
        make_pairs(800),
        str(model_directory),
        out,
        options(epochs=20, learning_rate=0.2),
        report=events.append,
    )
    return result, events


def test_every_size_gets_better(trained):
    result, _ = trained
    assert set(result.after) == {8, 32}
    for size in (8, 32):
        assert result.after[size] > result.before[size] + 0.2, f"size {size}"
    assert result.stopped == "finished"


def test_losses_are_reported_by_size_and_fall(trained):
    _, events = trained
    assert isinstance(events[0], TrainingStarted)
    assert events[0].sizes == (8, 32)
    losses = [event.losses for event in events if isinstance(event, Step)]
    assert losses[-1][8] < losses[0][8]
    assert losses[-1][32] < losses[0][32]
    evaluations = [event for event in events if isinstance(event, Evaluated)]
    assert evaluations[0].step == 0
    assert evaluations[-1].metric == "ndcg@10"
    assert evaluations[-1].scores.keys() == {8, 32}


def test_the_result_is_a_sentence_transformers_model_that_also_loads_back_here(trained):
    result, _ = trained
    texts = ["w1 w2", "w160 w170 w3"]
    cut = SentenceTransformer(str(result.directory), truncate_dim=8, device="cpu").encode(texts)
    assert cut.shape == (2, 8)
    encoder = load_encoder(str(result.directory))
    assert encoder.nesting == NESTING
    np.testing.assert_allclose(truncate(encoder.encode_documents(texts), 8), truncate(cut, 8), atol=1e-5)


def test_the_record_says_how_the_model_came_to_be(trained):
    result, _ = trained
    record = json.loads((result.directory / "mrl.json").read_text())
    assert record["nesting"] == {"sizes": [8, 32], "weights": [2.0, 1.0]}
    assert record["best_step"] == result.best_step
    assert record["after"]["ndcg@10"] == {str(size): score for size, score in result.after.items()}
    assert record["options"]["batch_size"] == 64
    assert not (result.directory / "checkpoint").exists()


def test_the_same_seed_gives_the_same_model_and_another_seed_another(tmp_path, model_directory):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(make_pairs(), str(model_directory), tmp_path / name, options(epochs=1, seed=seed))
    np.testing.assert_array_equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not np.array_equal(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_an_interrupted_run_keeps_its_best_and_goes_on_to_the_same_end(tmp_path, model_directory):
    pairs, base = make_pairs(), str(model_directory)
    whole = train(pairs, base, tmp_path / "whole", options())
    stopped = train(pairs, base, tmp_path / "stopped", options(), report=interrupt_at(7))
    assert stopped.stopped == "interrupted"
    assert stopped.best_step > 0
    assert load_encoder(str(tmp_path / "stopped")).nesting == NESTING, "what there is can be used"
    events = []
    resumed = train(pairs, base, tmp_path / "stopped", options(), report=events.append)
    steps = [event.step for event in events if isinstance(event, Step)]
    assert resumed.stopped == "finished"
    assert steps[0] == stopped.steps + 1, "it goes on from the last checkpoint"
    assert (resumed.after, resumed.best_step) == (whole.after, whole.best_step)
    np.testing.assert_array_equal(weights(tmp_path / "stopped"), weights(tmp_path / "whole"))


def test_an_interrupt_before_anything_was_measured_is_passed_on(tmp_path, model_directory, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("models.training.contrastive.evaluate_pairs", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(make_pairs(), str(model_directory), tmp_path / "model", options())
    assert not (tmp_path / "model" / "mrl.json").exists()


def test_a_checkpoint_of_another_run_is_refused_with_the_difference(tmp_path, model_directory):
    train(make_pairs(), str(model_directory), tmp_path / "model", options(), report=interrupt_at(5))
    with pytest.raises(
        TrainingError, match=r"another run: it had \{'batch_size': 64\}, this run has \{'batch_size': 32\}"
    ):
        train(make_pairs(), str(model_directory), tmp_path / "model", options(batch_size=32))


def test_training_stops_early_where_nothing_gets_better(tmp_path, model_directory):
    # So small a rate changes no ranking: no score is better than the first.
    slow = options(epochs=30, learning_rate=1e-12, patience=2)
    result = train(make_pairs(), str(model_directory), tmp_path / "model", slow)
    assert (result.stopped, result.best_step) == ("early stop", 0)
    assert result.after == result.before


def test_the_time_limit_ends_a_run_with_its_best(tmp_path, model_directory):
    result = train(make_pairs(), str(model_directory), tmp_path / "model", options(epochs=1000, max_seconds=0.2))
    assert result.stopped == "time limit"
    assert result.steps < 1000
    assert (result.directory / "mrl.json").exists()


def test_a_finished_model_is_not_overwritten_unless_asked(tmp_path, model_directory):
    out = tmp_path / "model"
    train(make_pairs(), str(model_directory), out, options(epochs=1))
    with pytest.raises(TrainingError, match="already holds a model: give another --out, or --restart"):
        train(make_pairs(), str(model_directory), out, options(epochs=1))
    train(make_pairs(), str(model_directory), out, options(epochs=1), restart=True)


@pytest.mark.parametrize("restart", [False, True])
def test_a_directory_of_something_else_is_never_touched(tmp_path, model_directory, restart):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(TrainingError, match="is not empty and holds no model that was trained here"):
        train(make_pairs(), str(model_directory), tmp_path, options(), restart=restart)
    assert (tmp_path / "letters.txt").read_text() == "dear"
    with pytest.raises(TrainingError, match="is a file"):
        train(make_pairs(), str(model_directory), tmp_path / "letters.txt", options(), restart=restart)


def test_a_loss_that_is_not_finite_ends_the_run_with_advice(tmp_path, model_directory):
    with pytest.raises(
        TrainingError, match=r"the loss became .* at step 0: lower --learning-rate 0.05 or raise --temperature 1e-39"
    ):
        train(make_pairs(), str(model_directory), tmp_path / "model", options(temperature=1e-39))


def test_a_transformer_trains_by_the_same_call(tmp_path, transformer_directory):
    nesting = Nesting((8, 16))
    result = train(
        make_pairs(),
        str(transformer_directory),
        tmp_path / "model",
        options(nesting=nesting, learning_rate=0.01, epochs=6),
    )
    assert result.after[16] > result.before[16] + 0.05
    encoder = load_encoder(str(result.directory))
    assert encoder.nesting == nesting
    assert encoder.prompts.query == "query: ", "the base model's prompts are kept"


def test_hard_negatives_push_wrong_documents_away(tmp_path, model_directory):
    pairs = make_pairs(300)
    wrong = [Pair(pair.query, pair.document, (" ".join(WORDS[-3:]),)) for pair in pairs]
    closeness = []
    for name, given in (("without", pairs), ("with", wrong)):
        train(given, str(model_directory), tmp_path / name, options(epochs=4, learning_rate=0.2))
        encoder = load_encoder(str(tmp_path / name))
        queries = encoder.encode_queries([pair.query for pair in pairs])
        closeness.append(float((queries @ encoder.encode_documents(wrong[0].negatives).T).mean()))
    assert closeness[1] < closeness[0] - 0.05


def test_chunks_change_nothing_but_memory(tmp_path, model_directory):
    for name, chunk in (("whole", None), ("chunks", 10)):
        train(make_pairs(), str(model_directory), tmp_path / name, options(epochs=1, chunk=chunk))
    np.testing.assert_allclose(weights(tmp_path / "chunks"), weights(tmp_path / "whole"), atol=1e-4)


def test_bfloat16_trains_to_nearly_the_same_and_keeps_float32_weights(tmp_path, transformer_directory):
    nesting = Nesting((8, 16))
    scores = []
    for precision in ("float32", "bfloat16"):
        changes = options(nesting=nesting, learning_rate=0.01, epochs=3, precision=precision)
        scores.append(train(make_pairs(), str(transformer_directory), tmp_path / precision, changes).after[16])
    assert scores[1] == pytest.approx(scores[0], abs=0.1)
    model = SentenceTransformer(str(tmp_path / "bfloat16"), device="cpu")
    assert next(model.parameters()).dtype == torch.float32


def test_a_compiled_model_is_written_like_any_other(tmp_path, model_directory, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: compiled.append(options))
    train(make_pairs(), str(model_directory), tmp_path / "model", options(epochs=1, compile=True))
    assert compiled == [{"dynamic": True}]
    assert load_encoder(str(tmp_path / "model")).nesting == NESTING


def test_a_card_lies_beside_the_model(trained):
    result, _ = trained
    card = (result.directory / "README.md").read_text()
    assert load_encoder(str(result.directory)).content_hash in card
    assert f"| 8 | {result.before[8]:.3f} | {result.after[8]:.3f} |" in card


def test_a_model_trains_wider_than_its_base(tmp_path, model_directory):
    result = train(
        make_pairs(800),
        str(model_directory),
        tmp_path / "wide",
        options(nesting=None, width=64, epochs=8, learning_rate=0.2),
    )
    assert set(result.after) == {8, 16, 32, 64}
    for size, score in result.after.items():
        assert score > result.before[size] + 0.2, f"size {size}"
    encoder = load_encoder(str(result.directory))
    assert (encoder.dimension, encoder.nesting) == (64, Nesting.halving(64))
    theirs = SentenceTransformer(str(result.directory), device="cpu").encode(["w1 w2"])
    np.testing.assert_allclose(encoder.encode_documents(["w1 w2"]), truncate(theirs, 64), atol=1e-5)
    record = json.loads((result.directory / "mrl.json").read_text())
    assert record["options"]["width"] == 64
    assert record["base_hash"] == load_encoder(str(model_directory)).content_hash


def test_an_interrupted_wide_run_goes_on_and_only_at_its_width(tmp_path, model_directory):
    pairs, base, wide = make_pairs(), str(model_directory), {"nesting": None, "width": 48}
    train(pairs, base, tmp_path / "whole", options(**wide))
    train(pairs, base, tmp_path / "stopped", options(**wide), report=interrupt_at(7))
    with pytest.raises(TrainingError, match=r"another run: it had .*'width': 48.*, this run has .*'width': 64"):
        train(pairs, base, tmp_path / "stopped", options(nesting=None, width=64))
    train(pairs, base, tmp_path / "stopped", options(**wide))
    np.testing.assert_array_equal(weights(tmp_path / "stopped"), weights(tmp_path / "whole"))
