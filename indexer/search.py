"""An opened index, and searching it: shortlist at Ds, exact rerank at Dr."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from indexer.documents import FILE_NAME as DOCUMENTS
from indexer.documents import Documents
from indexer.errors import BundleCorruptError, ModelMismatchError
from indexer.generations import Generations
from indexer.manifest import Manifest
from indexer.plan import SCAN, Plan, SearchOptions, make_plan
from indexer.results import Hit, SearchResult, StageClock
from indexer.shortlist import KINDS, Rows, shortlist_type
from indexer.vectors import FILE_NAME as VECTORS
from indexer.vectors import StoredVectors, order_by_score
from models.encoders import Encoder, load_encoder
from models.errors import InvalidOptionError
from models.nesting import Vectors, truncate

_TIE_SLACK = 32


class Index:
    """A published generation, open for reading. Any number of threads may search it at once.

    The encoder is loaded when the first text is searched for; searching by vector needs none.
    """

    def __init__(self, root: Path, generation: str, encoder: Encoder | None, model: str | None, device: str) -> None:
        self.root, self.generation = root, generation
        self.path = Generations(root).path(generation)
        self.manifest = Manifest.read(self.path)
        self._model, self._device = model, device
        self._encoder = encoder
        self._loading = threading.Lock()
        if encoder is not None:
            self._check(encoder)
        facts = self.manifest.shortlist
        if facts.kind not in KINDS:
            raise BundleCorruptError(f"{self.path}: unknown shortlist {facts.kind!r}; known are {', '.join(KINDS)}")
        structure = shortlist_type(facts.kind)
        self.shortlist = structure.load(self.path / structure.file_name)
        self.vectors = StoredVectors(self.path / VECTORS, self.manifest.rows, self.manifest.dimension)
        self.documents = Documents(self.path / DOCUMENTS)

    @classmethod
    def open(
        cls, path: Path | str, *, encoder: Encoder | None = None, model: str | None = None, device: str = "auto"
    ) -> Self:
        """Open the published generation of an index.

        Args:
            path: the index directory.
            encoder: for queries; found by the manifest's model name where None.
            model: another place of the same model, where it has moved.
            device: where the encoder runs.

        Raises:
            BundleError: nothing is published, the format is another, a file is missing or has the wrong size, or the
                encoder is not the one the index was built with.
        """
        root = Path(path)
        return cls(root, Generations(root).require_published(), encoder, model, device)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the document file."""
        self.documents.close()

    def __len__(self) -> int:
        return self.manifest.rows

    @property
    def dimension(self) -> int:
        """The full size D."""
        return self.manifest.dimension

    @property
    def encoder(self) -> Encoder:
        """The query encoder.

        Raises:
            ModelError: the model is not where it was.
            ModelMismatchError: it is not the model of the index.
        """
        with self._loading:
            if self._encoder is None:
                facts = self.manifest.model
                encoder = load_encoder(
                    self._model or facts.name,
                    nesting=facts.nesting,
                    query_prompt=facts.query_prompt,
                    document_prompt=facts.document_prompt,
                    device=self._device,
                )
                self._check(encoder)
                self._encoder = encoder
            return self._encoder

    def search(self, queries: Sequence[str], options: SearchOptions | None = None) -> SearchResult:
        """Search by text.

        Raises:
            InvalidOptionError: an option outside its bounds, or a text that is not valid Unicode.
        """
        plan = self.plan(options or SearchOptions())
        for query in queries:
            _check_unicode(query)
        encoder = self.encoder  # loaded, the first time, before the clock runs
        clock = StageClock()
        vectors = clock.run("encode", lambda: encoder.encode_queries(queries), dims=self.dimension)
        return self._search(vectors, plan, clock)

    def search_vectors(self, queries: npt.NDArray[Any], options: SearchOptions | None = None) -> SearchResult:
        """Search by vectors of the model: shape (n, D), any scale.

        Raises:
            InvalidOptionError: wrong shape, NaN or infinity, or an option outside its bounds.
        """
        queries = np.asarray(queries, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.dimension:
            raise InvalidOptionError(
                "vector",
                f"query vectors of shape {queries.shape}: the index has vectors of {self.dimension} dimensions",
            )
        if not np.isfinite(queries).all():
            raise InvalidOptionError("vector", "a query vector holds NaN or infinity")
        return self._search(queries, self.plan(options or SearchOptions()), StageClock())

    def plan(self, options: SearchOptions) -> Plan:
        """Check options and fill in the defaults.

        Raises:
            InvalidOptionError: an option outside its bounds; the message names the bounds.
        """
        facts = self.manifest.shortlist
        return make_plan(options, len(self), self.dimension, facts.dims, facts.kind)

    def rank(self, queries: Vectors, plan: Plan, clock: StageClock | None = None) -> tuple[Vectors, Rows]:
        """Find rows without their documents.

        Args:
            queries: shape (n, D).
            plan: from :meth:`plan`.
            clock: takes the stages down.

        Returns:
            scores, float32, and rows, int64, both of shape (n, min(k, N)), best first.
        """
        clock = clock or StageClock()
        coarse = truncate(queries, plan.dims)
        found = clock.run(
            "shortlist",
            lambda: self._candidates(coarse, plan),
            dims=plan.dims,
            candidates_in=len(self),
            candidates_out=plan.candidates,
            structure=plan.structure,
        )
        fine = truncate(queries, plan.rerank_dims)
        scores, rows = clock.run(
            "rerank",
            lambda: order_by_score(self.vectors.scores(fine, found, plan.rerank_dims), found),
            dims=plan.rerank_dims,
            candidates_in=found.shape[1],
            candidates_out=plan.k,
        )
        return scores[:, : plan.k], rows[:, : plan.k]

    def work(self, queries: Vectors, plan: Plan) -> float:
        """Return multiply-adds a query, the mean over ``queries``: prefixes looked at × Ds + K × Dr."""
        looked_at = float(len(self))
        if plan.structure != SCAN:
            looked_at = self.shortlist.work(truncate(queries, plan.dims), plan.candidates, plan.effort)
        return looked_at * plan.dims + (0 if plan.single else plan.candidates * plan.rerank_dims)

    def _candidates(self, coarse: Vectors, plan: Plan) -> Rows:
        if plan.structure == SCAN:
            # A single exact search ranks by the same score again: the slack keeps rows that tie at its end in order.
            count = plan.k + _TIE_SLACK if plan.single else plan.candidates
            return self.vectors.nearest(coarse, plan.dims, count)
        rows = self.shortlist.search(coarse, plan.candidates, plan.effort)
        starved = (rows >= 0).sum(axis=1) < plan.k
        if starved.any():  # a graph may not reach every row; k results are promised where k exist
            rows[starved] = self.vectors.nearest(coarse[starved], plan.dims, plan.candidates)
        return rows

    def _search(self, queries: Vectors, plan: Plan, clock: StageClock) -> SearchResult:
        scores, rows = self.rank(queries, plan, clock)
        documents = clock.run("documents", lambda: self.documents.fetch(rows.ravel().tolist()))
        width = rows.shape[1]
        hits = [
            [
                Hit(document.id, float(score), document.payload)
                for document, score in zip(documents[i * width : (i + 1) * width], scores[i], strict=True)
            ]
            for i in range(len(rows))
        ]
        return SearchResult(hits, clock.stages, plan)

    def _check(self, encoder: Encoder) -> None:
        facts = self.manifest.model
        if encoder.content_hash != facts.content_hash:
            raise ModelMismatchError(
                f"{self.root} was built with model {facts.name!r} (content {facts.content_hash[:12]}), the query "
                f"encoder is {encoder.name!r} (content {encoder.content_hash[:12]}): give the model it was built with "
                "by --model, or build the index again with this one"
            )


def _check_unicode(query: str) -> None:
    # JSON can carry a lone surrogate, which no tokenizer takes.
    try:
        query.encode()
    except UnicodeEncodeError as error:
        raise InvalidOptionError(
            "query", f"the query is not valid Unicode: {error.reason} at character {error.start}"
        ) from None
