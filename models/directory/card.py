"""Model cards: the ``README.md`` of a model directory, in the format of model hubs."""

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
vectors = encoder.encode_documents(["a text"])  # unit rows of $dimension dimensions
short = truncate(vectors, $smallest)  # truncated and normalised

# or, without this project
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/directory", truncate_dim=$smallest)
short = model.encode(["a text"], normalize_embeddings=True)"""

_TEMPLATE = Template("""---
$front
---

# $title

$summary

Each prefix of $sizes of its $dimension dimensions is an embedding itself (Matryoshka Representation Learning,
[arXiv 2205.13147](https://arxiv.org/abs/2205.13147)): truncate a vector to one of these sizes and normalise it.

## Use

```python
$usage
```

## Quality

$metrics

## Training

$training

Loss weights by size: $weights.

## Versions

$versions

Content hash (sha256 of weights, tokenizer and prompts): `$content_hash`
""")


@dataclass(frozen=True, slots=True)
class CardFacts:
    """The contents of a card.

    Attributes:
        title: a short name.
        summary: a paragraph on what the model is and how it was made.
        nesting: sizes and loss weights.
        content_hash: of the encoder.
        training: rows of the training table, such as data, options and seed.
        metrics: values by size, by name; the name includes the data (``nDCG@10, held-out pairs``).
        base: the base model; in the front matter only if it is a hub name.
        tags: additional tags of the front matter.
        pipeline: the hub's name for the task.
        usage: Python code; if None, how to encode texts.
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


def write_card(directory: str | Path, facts: CardFacts) -> Path:
    """Write or replace the card of a model directory; return its path."""
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
        training=_table(("option", "value"), [(name, _cell(value)) for name, value in facts.training.items()]),
        weights=", ".join(f"{size}: {weight:g}" for size, weight in zip(nesting.sizes, nesting.weights, strict=True)),
        versions=", ".join(f"{name} {number}" for name, number in _versions().items()),
        content_hash=facts.content_hash,
    )
    path = Path(directory) / CARD_NAME
    path.write_text(text, encoding="utf-8")
    return path


def _front_matter(facts: CardFacts) -> str:
    # A local path is meaningless elsewhere, and hubs refuse it as a base.
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
        return "Not measured."
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
