"""``mrl index inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from indexer import Generations, LexicalFacts, Manifest, TargetFacts, update_facts, watch_facts
from models import InvalidOptionError
from service.commands.calibrate import calibration_facts, print_plans
from service.commands.options import Generation, IndexPath
from service.commands.output import human_bytes, note, print_json


def inspect(
    index: IndexPath,
    generation: Generation = None,
    plot: Annotated[
        Path | None, typer.Option(help="Plot recall against latency of the calibrated plans into this PNG file.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the whole manifest as JSON.")] = False,
) -> None:
    """Show the contents, calibration and size of an index."""
    generations = Generations(index)
    published = generations.require_published()
    name = generations.named(generation) if generation else published
    manifest = Manifest.read(generations.path(name))
    if plot is not None:
        _plot(manifest, plot)
    watched = watch_facts(index, name)
    updates = update_facts(index) if name == published else None
    if json_output:
        print_json(
            {
                "generation": name,
                "published": published,
                **manifest.model_dump(mode="json"),
                "updates": updates and updates._asdict(),
                "recall_watch": watched and watched.model_dump(mode="json"),
            }
        )
        return
    size = sum(facts.size for facts in manifest.files.values())
    facts = manifest.shortlist
    shortlist = ", ".join([f"{facts.kind} over {facts.dims} dims", *(f"{k} {v}" for k, v in facts.options.items())])
    state = " (published)" if name == published else ""
    lines = {
        "generation": f"{name}{state}, built {manifest.created:%Y-%m-%d %H:%M} UTC",
        "generations": ", ".join(generations.complete()),
        "documents": f"{manifest.rows}, {manifest.corpus.rejected} rows rejected",
        "model": f"{manifest.model.name} ({manifest.model.content_hash[:12]})",
        "dimensions": f"{manifest.dimension}, trained at {', '.join(map(str, manifest.model.sizes))}",
        "vectors": f"{manifest.vectors}, cosine",
        "shortlist": shortlist,
        "lexical": _lexical_text(manifest.lexical),
        "calibrated": calibration_facts(manifest.calibration),
        "on disk": f"{human_bytes(size)}, {size / max(1, manifest.rows):.0f} bytes per document",
    }
    if updates and (updates.upserts or updates.deletes):
        lines["updates"] = (
            f"{updates.upserts} upserts and {updates.deletes} deletes since, journal of "
            f"{human_bytes(updates.size_bytes)}; {updates.documents} documents now"
        )
    if manifest.target:
        lines["target"] = _target_text(manifest.target)
    for key, value in lines.items():
        typer.echo(f"{key:<12} {value}")
    for level in watched.levels if watched else ():
        typer.echo(f"live recall  {level.message}")
    for file, written in manifest.files.items():
        typer.echo(f"  {file:<20} {human_bytes(written.size):>10}  sha256 {written.sha256[:16]}…")
    for problem in manifest.target.missed if manifest.target else ():
        note(f"warning: target missed: {problem}")
    print_plans(manifest.plans)


def _lexical_text(facts: LexicalFacts | None) -> str:
    if facts is None:
        return "none; build with --lexical to search by words"
    stems = "" if facts.language is None else f", {facts.language} stems"
    return f"{facts.words} words of {', '.join(facts.fields)}{stems}"


def _target_text(facts: TargetFacts) -> str:
    targets = {
        f"recall {facts.recall}": facts.recall,
        f"{facts.milliseconds} ms per query": facts.milliseconds,
        f"memory {human_bytes(facts.memory or 0)}": facts.memory,
    }
    wanted = ", ".join(text for text, value in targets.items() if value is not None)
    return f"{wanted}; {len(facts.considered)} structures tried on a sample"


def _plot(manifest: Manifest, path: Path) -> None:
    from service.commands.plot import plot_plans  # Matplotlib takes a second to import

    if not manifest.plans:
        raise InvalidOptionError("plot", "the index has no calibrated plans to plot: run mrl index calibrate first")
    plot_plans(manifest.plans, f"{manifest.rows:,} documents, {manifest.dimension} dimensions", path)
