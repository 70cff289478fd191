"""Distillation of a sentence-transformers teacher into a static Matryoshka student.

The recipe follows model2vec and tokenlearn (Tulkens and van Dongen 2024) and adds the Matryoshka loss:

1. Each row of the table starts as the teacher's vector of that token, rotated so that its information comes first
   (PCA) and scaled down if the token is common.
2. The table learns to reproduce the teacher's vectors of whole texts on every prefix, together with those of a static
   assistant, if any.
3. The same steps train on pairs of texts, by InfoNCE on every prefix.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from models.data.pairs import Pair, pairs_hash, split_pairs
from models.directory.card import CardFacts, write_card
from models.directory.files import write_record
from models.directory.output import CHECKPOINT, check_output, staged
from models.distillation.options import DistillationOptions
from models.distillation.teacher import Teacher
from models.distillation.training import StudentTask, train_student
from models.distillation.vocabulary import assistant_words, down_weighted, student_table, student_vocabulary
from models.encoders.base import Prompts
from models.encoders.device import choose_device
from models.encoders.load import load_encoder
from models.encoders.static import StaticEncoder
from models.encoders.transformer import SentenceTransformerEncoder
from models.errors import InvalidOptionError, ModelError
from models.evaluation.pairs import evaluate_pairs, pair_ndcg
from models.nesting import Vectors, truncate
from models.progress import DistillationStarted, Encoding, Evaluating, Report, silent
from models.training.checkpoints import Checkpoints, Progress
from models.training.trainable import as_trainable

_TEACHER_SHARE = 2 / 3
_VALIDATION_TEXTS, _VALIDATION_PAIRS = 1000, 500
_SAME = 100
_NOT_FINGERPRINTED = ("nesting", "max_texts", "max_seconds", "device")


@dataclass(frozen=True, slots=True)
class DistillationResult:
    """The result of :func:`distill`.

    Attributes:
        directory: the student.
        ndcg: nDCG@10 on held-out pairs by size; empty without pairs.
        teacher_ndcg: the teacher's, at its full size; None without pairs.
        agreement: share of the teacher's ten nearest neighbours that are also the student's, by size, among held-out
            texts.
        texts: number of texts the teacher encoded in time.
        steps: steps trained.
        seconds: duration of the whole run.
    """

    directory: Path
    ndcg: dict[int, float]
    teacher_ndcg: float | None
    agreement: dict[int, float]
    texts: int
    steps: int
    seconds: float


def distill(
    texts: Sequence[str],
    pairs: Sequence[Pair],
    teacher: str,
    out: str | Path,
    options: DistillationOptions | None = None,
    *,
    restart: bool = False,
    report: Report = silent,
) -> DistillationResult:
    """Distill a teacher into a static student and write it to ``out`` as a sentence-transformers directory.

    The teacher's vectors are cached in blocks in ``out``-teacher, so that an interrupted run, or another student of
    the same teacher, reuses them. Training resumes from a checkpoint in ``out``.

    >>> options = DistillationOptions(nesting=Nesting((64, 128, 256)), max_seconds=1800)
    >>> result = distill(texts, pairs, "sentence-transformers/all-MiniLM-L6-v2", "runs/student", options)
    >>> result.agreement[256]

    Args:
        texts: what the student learns to encode as the teacher does; repeats are dropped.
        pairs: (query, document) texts for the contrastive loss; may be empty.
        teacher: a sentence-transformers directory or hub name, with a WordPiece tokenizer.
        out, restart: see :func:`models.training.contrastive.train`.
        options: sizes, limits, learning rate and loss weights.
        report: receives progress events.

    Raises:
        TrainingError: ``out`` holds other files; see :func:`models.training.contrastive.train`.
        ModelError, InvalidOptionError: teacher, texts or options cannot be used.
        KeyboardInterrupt: interrupted; the same call resumes.
    """
    started = time.monotonic()
    out, options = Path(out), options or DistillationOptions()
    check_output(out, restart)
    device = choose_device(options.device)
    encoder = SentenceTransformerEncoder.load(teacher, device=device)
    if "image" in encoder.model.modalities:
        # sentence-transformers would fetch a text that looks like the URL of an image.
        raise ModelError(f"teacher {teacher!r} encodes images: give a model of texts")
    assistant = load_encoder(options.assistant) if options.assistant else None
    if assistant is not None and not isinstance(assistant, StaticEncoder):
        raise InvalidOptionError(
            "assistant", f"assistant {options.assistant!r}: give a static table, such as wordllama"
        )
    held_out: list[Pair] = []
    if pairs:
        pairs, held_out = split_pairs(pairs, options.validation, options.seed)
        held_out = held_out[:_VALIDATION_PAIRS]
    training, validation = _split_texts(texts, held_out, options)
    vocabulary = student_vocabulary(_rust_tokenizer(encoder.model), training + validation, options.min_count)
    report(DistillationStarted(texts=len(training), pairs=len(pairs), tokens=len(vocabulary.texts)))

    precision = options.precision
    if precision == "auto":
        precision = "bfloat16" if device == "cuda" else "float32"
    source = Teacher(encoder, out.with_name(out.name + "-teacher"), options.teacher_tokens, precision=precision)
    until = None if options.max_seconds is None else started + _TEACHER_SHARE * options.max_seconds

    def encode(what: str, texts: Sequence[str], until: float | None = None) -> Vectors:
        return source.vectors(
            texts, until=until, report=lambda done, total: report(Encoding(what=what, done=done, total=total))
        )

    words = encode("words", vocabulary.texts)
    validation_targets = encode("validation", validation)
    queries, documents = (
        encode("validation", [getattr(pair, side) for pair in held_out]) for side in ("query", "document")
    )
    checkpoints = Checkpoints(out / CHECKPOINT)
    # A resumed run trains on the texts it started with, because the rotation depends on them.
    before = checkpoints.peek()
    limit = before.history[0]["texts"] if before else options.max_texts
    targets = encode("texts", training[:limit], None if before else until)
    if len(targets) < options.batch_size:
        raise InvalidOptionError(
            "texts", f"{len(targets)} texts are too few for batches of {options.batch_size}: give more, or more time"
        )
    training = training[: len(targets)]
    words = down_weighted(words, vocabulary.frequencies)
    if assistant is not None:
        scale = np.float32(options.assistant_weight)
        lengths = np.float32(np.linalg.norm(words, axis=1).mean())
        words = np.concatenate([words, scale * lengths * assistant_words(assistant, vocabulary.texts)], axis=1)
        targets = np.concatenate([targets, scale * assistant.encode_documents(training)], axis=1)
    table, rotation = student_table(words, targets, options.nesting.dimension, options.seed)
    student = StaticEncoder(out.name, options.nesting, Prompts(), table, vocabulary.tokenizer)
    task = StudentTask(as_trainable(student, device), training, targets @ rotation, pairs, options)
    fingerprint = {
        "teacher": encoder.content_hash,
        "assistant_hash": assistant.content_hash if assistant else None,
        "texts": pairs_hash(Pair(text, "") for text in training),
        "pairs": pairs_hash(pairs),
        "nesting": options.nesting.to_json(),
        **{key: value for key, value in asdict(options).items() if key not in _NOT_FINGERPRINTED},
    }
    left = None if options.max_seconds is None else options.max_seconds - (time.monotonic() - started)
    progress = train_student(task, checkpoints, fingerprint, max_seconds=left, report=report)
    student = replace(student, table=task.table())
    report(Evaluating(what="held-out texts"))
    result = DistillationResult(
        directory=out,
        ndcg=evaluate_pairs(student, held_out, options.nesting.sizes) if held_out else {},
        teacher_ndcg=pair_ndcg(queries, documents, range(len(held_out))) if held_out else None,
        agreement=neighbour_agreement(student.encode_documents(validation), validation_targets, options.nesting.sizes),
        texts=len(training),
        steps=progress.step,
        seconds=time.monotonic() - started,
    )
    _save(task, progress, student, encoder, options, result)
    checkpoints.remove()
    return result


def _rust_tokenizer(model: SentenceTransformer) -> Tokenizer:
    tokenizer: Tokenizer | None = getattr(model.tokenizer, "backend_tokenizer", None)
    if tokenizer is None:
        raise ModelError(
            f"the teacher's tokenizer is a {type(model.tokenizer).__name__}: give a model with a fast tokenizer"
        )
    return tokenizer


def _split_texts(
    texts: Sequence[str], held_out: Sequence[Pair], options: DistillationOptions
) -> tuple[list[str], list[str]]:
    """Drop repeats and held-out texts; return (training, validation) in the given order.

    Of texts with the same beginning only the first is kept: package descriptions, for example, often differ in their
    last sentence only, and the teacher's time is better spent on other texts.
    """
    known = {text for pair in held_out for text in (pair.query, pair.document)}
    unique = {text[:_SAME].lower(): text for text in reversed(texts) if text not in known}
    kept = list(unique.values())[::-1]
    count = min(_VALIDATION_TEXTS, len(kept) // 10)
    return kept[count:], kept[:count]


def neighbour_agreement(
    student: Vectors, teacher: Vectors, sizes: Sequence[int], neighbours: int = 10
) -> dict[int, float]:
    """Return the share of each text's nearest neighbours by the teacher that are also its nearest by the student.

    Args:
        student, teacher: vectors of the same texts, shapes (n, D) and (n, T), unit rows.
        sizes: prefix sizes of the student.
        neighbours: number of nearest neighbours, at most n - 1.
    """
    count = min(neighbours, len(teacher) - 1)

    def nearest(vectors: Vectors) -> npt.NDArray[np.int64]:
        scores = vectors @ vectors.T
        np.fill_diagonal(scores, -np.inf)
        return np.argsort(-scores, axis=1, kind="stable")[:, :count]

    expected = nearest(teacher)
    found = {size: nearest(truncate(student, size)) for size in sizes}
    return {
        size: float(np.mean([len(np.intersect1d(*rows)) / count for rows in zip(numbers, expected, strict=True)]))
        for size, numbers in found.items()
    }


def _save(
    task: StudentTask,
    progress: Progress,
    student: StaticEncoder,
    teacher: SentenceTransformerEncoder,
    options: DistillationOptions,
    result: DistillationResult,
) -> None:
    out, name = result.directory, Path(teacher.name).name
    metrics = {"neighbour agreement@10 with the teacher, held-out texts": result.agreement}
    if result.ndcg:
        metrics["nDCG@10, held-out pairs"] = result.ndcg
    with staged(out) as folder:
        task.module.save(str(folder), create_model_card=False)
        write_record(
            folder,
            options.nesting,
            base=teacher.name,
            base_hash=teacher.content_hash,
            options=progress.fingerprint,
            texts=result.texts,
            steps=result.steps,
            seconds=round(result.seconds),
            after={"ndcg@10": result.ndcg, "agreement@10": result.agreement, "teacher ndcg@10": result.teacher_ndcg},
        )
        facts = CardFacts(
            title=out.resolve().name,
            summary=f"A static text embedding of {len(student.table):,} tokens: the vector of a text is the mean of "
            f"its tokens' rows. Distilled from `{name}` on its vectors of texts"
            + (
                f", together with those of the static table `{Path(options.assistant).name}`"
                if options.assistant
                else ""
            )
            + (", with InfoNCE on pairs of texts." if result.ndcg else "."),
            nesting=options.nesting,
            content_hash=student.content_hash,
            training={
                "data": f"{result.texts:,} texts encoded by the teacher, {task.pair_count:,} pairs",
                "teacher": f"{name}, sha256 {teacher.content_hash}",
                "teacher's nDCG@10 on the held-out pairs": result.teacher_ndcg,
                "steps": result.steps,
                "seconds": round(result.seconds),
                **{key.replace("_", " "): value for key, value in asdict(options).items() if key != "nesting"},
            },
            metrics=metrics,
            base=teacher.name,
            tags=("static",),
        )
        write_card(folder, facts)
