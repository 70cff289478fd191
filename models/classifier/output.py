"""Writes a trained classifier as a model directory."""

from __future__ import annotations

from pathlib import Path

from models.classifier.options import ClassifierOptions
from models.classifier.training import TrainedClassifier
from models.directory.card import CardFacts, write_card
from models.directory.files import write_record
from models.directory.output import CHECKPOINT, staged
from models.training.checkpoints import Checkpoints
from models.training.loop import INTERRUPTED
from models.training.trainable import as_trainable


def write_classifier(
    result: TrainedClassifier,
    out: str | Path,
    options: ClassifierOptions,
    base: str | None,
    *,
    title: str,
    summary: str,
    pipeline: str,
    usage: str,
) -> None:
    """Write a sentence-transformers directory with heads, cascade, record and card.

    Removes the run's checkpoint, unless the run was interrupted and can be resumed.

    Args:
        result: the result of training.
        out: the directory; see :func:`models.directory.output.check_output` for what it may contain.
        options: the options of the run.
        base: name of the base model, if any.
        title, summary, pipeline, usage: contents of the card; see :class:`models.directory.card.CardFacts`.
    """
    classifier, used = result.classifier, options.record()
    with staged(out) as folder:
        as_trainable(classifier.encoder, "cpu").save(str(folder), create_model_card=False)
        classifier.save_heads(folder)
        write_record(
            folder,
            classifier.nesting,
            base=base,
            options=used,
            stopped=result.stopped,
            best_epoch=result.best_epoch,
            test={"accuracy": result.test},
            history=result.history,
        )
        test = {"top-1, test": result.test} if result.test else {}
        write_card(
            folder,
            CardFacts(
                title=title,
                summary=summary,
                nesting=classifier.nesting,
                content_hash=classifier.encoder.content_hash,
                training={"base": base, "stopped": result.stopped, "best epoch": result.best_epoch, **used},
                metrics={"top-1, validation": result.validation, **test},
                base=base,
                pipeline=pipeline,
                usage=usage,
            ),
        )
    if result.stopped != INTERRUPTED:
        Checkpoints(Path(out) / CHECKPOINT).remove()
