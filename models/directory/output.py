"""The output directory of a training run: what may already be there, and how a new model is published."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.directory.files import RECORD_NAME
from models.errors import TrainingError

CHECKPOINT = "checkpoint"
"""Folder of an unfinished run, inside its output directory."""

_PARTIAL = "partial"


def check_output(out: str | Path, restart: bool) -> None:
    """Refuse to write where other files are; with ``restart``, delete an earlier run first.

    Raises:
        TrainingError: ``out`` is a file, holds a finished model and ``restart`` is not set, or holds other files.
    """
    out = Path(out)
    if not out.exists():
        return
    if not out.is_dir():
        raise TrainingError(f"{out} is a file: --out names a directory")
    has_model, has_checkpoint = (out / RECORD_NAME).exists(), (out / CHECKPOINT).exists()
    # Only what an earlier run wrote is ever deleted: --restart on a home directory must not cost anything.
    if not has_model and not has_checkpoint and any(out.iterdir()):
        raise TrainingError(f"{out} is not empty and holds no model that was trained here: give another --out")
    if restart:
        shutil.rmtree(out)
    elif has_model and not has_checkpoint:
        raise TrainingError(f"{out} already holds a model: give another --out, or --restart to replace it")


@contextmanager
def staged(out: str | Path) -> Iterator[Path]:
    """Write a model into a staging folder and publish it at the end of the block.

    A kill at any moment leaves either a complete model or none: ``mrl.json``, whose presence says that the model is
    complete, is moved last. If the block raises, nothing is published.

    >>> with staged(out) as folder:
    ...     model.save(str(folder), create_model_card=False)
    ...     write_record(folder, nesting)

    Args:
        out: the model's directory, created if necessary; files of the same names are replaced.

    Yields:
        An empty folder inside ``out``.
    """
    out = Path(out)
    folder = out / _PARTIAL
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    (out / RECORD_NAME).unlink(missing_ok=True)
    for path in sorted(folder.iterdir(), key=lambda path: path.name == RECORD_NAME):
        target = out / path.name
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)
    folder.rmdir()
