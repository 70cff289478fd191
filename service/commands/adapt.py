"""``mrl adapt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.progress import TaskID

from indexer import Corpus, Fields
from models import DataError, InvalidOptionError, ModelError, Nesting, Vectors, load_encoder
from models.adapter.options import AdapterOptions
from models.classifier.classifier import CLASSIFIER_NAME
from models.data.pairs import read_pairs
from models.progress import Encoding, Evaluated, Event, Step, TrainingStarted
from service.commands.options import Device, Seed, Steps
from service.commands.output import ProgressDisplay, note, print_table

if TYPE_CHECKING:
    from models.adapter.training import LearnedAdapter

_DEFAULTS = AdapterOptions()
_MODEL = "To adapt a model"


def adapt(
    source: Annotated[
        str,
        typer.Argument(
            help="Vectors to learn from (.npy, one per row), or a model: its directory, a hub name or 'wordllama'.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Directory of the adapter or of the adapted model.", show_default=False)],
    sizes: Annotated[
        str | None, typer.Option(help="Prefix sizes, such as 32,64,128. Default: powers of two from 16.")
    ] = None,
    rows: Annotated[
        int, typer.Option(help="Number of documents, and of queries, to learn from; a random sample of them.")
    ] = 20_000,
    max_seconds: Annotated[
        float, typer.Option(help="Time limit of encoding and training; encoding takes at most half of it.")
    ] = _DEFAULTS.max_seconds,
    steps: Steps = _DEFAULTS.steps,
    seed: Seed = _DEFAULTS.seed,
    device: Device = _DEFAULTS.device,
    restart: Annotated[bool, typer.Option("--restart", help="Replace what an earlier run wrote to --out.")] = False,
    queries: Annotated[
        Path | None, typer.Option(help="Vectors of queries (.npy).", rich_help_panel="To adapt vectors")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Corpus files or folders, as for index build; repeatable.", rich_help_panel=_MODEL),
    ] = None,
    text_field: Annotated[str, typer.Option(help="Field of the text in --data.", rich_help_panel=_MODEL)] = "text",
    title_field: Annotated[
        str,
        typer.Option(help="Field of the title in --data, which is put in front of the text.", rich_help_panel=_MODEL),
    ] = "title",
    pairs: Annotated[
        list[Path] | None,
        typer.Option(help="Files of (query, document) pairs; repeatable.", rich_help_panel=_MODEL),
    ] = None,
    query_field: Annotated[str, typer.Option(help="Field of the query in --pairs.", rich_help_panel=_MODEL)] = "query",
    document_field: Annotated[
        str, typer.Option(help="Field of the document in --pairs.", rich_help_panel=_MODEL)
    ] = "document",
) -> None:
    """Make an existing, non-Matryoshka embedding nested, by a learned rotation of its vectors.

    Scores of full vectors do not change. The rotation starts from PCA and learns to rank by each prefix as the full
    vector does. From a model, the command writes a model directory; from vectors, an adapter that
    models.adapter.Adapter loads and applies.
    """
    from models.adapter.model import adapt_model  # torch takes seconds to import, and --help need not wait
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
            raise InvalidOptionError("data", "--data and --pairs are for a model: vectors take --queries FILE.npy")
        check_output(out, restart)
        vectors = _read_vectors(Path(source), rows, rng)
        asked = _read_vectors(queries, rows, rng) if queries else None
        with AdaptProgress() as progress:
            learned = learn_adapter(vectors, options, asked, report=progress.report)
        learned.save(out)
    else:
        if queries:
            raise InvalidOptionError("queries", "--queries is for a file of vectors: a model takes --pairs FILE")
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
            raise ModelError(f"{source} is a classifier, whose heads do not fit rotated vectors: adapt its base model")
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
            f"{path} holds {stored.dtype} of shape {stored.shape}: give floating-point numbers of shape "
            "(rows, dimension)"
        )
    chosen = np.sort(rng.choice(len(stored), min(count, len(stored)), replace=False))
    return np.asarray(stored[chosen], dtype=np.float32)


def _sample_texts(paths: list[Path], fields: Fields, count: int, rng: np.random.Generator) -> list[str]:
    """Return a random sample of the texts of a corpus, in random order (reservoir sampling)."""
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
    print_table(("dims", *names), rows, "recall@10 of a search by the prefix alone, on held-out rows")
    note(
        f"{learned.stopped} after {learned.steps} steps on {learned.documents} documents and {learned.queries} "
        f"queries; wrote the rotation of step {learned.best_step} to {out}"
    )


class AdaptProgress(ProgressDisplay):
    """Progress bars of learning an adapter."""

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
