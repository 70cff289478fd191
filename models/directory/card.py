"""The card of a trained model: ``README.md`` in its directory, in the form model hubs show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template
from typing import Any

from huggingface_hub import ModelCardData

from models.nesting import Nesting

CARD_NAME = "README.md"
_LIBRARIES = (
    "adaptive-retrieval",
    "numpy",
    "safetensors",
    "sentence-transformers",
    "tokenizers",
    "torch",
    "transformers",
)

_TEXT_USAGE = """from models import load_encoder, truncate

encoder = load_encoder("path/to/this/directory")
vectors = encoder.encode_documents(["a text"])  # unit rows, $dimension wide
short = truncate(vectors, $smallest)  # cut, then normalised

# or, without this project
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/directory", truncate_dim=$smallest)
short = model.encode(["a text"], normalize_embeddings=True)"""

_TEMPLATE = Template("""---
$front
---

# $title

$summary

Every one of the prefixes $sizes of its $dimension dimensions is an embedding of its own (Matryoshka Representation
Learning, [arXiv 2205.13147](https://arxiv.org/abs/2205.13147)): cut a vector to a size, normalise it, and use it.

## Use

```python
$usage
```

## Quality

$metrics

## Training

$training

Sizes and their weights in the loss: $weights.

## Made with

$versions

Content hash (sha256 of weights, tokenizer and prompts): `$content_hash`
""")


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card tells.

    Attributes:
        title: a short name.
        summary: what the model is and what made it, in a paragraph.
        nesting: sizes and loss weights.
        content_hash: the encoder's.
        training: rows of the training table, such as data, options and seed; values are shown as text.
        metrics: name of a measure → value by size; the name tells on what (``nDCG@10, held-out pairs``).
        base: the model it was made from; named in the front matter where it is a hub name.
        tags: further tags of the front matter.
        pipeline: the hub's name for the task.
        usage: Python lines; how to encode where None.
    """

    title: str
    summary: str
    nesting: Nesting
    content_hash: str
    training: Mapping[str, Any]
    metrics: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    base: str | None = None
    tags: Sequence[str] = ()
    pipeline: str = "sentence-similarity"
    usage: str | None = None


def write_card(directory: Path, facts: CardFacts) -> Path:
    """Write the card into a model directory, over one that is there; return its path."""
    nesting = facts.nesting
    numbers = {"dimension": nesting.dimension, "smallest": nesting.sizes[0]}
    text = _TEMPLATE.substitute(
        front=_front_matter(facts),
        title=facts.title,
        summary=facts.summary,
        sizes=", ".join(map(str, nesting.sizes)),
        dimension=nesting.dimension,
        usage=Template(facts.usage or _TEXT_USAGE).safe_substitute(numbers),
        metrics=_metrics_table(facts.metrics),
        training=_table(("what", "value"), [(name, _cell(value)) for name, value in facts.training.items()]),
        weights=", ".join(f"{size}: {weight:g}" for size, weight in zip(nesting.sizes, nesting.weights, strict=True)),
        versions=", ".join(f"{name} {number}" for name, number in _versions().items()),
        content_hash=facts.content_hash,
    )
    path = directory / CARD_NAME
    path.write_text(text, encoding="utf-8")
    return path


def _front_matter(facts: CardFacts) -> str:
    # A path means nothing elsewhere, and a hub refuses it as a base.
    base = facts.base if facts.base and facts.base.count("/") == 1 and not Path(facts.base).exists() else None
    data = ModelCardData(
        library_name="sentence-transformers",
        pipeline_tag=facts.pipeline,
        base_model=base,
        tags=list(dict.fromkeys(["sentence-transformers", "matryoshka", *facts.tags])),
    )
    return str(data.to_yaml()).strip()


def _metrics_table(metrics: Mapping[str, Mapping[int, float]]) -> str:
    if not metrics:
        return "Nothing was measured."
    sizes = sorted({size for by_size in metrics.values() for size in by_size})
    rows = [
        (str(size), *(f"{by_size[size]:.3f}" if size in by_size else "" for by_size in metrics.values()))
        for size in sizes
    ]
    return _table(("dimensions", *metrics), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
