"""Calibrating the published generation of an index again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.calibration.options import CalibrationOptions
from indexer.calibration.queries import checked_vectors
from indexer.calibration.run import Report, calibrate, calibrated
from indexer.search.generation import OpenedGeneration
from indexer.storage.generations import Generations
from indexer.storage.manifest import Manifest
from indexer.storage.recorded_model import RecordedModel
from indexer.storage.resource_errors import told_of
from models.encoders.base import Encoder
from models.nesting import Vectors


def calibrate_index(
    path: Path | str,
    queries: Sequence[str] | npt.NDArray[Any] | None = None,
    options: CalibrationOptions | None = None,
    *,
    encoder: Encoder | None = None,
    model: str | None = None,
    device: str = "auto",
    report: Report = lambda event, facts: None,
) -> Manifest:
    """Measure the plans of the published generation and put them into its manifest, in place of those there.

    Searches of an index that is open go on with the plans they have until it is opened again.

    Args:
        path: the index directory.
        queries: such as will be asked: texts, or vectors of shape (n, D); stand-ins are sampled where None.
        options: see :class:`CalibrationOptions`.
        encoder, model, device: as in :meth:`indexer.index.Index.open`.
        report: told about progress.

    Returns:
        the manifest as it is now.

    Raises:
        BundleBusyError: another process is changing the index.
        BundleError: nothing is published, a file of it cannot be used, or the model is another.
        InvalidOptionError: vectors of another shape, or not finite.
    """
    root = Path(path)
    generations = Generations(root)
    generations.require_published()  # before the lock, which would make the directory
    with told_of(root, "calibrate where there is more of it"), generations.locked():
        folder = generations.path(generations.require_published())
        with closing(OpenedGeneration(folder)) as opened:
            recorded = RecordedModel(root, opened.manifest.model, encoder, model, device)
            given = _vectors(queries, recorded, opened.manifest.dimension)
            # Vectors that were given need no model: the plans are chosen with documents' vectors then.
            by_vector = isinstance(queries, np.ndarray)
            own = encoder if by_vector else recorded.encoder
            manifest = calibrated(opened, calibrate(opened, own, given, options, report))
        if manifest.index_id is None:  # of format 2, which this turns into format 3: the files of both are the same
            manifest = manifest.model_copy(update={"index_id": generations.index_id()})
        manifest.write(folder)
        return manifest


def _vectors(
    queries: Sequence[str] | npt.NDArray[Any] | None, recorded: RecordedModel, dimension: int
) -> Vectors | None:
    if queries is None:
        return None
    if not isinstance(queries, np.ndarray):
        queries = recorded.encoder.encode_queries(queries)
    return checked_vectors(queries, dimension)
