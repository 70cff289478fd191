"""Where a trained model is written: what may be there already, and how the new one takes its place."""

from __future__ import annotations

import shutil
from pathlib import Path

from models.directory.files import RECORD_NAME
from models.errors import TrainingError

CHECKPOINT = "checkpoint"
"""The folder of a run that is not finished, inside its output directory."""


def check_output(out: Path, restart: bool) -> None:
    """Refuse to write where something is; with ``restart``, delete an earlier run of ours first.

    Raises:
        TrainingError: ``out`` is a file, a finished model (without ``restart``), or holds something else.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise TrainingError(f"{out} is a file: --out names a directory")
    has_model, has_checkpoint = (out / RECORD_NAME).exists(), (out / CHECKPOINT).exists()
    # Only what a run of ours has made is ever deleted: --restart on somebody's home directory must not cost it.
    if not has_model and not has_checkpoint and any(out.iterdir()):
        raise TrainingError(f"{out} is not empty and holds no model of ours: give another --out")
    if restart:
        shutil.rmtree(out)
    elif has_model and not has_checkpoint:
        raise TrainingError(f"{out} already holds a model: give another --out, or --restart to replace it")


def publish(partial: Path, out: Path) -> None:
    """Move a model's files from a folder of their own to ``out``, so that half a model never looks whole."""
    out.mkdir(parents=True, exist_ok=True)
    # mrl.json goes last: its presence says that the model is whole.
    (out / RECORD_NAME).unlink(missing_ok=True)
    for path in sorted(partial.iterdir(), key=lambda path: path.name == RECORD_NAME):
        target = out / path.name
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)
    partial.rmdir()
