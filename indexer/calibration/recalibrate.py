"""Recalibration of the published generation of an index."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.calibration.options import CalibrationOptions
from indexer.calibration.queries import checked_vectors
from indexer.calibration.run import calibrate, with_calibration
from indexer.progress import Report, silent
from indexer.search.generation import OpenedGeneration
from indexer.storage.generations import Generations
from indexer.storage.manifest import Manifest
from indexer.storage.recorded_model import RecordedModel
from indexer.storage.resource_errors import translating_resource_errors
from models.data.lists import check_list
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
    report: Report = silent,
) -> Manifest:
    """Calibrate the published generation again and replace the plans in its manifest.

    Indexes that are open keep their plans until they are opened again.

    Args:
        path: the index directory.
        queries: queries like those of the users, as texts or as vectors of shape (n, D); if None, queries are made from
            the corpus.
        options: see :class:`CalibrationOptions`.
        encoder, model, device: as in :meth:`indexer.index.Index.open`.
        report: receives progress events.

    Returns:
        the new manifest.

    Raises:
        BundleBusyError: another process is changing the index.
        BundleError: nothing is published, a file cannot be used, or the model differs from the index's.
        BundleStorageError: the manifest cannot be written.
        ModelError: the model cannot be found or loaded. If ``queries`` are vectors, none is needed.
        OutOfMemoryError: there is not enough memory.
        InvalidOptionError: ``queries`` is a single str, is empty, or holds vectors of another shape or not finite; or
            this machine cannot search the index's structure.
    """
    check_list(queries, "queries", "queries")
    root = Path(path)
    generations = Generations(root)
    generations.require_published()  # before the lock, which would create the directory
    with translating_resource_errors(root, "calibrate on a machine with more"), generations.locked():
        folder = generations.path(generations.require_published())
        with closing(OpenedGeneration(folder)) as opened:
            recorded = RecordedModel(root, opened.manifest.model, encoder, model, device)
            given = _vectors(queries, recorded, opened.manifest.dimension)
            # Given vectors need no model; the plans are then chosen with the documents' vectors.
            by_vector = isinstance(queries, np.ndarray)
            own = encoder if by_vector else recorded.encoder
            manifest = with_calibration(opened, calibrate(opened, own, given, options, report))
        manifest = generations.identified(manifest)  # format 2 becomes 3, whose files are the same
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
