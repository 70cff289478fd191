"""An opened index: searching it by text or vector, and changing its documents."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt

from indexer.calibration import choose_plan
from indexer.corpus import Document
from indexer.encoding import encode_images
from indexer.errors import BundleError, PrunedError
from indexer.filters import Filter
from indexer.kernels.rows import Rows
from indexer.kernels.threads import cores
from indexer.plan import SCAN, Plan, SearchOptions, make_plan
from indexer.search.generation import OpenedGeneration, Verify
from indexer.search.hybrid import check_lexical, rank_hybrid
from indexer.search.results import Hit, SearchResult, StageClock
from indexer.search.view import LiveGeneration, View
from indexer.storage.documents import StoredDocument
from indexer.storage.generations import Generations
from indexer.storage.journal import Journal
from indexer.storage.manifest import Manifest, ModelFacts
from indexer.storage.recorded_model import RecordedModel
from indexer.updates import Put, Updates, Upserted
from indexer.watch import RecallWatch, WatchOptions
from models.data.images import ImageSource
from models.data.unicode import check_unicode
from models.encoders.base import Encoder, ImageEncoder
from models.errors import ImageError, InvalidOptionError
from models.nesting import Vectors, truncate


class Index:
    """A published generation with the updates since. Any number of threads may search and change it at once.

    A search sees every update that was acknowledged before it began, by this process or another. The encoder is loaded
    when the first text is searched for or added; vectors need none.

    Attributes:
        root: the directory.
        threads: what a call with many queries may use.
        watch: estimates the recall of searches.
    """

    def __init__(
        self,
        root: Path,
        encoder: Encoder | None,
        model: str | None,
        device: str,
        threads: int,
        watch: WatchOptions,
        verify: Verify,
    ) -> None:
        if verify not in get_args(Verify):
            raise InvalidOptionError("verify", f"verify {verify!r}: allowed are {', '.join(get_args(Verify))}")
        self.root, self.threads, self._verify = root, threads, verify
        self._generations, self._journal = Generations(root), Journal(root)
        self._lock, self._reloading = threading.Lock(), threading.Lock()
        try:
            if verify == "all":
                self._journal.verify()
            self._live = self._open(lambda facts: RecordedModel(root, facts, encoder, model, device))
        except BaseException:
            self._journal.close()
            raise
        self._updates: Updates | None = None
        self.watch = RecallWatch(watch, root, self._live.name)

    @classmethod
    def open(
        cls,
        path: Path | str,
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
            encoder: for queries and new documents; found by the manifest's model name where None.
            model: another place of the same model, where it has moved.
            device: where the encoder runs.
            threads: what a call with many queries may use; all cores where None. A lone query uses the caller's own.
            watch: what share of searches is repeated exactly in the background; none where None.
            verify: which files are compared with their checksums, now and by :meth:`reload`: those that are read into
                memory; ``all``, mapped vectors, documents and the journal too; or none, and ``sizes`` alone are.

        Raises:
            BundleError: nothing is published, the format is another, a file is missing, damaged or has the wrong size,
                or the encoder is not the one the index was built with.
        """
        return cls(Path(path), encoder, model, device, threads or cores(), watch or WatchOptions(), verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the document file and the journal."""
        self.watch.close()
        self.opened.close()
        self._journal.close()
        if self._updates is not None:
            self._updates.close()

    def __len__(self) -> int:
        return len(self.view)

    @property
    def generation(self) -> str:
        """The generation's name."""
        return self._live.name

    @property
    def opened(self) -> OpenedGeneration:
        """The generation as it was made."""
        return self._live.opened

    @property
    def manifest(self) -> Manifest:
        """What the generation holds and how it was made."""
        return self.opened.manifest

    @property
    def dimension(self) -> int:
        """The full size D."""
        return self.manifest.dimension

    @property
    def encoder(self) -> Encoder:
        """The model of the index.

        Raises:
            ModelError: the model is not where it was.
            ModelMismatchError: it is not the model of the index.
        """
        return self._live.model.encoder

    @property
    def view(self) -> View:
        """The generation with all updates acknowledged up to now: what a search that begins now sees."""
        return self._current().view

    def refresh(self) -> None:
        """Take in the updates that have come. Searches do so themselves, so that they need not wait for it long."""
        with self._lock:
            try:
                self._live.catch_up()
            except PrunedError:
                self._replace(self._open(self._live.model.of))

    def reload(self) -> bool:
        """Go over to the generation that is published now; searches go on meanwhile, each with what it began with.

        It is searched once before others search it, so that they find it warm.

        Returns:
            whether it is another than before, or was calibrated anew.
        """
        with self._reloading:
            while True:
                before, name = self._live, self._generations.require_published()
                if name == before.name and Manifest.read(before.opened.path) == before.opened.manifest:
                    return False
                # Opened without the lock that searches need to see new updates: at millions of rows this takes seconds.
                live = self._open(before.model.of)
                self._warm_up(live.view)
                with self._lock:
                    if self._live is before and self._caught_up(live):
                        self._replace(live)
                        return True
                live.opened.close()  # another took its place, or updates were folded into a later one, meanwhile

    def search(
        self, queries: Sequence[str], options: SearchOptions | None = None, *, threads: int | None = None
    ) -> SearchResult:
        """Search by text.

        Args:
            queries: texts.
            options: how.
            threads: what this call may use where there are several queries; :attr:`threads` where None.

        Raises:
            InvalidOptionError: an option outside its bounds, a text that is not valid Unicode, or a hybrid search of an
                index without words.
        """
        for query in queries:
            check_unicode(query, "the query", "query")  # JSON can carry a lone surrogate, which no tokenizer takes
        return self._encode_and_search(
            lambda encoder: encoder.encode_queries(queries), options or SearchOptions(), threads, queries
        )

    def search_images(
        self, images: Sequence[ImageSource], options: SearchOptions | None = None, *, threads: int | None = None
    ) -> SearchResult:
        """Search by images: files, or bytes of what is in one. Arguments as :meth:`search`.

        Raises:
            InvalidOptionError: an image that cannot be read, a model that encodes no images, or an option outside its
                bounds.
        """
        options = options or SearchOptions()
        _require_text(options, "images")
        return self._encode_and_search(lambda encoder: _image_vectors(encoder, images), options, threads)

    def search_vectors(
        self, queries: npt.NDArray[Any], options: SearchOptions | None = None, *, threads: int | None = None
    ) -> SearchResult:
        """Search by vectors of the model: shape (n, D), any scale. Other arguments as :meth:`search`.

        Raises:
            InvalidOptionError: wrong shape, NaN or infinity, or an option outside its bounds.
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
        """Check options and fill in the defaults.

        Raises:
            InvalidOptionError: an option outside its bounds; the message names the bounds.
        """
        return _plan(options, self.view)

    def rank(
        self, queries: Vectors, plan: Plan, clock: StageClock | None = None, condition: Filter | None = None
    ) -> tuple[Vectors, Rows]:
        """Find rows of :attr:`view` without their documents.

        Args:
            queries: shape (n, D).
            plan: from :meth:`plan`.
            clock: takes the stages down.
            condition: only rows that match are found; all where None.

        Returns:
            scores, float32, and rows, int64, both of shape (n, k), best first; -inf and -1 where there are fewer.
        """
        view, clock = self.view, clock or StageClock()
        selection = None if condition is None else view.select(condition, clock)
        return view.rank(queries, plan, selection, clock, self.threads)

    def work(self, queries: Vectors, plan: Plan) -> float:
        """Return multiply-adds a query, the mean over ``queries``: prefixes looked at × Ds + K × Dr."""
        view = self.view
        looked_at = float(len(view))
        if plan.structure != SCAN:
            coarse, work = truncate(queries, plan.dims), view.opened.shortlist.work
            looked_at = work(coarse, plan.candidates, plan.effort) + len(view.delta.rows)
            if plan.second_look:
                clock = StageClock()
                view.rank(queries, plan, None, clock, self.threads)
                again = sum(stage.again or 0 for stage in clock.stages)
                looked_at += again * work(coarse, plan.candidates, plan.second_look.effort)
        if plan.single:
            return looked_at * plan.dims
        taken = [plan.candidates, *(stage.keep for stage in plan.stages[:-1])]
        return looked_at * plan.dims + sum(n * stage.dims for n, stage in zip(taken, plan.stages, strict=True))

    def get(self, ids: Sequence[str]) -> dict[str, StoredDocument]:
        """Return documents by id, as they are now; ids that are not there are left out."""
        self._current()
        with self._lock:
            added, view = self._live.added(ids), self._live.view
        rest = [one for one in dict.fromkeys(ids) if one not in added]
        return {**added, **view.from_base(rest)} if rest else added

    def put(self, documents: Sequence[Document]) -> list[Put]:
        """Add or replace those documents that can be taken, and tell of each; see :meth:`Updates.put`."""
        return self._writer.put(documents)

    def upsert(self, documents: Sequence[Document], vectors: npt.NDArray[Any] | None = None) -> Upserted:
        """Add documents, or replace those that have their ids; see :meth:`Updates.upsert`."""
        return self._writer.upsert(documents, vectors)

    def delete(self, ids: Sequence[str]) -> int:
        """Delete documents and return how many were there; see :meth:`Updates.delete`."""
        return self._writer.delete(ids)

    @property
    def _writer(self) -> Updates:
        with self._lock:
            if self._updates is None:
                self._updates = Updates(self.root, self._live.model)
            return self._updates

    def _current(self) -> LiveGeneration:
        if self._journal.signal != self._live.seen:
            self.refresh()
        return self._live

    def _encode_and_search(
        self,
        encode: Callable[[Encoder], Vectors],
        options: SearchOptions,
        threads: int | None,
        texts: Sequence[str] = (),
    ) -> SearchResult:
        live = self._current()
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
            # Not offered to the watch: what words bring in is no error of the plan.
            scores, rows = rank_hybrid(view, texts, queries, plan, options.hybrid, selection, clock, threads)
        documents = clock.run("documents", lambda: view.fetch(rows[rows >= 0].tolist()))
        found = iter(documents)
        hits = [
            [Hit(document.id, score, document.payload) for score, document in zip(of_query, found, strict=False)]
            for of_query in (line[line > -np.inf].tolist() for line in scores)
        ]
        return SearchResult(hits, clock.stages, plan, view.opened.path.name)

    def _open(self, model_of: Callable[[ModelFacts], RecordedModel]) -> LiveGeneration:
        while True:
            name = self._generations.require_published()
            try:
                return LiveGeneration(self._generations.path(name), self._journal, model_of, self._verify)
            except BundleError:
                # It may have been replaced, and deleted, since its name was read.
                if self._generations.published() == name:
                    raise

    def _warm_up(self, view: View) -> None:
        query = truncate(np.ones((1, view.opened.manifest.dimension), np.float32), view.opened.manifest.dimension)
        _, rows = view.rank(query, _plan(SearchOptions(k=1), view), None, StageClock(), 1)
        view.fetch(rows[rows >= 0].tolist())

    def _caught_up(self, live: LiveGeneration) -> bool:
        try:
            live.catch_up()
        except PrunedError:
            return False
        return True

    def _replace(self, live: LiveGeneration) -> None:
        before, self._live = self._live, live
        if self._updates is not None:
            self._updates.model = self._live.model
        # Closed when the last search that uses it has ended.
        weakref.finalize(before.opened, before.opened.documents.close)


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
            "hybrid", f"hybrid search with {given}: its words come from the query, so search by text, or leave it out"
        )


def _plan(options: SearchOptions, view: View) -> Plan:
    manifest = view.opened.manifest
    plan = choose_plan(manifest.plans, options, len(view))
    if plan is not None:
        return plan
    return make_plan(options, len(view), manifest.dimension, manifest.shortlist.dims, manifest.shortlist.kind)
