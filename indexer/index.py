"""Index: an opened index, searched by text, image or vector and updated in place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt

from indexer.calibration import choose_plan
from indexer.corpus import Document
from indexer.encoding import encode_images
from indexer.filters import Filter
from indexer.kernels.rows import Rows
from indexer.kernels.threads import cores
from indexer.plan import SCAN, Plan, SearchOptions, make_plan
from indexer.search.generation import OpenedGeneration, Verify
from indexer.search.hybrid import check_lexical, rank_hybrid
from indexer.search.live import LiveIndex
from indexer.search.results import Hit, SearchResult, StageClock
from indexer.search.view import View
from indexer.storage.documents import StoredDocument
from indexer.storage.manifest import Manifest
from indexer.storage.recorded_model import RecordedModel
from indexer.updates import Put, Updates, Upserted
from indexer.watch import RecallWatch, WatchOptions
from models.data.images import ImageSource
from models.data.lists import check_list
from models.data.unicode import check_unicode
from models.encoders.base import Encoder, ImageEncoder
from models.errors import ImageError, InvalidOptionError
from models.nesting import Vectors, truncate


class Index:
    """An opened index: the published generation and the updates since. Thread-safe::

        with Index.open("my-index") as index:
            result = index.search(["when is low tide"], SearchOptions(k=5, recall=0.95))
            for hit in result.hits[0]:
                print(hit.id, hit.score, hit.payload)
            index.upsert([Document("4", "The tide rises twice a day.", {"year": 2020})])
            index.delete(["3"])

    A search sees every update acknowledged before it began, by this process or another. The encoder is loaded when the
    first text is searched for or added; searching by vector needs none.

    Attributes:
        root: the index directory.
        threads: threads a call with several queries may use.
        watch: estimates the recall of live searches.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        encoder: Encoder | None = None,
        model: str | None = None,
        device: str = "auto",
        threads: int | None = None,
        watch: WatchOptions | None = None,
        verify: Verify = "loaded",
    ) -> None:
        """Open the published generation; arguments and errors as :meth:`open`."""
        if verify not in get_args(Verify):
            raise InvalidOptionError("verify", f"verify {verify!r}: allowed are {', '.join(get_args(Verify))}")
        root = Path(root)
        self.root, self.threads = root, threads or cores()
        self._live = LiveIndex(root, lambda facts: RecordedModel(root, facts, encoder, model, device), verify, _warm_up)
        self._lock = threading.Lock()
        self._updates: Updates | None = None
        self.watch = RecallWatch(watch or WatchOptions(), root, self._live.generation.name)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        encoder: Encoder | None = None,
        model: str | None = None,
        device: str = "auto",
        threads: int | None = None,
        watch: WatchOptions | None = None,
        verify: Verify = "loaded",
    ) -> Self:
        """Open the published generation of an index.

        Args:
            path: the index directory.
            encoder: encodes queries and new documents; if None, loaded by the model name in the manifest.
            model: where the model is now, if it has moved.
            device: device the encoder runs on.
            threads: threads a call with several queries may use; all cores if None. A single query uses the caller's.
            watch: share of searches to repeat exactly in the background; none if None.
            verify: which files to compare with their checksums, now and on :meth:`reload`: ``loaded``, those read into
                memory; ``all``, also the memory-mapped vectors, the documents and the journal; or ``sizes``, none.

        Raises:
            BundleError: nothing is published, the format is not supported, a file is missing, damaged or has the wrong
                size, or the encoder is not the one the index was built with.
            InvalidOptionError: ``verify`` is none of these, or this machine cannot search the index's structure, for
                example because a package is missing; the message says what to do.
            OutOfMemoryError: there is not enough memory for the structure.
        """
        return cls(path, encoder=encoder, model=model, device=device, threads=threads, watch=watch, verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files and stop the recall watch."""
        self.watch.close()
        self._live.close()
        if self._updates is not None:
            self._updates.close()

    def __len__(self) -> int:
        return len(self.view)

    @property
    def generation(self) -> str:
        """Name of the open generation."""
        return self._live.generation.name

    @property
    def opened(self) -> OpenedGeneration:
        """The open generation, without updates."""
        return self._live.generation.opened

    @property
    def manifest(self) -> Manifest:
        """What the generation holds and how it was built."""
        return self.opened.manifest

    @property
    def dimension(self) -> int:
        """The full dimension D."""
        return self.manifest.dimension

    @property
    def encoder(self) -> Encoder:
        """The index's model, loaded on first use.

        Raises:
            ModelError: the model cannot be found.
            ModelMismatchError: the model found is not the one the index was built with.
        """
        return self._live.generation.model.encoder

    @property
    def view(self) -> View:
        """The generation with every update acknowledged so far: what a search that begins now sees.

        Raises:
            BundleError, InvalidOptionError, OutOfMemoryError: as :meth:`refresh`.
        """
        return self._live.current().view

    def refresh(self) -> None:
        """Apply new updates now. Searches do so themselves; calling this keeps their wait short.

        If a compaction has merged some of them into a later generation, that generation is opened.

        Raises:
            BundleError: the journal cannot be read or is damaged, or the later generation cannot be used.
            InvalidOptionError, OutOfMemoryError: the later generation cannot be opened; see :meth:`open`.
        """
        self._live.refresh()

    def reload(self) -> bool:
        """Switch to the generation published now, without downtime: searches finish on the one they started with.

        The new generation is searched once beforehand, so that the first search finds it warm.

        Returns:
            whether another generation, or a new calibration, is now in use.

        Raises:
            BundleError, InvalidOptionError, OutOfMemoryError: the published generation cannot be opened; see
                :meth:`open`. The one that is open stays in use.
        """
        return self._live.reload()

    def search(
        self, queries: Sequence[str], options: SearchOptions | None = None, *, threads: int | None = None
    ) -> SearchResult:
        """Search by text.

        Args:
            queries: a list of texts, even for one.
            options: how to search.
            threads: threads this call may use for several queries; :attr:`threads` if None.

        Raises:
            InvalidOptionError: an option is out of range, ``queries`` is a single str, a text is not valid Unicode, the
                model encodes no texts, or the search is hybrid and the index was built without a lexical index.
            ModelError: the index's model cannot be found or loaded.
            ModelMismatchError: the model found is not the one the index was built with.
            BundleError: an update or a document cannot be read.
            OutOfMemoryError: a later generation had to be opened, and there is not enough memory; see :meth:`refresh`.
        """
        check_list(queries, "queries", "query")
        queries = list(queries)  # an iterator would be used up by the check
        for query in queries:
            check_unicode(query, "the query", "query")  # JSON can carry a lone surrogate, which no tokenizer takes
        return self._encode_and_search(
            lambda encoder: encoder.encode_queries(queries), options or SearchOptions(), threads, queries
        )

    def search_images(
        self,
        images: Sequence[ImageSource | str],
        options: SearchOptions | None = None,
        *,
        threads: int | None = None,
    ) -> SearchResult:
        """Search by images, given as paths or as encoded bytes. Other arguments as :meth:`search`.

        Raises:
            InvalidOptionError: an image cannot be read, the model encodes no images, ``images`` is a single path or
                image, an option is out of range, or the search is hybrid.
            ModelError, ModelMismatchError, BundleError, OutOfMemoryError: as :meth:`search`.
        """
        check_list(images, "images", "image")
        options = options or SearchOptions()
        _require_text(options, "images")
        sources = [Path(image) if isinstance(image, str) else image for image in images]
        return self._encode_and_search(lambda encoder: _image_vectors(encoder, sources), options, threads)

    def search_vectors(
        self, queries: npt.NDArray[Any], options: SearchOptions | None = None, *, threads: int | None = None
    ) -> SearchResult:
        """Search by vectors of the index's model: shape (n, D), any norm. Other arguments as :meth:`search`.

        Raises:
            InvalidOptionError: the shape is wrong, a vector holds NaN or infinity, an option is out of range, or the
                search is hybrid.
            BundleError, OutOfMemoryError: as :meth:`search`.
        """
        options, view = options or SearchOptions(), self.view
        _require_text(options, "vectors")
        queries = np.asarray(queries, dtype=np.float32)
        dimension = view.opened.manifest.dimension
        if queries.ndim != 2 or queries.shape[1] != dimension:
            raise InvalidOptionError(
                "vector", f"query vectors of shape {queries.shape}: the index has vectors of {dimension} dimensions"
            )
        if not np.isfinite(queries).all():
            raise InvalidOptionError("vector", "a query vector holds NaN or infinity")
        return self._search(view, queries, _plan(options, view), options, StageClock(), threads)

    def plan(self, options: SearchOptions) -> Plan:
        """Return the plan a search with these options follows.

        Raises:
            InvalidOptionError: an option is out of range.
        """
        return _plan(options, self.view)

    def rank(
        self, queries: Vectors, plan: Plan, clock: StageClock | None = None, condition: Filter | None = None
    ) -> tuple[Vectors, Rows]:
        """Find rows of :attr:`view` without fetching their documents.

        Args:
            queries: shape (n, D).
            plan: from :meth:`plan`.
            clock: records the time of each stage.
            condition: restricts the search to rows that match; all rows if None.

        Returns:
            scores, float32, and rows, int64, both of shape (n, k), best first, padded with -inf and -1.
        """
        view, clock = self.view, clock or StageClock()
        selection = None if condition is None else view.select(condition, clock)
        return view.rank(queries, plan, selection, clock, self.threads)

    def multiply_adds(self, queries: Vectors, plan: Plan) -> float:
        """Return the mean multiply-adds per query: prefixes compared × Ds + K × Dr."""
        view = self.view
        compared = float(len(view))
        if plan.structure != SCAN:
            coarse, comparisons = truncate(queries, plan.dims), view.opened.shortlist.comparisons
            compared = comparisons(coarse, plan.candidates, plan.effort) + len(view.delta.rows)
            if plan.second_look:
                clock = StageClock()
                view.rank(queries, plan, None, clock, self.threads)
                again = sum(stage.again or 0 for stage in clock.stages)
                compared += again * comparisons(coarse, plan.candidates, plan.second_look.effort)
        if plan.single:
            return compared * plan.dims
        taken = [plan.candidates, *(stage.keep for stage in plan.stages[:-1])]
        return compared * plan.dims + sum(n * stage.dims for n, stage in zip(taken, plan.stages, strict=True))

    def get(self, ids: Sequence[str]) -> dict[str, StoredDocument]:
        """Return the current documents by id; ids that do not exist are left out.

        Raises:
            InvalidOptionError: ``ids`` is a single str.
        """
        check_list(ids, "ids", "ids")
        ids = list(ids)
        added, view = self._live.added(ids)
        rest = [identifier for identifier in dict.fromkeys(ids) if identifier not in added]
        return {**added, **view.from_base(rest)} if rest else added

    def put(self, documents: Sequence[Document]) -> list[Put]:
        """Add or replace the valid documents, and report on each; see :meth:`Updates.put`."""
        return self._writer.put(documents)

    def upsert(self, documents: Sequence[Document], vectors: npt.NDArray[Any] | None = None) -> Upserted:
        """Add documents, or replace those with the same ids; see :meth:`Updates.upsert`."""
        return self._writer.upsert(documents, vectors)

    def delete(self, ids: Sequence[str]) -> int:
        """Delete documents and return how many existed; see :meth:`Updates.delete`."""
        return self._writer.delete(ids)

    @property
    def _writer(self) -> Updates:
        with self._lock:
            live = self._live.generation  # a reload may have brought another model or other fields
            if self._updates is None:
                self._updates = Updates(self.root, live.model)
            self._updates.model, self._updates.text_fields = live.model, live.opened.manifest.corpus.text_fields
            return self._updates

    def _encode_and_search(
        self,
        encode: Callable[[Encoder], Vectors],
        options: SearchOptions,
        threads: int | None,
        texts: Sequence[str] = (),
    ) -> SearchResult:
        live = self._live.current()
        view = live.view
        plan = _plan(options, view)
        if options.hybrid is not None:
            check_lexical(view)  # before the model is loaded
        encoder = live.model.encoder  # loaded, the first time, before the clock runs
        clock = StageClock()
        vectors = clock.run("encode", lambda: encode(encoder), dims=encoder.dimension)
        return self._search(view, vectors, plan, options, clock, threads, texts)

    def _search(
        self,
        view: View,
        queries: Vectors,
        plan: Plan,
        options: SearchOptions,
        clock: StageClock,
        threads: int | None,
        texts: Sequence[str] = (),
    ) -> SearchResult:
        selection = None if options.filter is None else view.select(options.filter, clock)
        threads = threads or self.threads
        if options.hybrid is None:
            scores, rows = view.rank(queries, plan, selection, clock, threads)
            self.watch.offer(queries, plan, scores, rows, selection, view)
        else:
            # Not offered to the watch: lexical hits missing from the vector results are not errors of the plan.
            scores, rows = rank_hybrid(view, texts, queries, plan, options.hybrid, selection, clock, threads)
        documents = clock.run("documents", lambda: view.fetch(rows[rows >= 0].tolist()))
        found = iter(documents)
        hits = [
            [Hit(document.id, score, document.payload) for score, document in zip(of_query, found, strict=False)]
            for of_query in (line[line > -np.inf].tolist() for line in scores)
        ]
        return SearchResult(hits, clock.stages, plan, view.opened.path.name)


def _warm_up(view: View) -> None:
    dimension = view.opened.manifest.dimension
    query = truncate(np.ones((1, dimension), np.float32), dimension)
    _, rows = view.rank(query, _plan(SearchOptions(k=1), view), None, StageClock(), 1)
    view.fetch(rows[rows >= 0].tolist())


def _image_vectors(encoder: Encoder, images: Sequence[ImageSource]) -> Vectors:
    if not isinstance(encoder, ImageEncoder):
        raise InvalidOptionError("image", f"the index's model {encoder.name!r} encodes no images: search by text")
    try:
        return encode_images(encoder, images)
    except ImageError as error:
        raise InvalidOptionError("image", str(error)) from error


def _require_text(options: SearchOptions, given: str) -> None:
    if options.hybrid is not None:
        raise InvalidOptionError(
            "hybrid", f"hybrid search with {given}: the words come from a text query, so search by text or leave it out"
        )


def _plan(options: SearchOptions, view: View) -> Plan:
    manifest = view.opened.manifest
    plan = choose_plan(manifest.plans, options, len(view))
    if plan is not None:
        return plan
    return make_plan(options, len(view), manifest.dimension, manifest.shortlist.dims, manifest.shortlist.kind)
