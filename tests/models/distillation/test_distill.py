import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from models import InvalidOptionError, ModelError, Nesting, TrainingError, load_encoder, truncate
from models.data.pairs import Pair
from models.distillation.distill import distill, neighbour_agreement
from models.distillation.options import DistillationOptions
from models.distillation.teacher import Teacher
from models.distillation.training import distillation_loss, ranking_loss
from models.distillation.vocabulary import assistant_words, down_weighted, student_table, student_vocabulary
from models.encoders.transformer import SentenceTransformerEncoder
from models.progress import DistillationStarted, Step
from tests.models.training.test_contrastive import weights

KNOWN = ["red", "blue", "green", "cat", "dog", "bird", "runs", "sleeps", "sky", "##line", "##fish", "air"]
NESTING = Nesting((4, 8, 24))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A tiny BERT of 16 dimensions with a WordPiece tokenizer that knows "skyline" and "airline" in pieces."""
    root = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[unused0]", "[UNK]", *KNOWN])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    )
    fast.save_pretrained(root / "bert")
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    bert = BertModel(config)
    with torch.no_grad():
        bert.embeddings.position_embeddings.weight *= 0.1  # where a word stands is nothing a student can see
    bert.save_pretrained(root / "bert")
    model = SentenceTransformer(modules=[Transformer(str(root / "bert")), Pooling(16)], device="cpu")
    model.save(str(root / "model"), create_model_card=False)
    return root / "model"


def make_texts(count=400, seed=0):
    rng = np.random.default_rng(seed)
    words = [*(word for word in KNOWN if not word.startswith("##")), "skyline", "airline"]
    return [" ".join(rng.choice(words, size=4)) for _ in range(count)]


def make_pairs(count=60):
    return [Pair(" ".join(text.split()[:2]), text) for text in dict.fromkeys(make_texts(count, seed=5))]


def options(**changes):
    values = {"nesting": NESTING, "steps": 150, "batch_size": 32, "learning_rate": 0.02, "validation": 0.2, **changes}
    return DistillationOptions(**values)


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
    np.testing.assert_allclose(weights(out), weights(distilled[0].directory), atol=1e-6)


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


def test_cached_vectors_are_the_teachers_and_half_blocks_are_encoded_anew(teacher, tmp_path):
    encoder = SentenceTransformerEncoder.load(str(teacher), device="cpu")
    texts = make_texts(30)
    expected = encoder.encode_documents(texts)
    (tmp_path / "x.partial").write_text("left by a kill")
    found = Teacher(encoder, tmp_path, 32).vectors(texts)
    np.testing.assert_allclose(found, expected, atol=2e-2)
    again = Teacher(encoder, tmp_path, 32)
    np.testing.assert_array_equal(again.vectors(texts), found)
    assert again.vectors(texts[:0]).shape == (0, 16)
    assert len(again.vectors(make_texts(5, seed=3), until=0.0)) == 0


def test_words_of_the_texts_become_tokens_in_order_of_frequency(teacher):
    tokenizer = SentenceTransformer(str(teacher), device="cpu").tokenizer.backend_tokenizer
    texts = ["skyline airline", "airline red-x9", "airline skyline skyline", "of of of", "catfish"]
    vocabulary = student_vocabulary(tokenizer, texts, 2)
    assert vocabulary.texts == ["[PAD]", "[UNK]", *(word.removeprefix("##") for word in KNOWN), "airline", "skyline"]
    tokens = vocabulary.tokenizer.encode("airline catfish skyline").tokens
    assert tokens == ["airline", "cat", "##fish", "skyline"]
    assert vocabulary.frequencies[-2:].tolist() == [0.6, 0.4]


def test_another_kind_of_tokenizer_is_refused(transformer_directory):
    tokenizer = SentenceTransformer(str(transformer_directory), device="cpu").tokenizer.backend_tokenizer
    with pytest.raises(
        ModelError, match="the teacher's tokenizer is of type WordLevel: give a teacher with a WordPiece"
    ):
        student_vocabulary(tokenizer, ["a"], 1)


@pytest.mark.parametrize("width", [4, 16, 20])
def test_the_first_table_is_the_rotated_teacher_scaled_down_where_common(width):
    rng = np.random.default_rng(0)
    words, texts = rng.normal(size=(2, 30, 16)).astype(np.float32) * np.linspace(0.1, 2, 16, dtype=np.float32)
    frequencies = np.where(np.arange(30) < 5, 1e-3, 0.0)
    table, rotation = student_table(down_weighted(words, frequencies), texts, width, 0)
    assert table.shape == (30, width)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(16), atol=1e-5)
    energy = ((texts @ rotation) ** 2).sum(axis=0)
    assert (np.diff(energy) < 1e-3).all(), "the most important direction first"
    kept = min(width, 16)
    np.testing.assert_allclose(table[5:, :kept], (words @ rotation)[5:, :kept], atol=1e-5)
    np.testing.assert_allclose(table[:5, :kept], (words @ rotation)[:5, :kept] / 2, atol=1e-5)


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
    # By hand: the first row's softmax over the five others, at size 4.
    student = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    expected = 0.0
    for row in range(6):
        others = [other for other in range(6) if other != row]
        wanted = torch.softmax(targets[row] @ targets[others].T / 0.5, dim=0)
        found = torch.softmax(student[row] @ student[others].T / 0.5, dim=0)
        expected += float((wanted * (wanted / found).log()).sum()) / 6
    padded = torch.nn.functional.pad(student, (0, 12))
    assert float(ranking_loss(padded, targets, Nesting((4, 16)), 0.5)) == pytest.approx(expected, rel=1e-4)


def test_an_assistant_stands_beside_the_teacher(teacher, distilled, tmp_path):
    static = str(distilled[0].directory)
    result = distill(make_texts(), [], str(teacher), tmp_path / "student", options(steps=5, assistant=static))
    assert load_encoder(str(result.directory)).dimension == 24
    assert "together with those of the static table `student`" in (result.directory / "README.md").read_text()
    with pytest.raises(InvalidOptionError, match=r"assistant .*: give a static table, such as wordllama"):
        distill(make_texts(), [], str(teacher), tmp_path / "other", options(assistant=str(teacher)))


def test_an_assistants_word_is_the_sum_of_its_tokens(encoder):
    rows = assistant_words(encoder, ["w1", "w2", "w1 w2"])
    np.testing.assert_allclose(rows[0] + rows[1], rows[2], atol=1e-6)
    assert np.linalg.norm(rows, axis=1).mean() == pytest.approx(1)


def test_neighbour_agreement_counts_shared_neighbours():
    teacher = truncate(np.random.default_rng(0).normal(size=(40, 8)), 8)
    assert neighbour_agreement(teacher, teacher, [8]) == {8: 1.0}
    opposite = neighbour_agreement(truncate(np.random.default_rng(1).normal(size=(40, 8)), 8), teacher, [4, 8])
    assert all(0.1 < share < 0.45 for share in opposite.values()), "10 of 39 by chance"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps 0: give at least 1"),
        ({"max_seconds": -1.0}, "max_seconds -1.0: give a positive number"),
        ({"contrast": -0.1}, "contrast -0.1: give 0 or a positive number"),
        ({"ranking": -1.0}, "ranking -1.0: give 0 or a positive number"),
    ],
)
def test_impossible_options_are_refused(changes, message):
    with pytest.raises(InvalidOptionError, match=message):
        DistillationOptions(**changes)
