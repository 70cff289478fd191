"""``mrl adapt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.progress import TaskID

from indexer import Corpus, Fields
from models.adapter.options import AdapterOptions
from models.classifier.classifier import CLASSIFIER_NAME
from models.data.pairs import read_pairs
from models.encoders.load import load_encoder
from models.errors import DataError, InvalidOptionError, ModelError
from models.nesting import Nesting, Vectors
from models.progress import Encoding, Evaluated, Event, Step, TrainingStarted
from service.commands.output import ProgressDisplay, note, print_table

if TYPE_CHECKING:
    from models.adapter.training import LearnedAdapter

_DEFAULTS = AdapterOptions()


def adapt(
    source: Annotated[
        str,
        typer.Argument(
            help="Vectors to learn from (.npy, one a row), or a model: 'wordllama', a directory or a hub name.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Directory of the adapter, or of the adapted model.", show_default=False)],
    data: Annotated[
        list[Path] | None, typer.Option(help="Of a model: corpus files or folders, as for 'index build'; repeatable.")
    ] = None,
    pairs: Annotated[
        list[Path] | None, typer.Option(help="Of a model: files of (query, document) pairs; repeatable.")
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="Of vectors: those of queries (.npy).")] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Sizes of prefixes, such as 32,64,128. Default: powers of two from 16.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Documents, and queries, to learn from; a random sample of them.")] = 20_000,
    text_field: Annotated[str, typer.Option(help="Of --data: field of the text.")] = "text",
    title_field: Annotated[str, typer.Option(help="Of --data: field of the title, put before the text.")] = "title",
    query_field: Annotated[str, typer.Option(help="Of --pairs: field of the query.")] = "query",
    document_field: Annotated[str, typer.Option(help="Of --pairs: field of the document.")] = "document",
    steps: Annotated[int, typer.Option(help="Batches, at most.")] = _DEFAULTS.steps,
    max_seconds: Annotated[
        float, typer.Option(help="Bound on encoding and learning; encoding gets half of it at most.")
    ] = _DEFAULTS.max_seconds,
    seed: Annotated[int, typer.Option(help="Of the sample, the split and the order.")] = _DEFAULTS.seed,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = _DEFAULTS.device,
    restart: Annotated[bool, typer.Option("--restart", help="Replace an earlier model in --out.")] = False,
) -> None:
    """Make the prefixes of an embedding that was not trained nested worth more, by a rotation of its vectors.

    Whole vectors score as before. It starts from PCA and learns to rank by each prefix as by the whole vector.
    Of a model it writes a model directory; of vectors an adapter, which models.adapter.adapter.Adapter applies.
    """
    from models.adapter.model import adapt_model  # torch takes seconds to import, which --help need not wait for
    from models.adapter.training import learn_adapter
    from models.directory.output import check_output

    options = AdapterOptions(
        sizes=Nesting.parse(sizes).sizes if sizes else None,
        steps=steps,
        max_seconds=max_seconds,
        seed=seed,
        device=device,
    )
    if rows < 1:
        raise InvalidOptionError("rows", f"rows {rows}: give at least 1")
    rng = np.random.default_rng(seed)
    if source.endswith(".npy"):
        if data or pairs:
            raise InvalidOptionError(
                "data", "--data and --pairs are texts, for a model; vectors take --queries FILE.npy"
            )
        check_output(out, restart)
        vectors = _read_vectors(Path(source), rows, rng)
        asked = _read_vectors(queries, rows, rng) if queries else None
        with AdaptProgress() as progress:
            learned = learn_adapter(vectors, options, asked, report=progress.report)
        learned.save(out)
    else:
        if queries:
            raise InvalidOptionError(
                "queries", "--queries are vectors, for a file of vectors; a model takes --pairs FILE"
            )
        documents = _sample_texts(data, Fields(text=text_field, title=title_field), rows, rng) if data else []
        asked_texts = None
        if pairs:
            found = read_pairs(pairs, query_field=query_field, document_field=document_field).pairs
            chosen = [found[i] for i in rng.permutation(len(found))[:rows]]
            asked_texts = [pair.query for pair in chosen]
            documents += [pair.document for pair in chosen]
            rng.shuffle(documents)
        if not documents:
            raise InvalidOptionError(
                "data", "a model needs texts to learn from: give --data FILE, --pairs FILE or both"
            )
        if (Path(source) / CLASSIFIER_NAME).exists():
            raise ModelError(f"{source} is a classifier, whose heads would not fit rotated vectors: adapt its base")
        encoder = load_encoder(source, device=device)
        with AdaptProgress() as progress:
            learned = adapt_model(
                encoder, documents[:rows], out, options, asked_texts, restart=restart, report=progress.report
            )
    _print(learned, out)


def _read_vectors(path: Path, count: int, rng: np.random.Generator) -> Vectors:
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read vectors from {path}: {error}") from error
    if stored.ndim != 2 or not np.issubdtype(stored.dtype, np.floating):
        raise DataError(
            f"{path} holds {stored.dtype} of shape {stored.shape}: floating numbers of two dimensions are needed, "
            "one vector a row"
        )
    chosen = np.sort(rng.choice(len(stored), min(count, len(stored)), replace=False))
    return np.asarray(stored[chosen], dtype=np.float32)


def _sample_texts(paths: list[Path], fields: Fields, count: int, rng: np.random.Generator) -> list[str]:
    """Return a random sample of a corpus's texts, in random order (reservoir sampling)."""
    chosen: list[str] = []
    seen = 0
    for row in Corpus(paths, fields).rows():
        if row.document is None:
            continue
        seen += 1
        if len(chosen) < count:
            chosen.append(row.document.full_text)
        elif (place := int(rng.integers(seen))) < count:
            chosen[place] = row.document.full_text
    rng.shuffle(chosen)
    return chosen


def _print(learned: LearnedAdapter, out: Path) -> None:
    names = list(learned.recall)
    rows = [(str(size), *(f"{learned.recall[name][size]:.3f}" for name in names)) for size in learned.recall["pca"]]
    print_table(("dimensions", *names), rows, "recall@10 of a search by the prefix alone, on held-out rows")
    note(
        f"{learned.stopped} after {learned.steps} steps on {learned.documents} documents and {learned.queries} "
        f"queries; the map of step {learned.best_step} is in {out}"
    )


class AdaptProgress(ProgressDisplay):
    """Draws what :func:`models.adapter.model.adapt_model` reports."""

    def __init__(self) -> None:
        super().__init__()
        self._encoding: TaskID | None = None
        self._learning: TaskID | None = None

    def report(self, event: Event) -> None:
        """Draw an event."""
        match event:
            case Encoding(done=done, total=total):
                if self._encoding is None:
                    self._encoding = self._bar.add_task("encoding", total=total, facts="texts")
                self._bar.update(self._encoding, completed=done)
            case TrainingStarted(steps=steps):
                self._learning = self._bar.add_task("learning", total=steps, facts="")
            case Step(step=step, loss=loss) if self._learning is not None:
                self._bar.update(self._learning, completed=step, facts=f"loss {loss:.3f}")
            case Evaluated(step=step, scores=scores):
                values = "  ".join(f"{size}: {value:.3f}" for size, value in scores.items())
                note(f"step {step:>6}  recall@10  {values}")
