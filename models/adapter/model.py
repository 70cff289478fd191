"""A model followed by an adapter, written as one model directory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense

from models.adapter.adapter import Adapter
from models.adapter.options import AdapterOptions
from models.adapter.training import LearnedAdapter, learn_adapter
from models.directory.card import CardFacts, write_card
from models.directory.files import write_record
from models.directory.output import check_output, staged
from models.encoders.base import Encoder
from models.encoders.load import load_encoder
from models.encoders.static import StaticEncoder
from models.encoders.transformer import SentenceTransformerEncoder
from models.errors import ModelError
from models.nesting import Vectors
from models.progress import Encoding, Report, silent
from models.training.trainable import as_trainable

_BLOCK = 256
_QUERIES_DONE, _ENCODING_DONE = 0.1, 0.5
"""Shares of the time limit at which the encoding of queries and of documents ends."""
_LEAST_SECONDS = 0.001


def adapted(encoder: Encoder, adapter: Adapter) -> SentenceTransformer:
    """Append an adapter to an encoder.

    The rows of a static table are rotated, because its vectors are sums of rows. Any other model gets a last module, a
    ``Dense`` without bias or activation. An orthogonal map keeps lengths, so it may follow a ``Normalize``: whole
    vectors stay unit vectors, and prefixes are normalised after the cut as always.

    Args:
        encoder: a static or a sentence-transformers encoder. The latter shares its modules with the result, and they
            become float32: in half precision the map would not be orthogonal to 1e-5.
        adapter: of the encoder's dimension.

    Raises:
        ModelError: the encoder is of another kind, or cuts its vectors itself.
    """
    if isinstance(encoder, StaticEncoder):
        return as_trainable(replace(encoder, table=adapter.apply(encoder.table)), "cpu")
    base = _adaptable(encoder).model.float()
    weight = torch.from_numpy(adapter.matrix).to(base.device)
    dense = Dense(*weight.shape, bias=False, activation_function=None, init_weight=weight)
    return SentenceTransformer(
        modules=[*base.children(), dense],
        device=str(base.device),
        prompts=base.prompts,
        default_prompt_name=base.default_prompt_name,
        similarity_fn_name=base.similarity_fn_name,
    )


def _adaptable(encoder: Encoder) -> SentenceTransformerEncoder:
    if not isinstance(encoder, SentenceTransformerEncoder):
        raise ModelError(
            f"model {encoder.name!r}: a {type(encoder).__name__} cannot take an adapter; give a static or a "
            "sentence-transformers model of texts"
        )
    if encoder.model.truncate_dim is not None:
        raise ModelError(
            f"model {encoder.name!r} cuts its vectors to {encoder.model.truncate_dim} dimensions itself: "
            "remove truncate_dim from its configuration first"
        )
    return encoder


def adapt_model(
    encoder: Encoder,
    documents: Sequence[str],
    out: str | Path,
    options: AdapterOptions | None = None,
    queries: Sequence[str] | None = None,
    *,
    restart: bool = False,
    report: Report = silent,
) -> LearnedAdapter:
    """Make an existing, non-Matryoshka model nested: learn an adapter and write both as one model directory.

    Encoding ends when half of ``options.max_seconds`` is over; training gets the remaining time.

    >>> learned = adapt_model(load_encoder("intfloat/e5-small-v2"), documents, "runs/nested-e5")
    >>> learned.recall["adapter"]  # recall@10 by the prefix alone, by size

    Args:
        encoder: see :func:`adapted`.
        documents: texts like those to be indexed, in random order.
        out: the directory; ``load_encoder`` and sentence-transformers read it.
        options: sizes, limits and seed.
        queries: real queries, in random order. If None, some of the documents serve as queries for the rest.
        restart: replace a model in ``out`` that was trained here.
        report: receives ``Encoding`` events, then those of :func:`models.adapter.training.learn_adapter`.

    Raises:
        ModelError, InvalidOptionError: the encoder or the options cannot be used.
        TrainingError: too few texts, or ``out`` holds other files.
    """
    out, options = Path(out), options or AdapterOptions()
    started = time.monotonic()
    check_output(out, restart)
    if not isinstance(encoder, StaticEncoder):
        _adaptable(encoder)
    options.nesting(encoder.dimension)
    base_hash = encoder.content_hash

    encoded, total = 0, len(documents) + len(queries or ())

    def encode(texts: Sequence[str], by: Callable[[Sequence[str]], Vectors], done: float) -> Vectors:
        nonlocal encoded
        blocks = [by([])]
        for start in range(0, len(texts), _BLOCK):
            if time.monotonic() - started > done * options.max_seconds:
                break
            blocks.append(by(texts[start : start + _BLOCK]))
            encoded += len(blocks[-1])
            report(Encoding(done=encoded, total=total))
        return np.concatenate(blocks)

    query_vectors = None if queries is None else encode(queries, encoder.encode_queries, _QUERIES_DONE)
    document_vectors = encode(documents, encoder.encode_documents, _ENCODING_DONE)
    left = max(options.max_seconds - (time.monotonic() - started), _LEAST_SECONDS)
    learned = learn_adapter(document_vectors, replace(options, max_seconds=left), query_vectors, report=report)
    learned = replace(learned, options=options)
    _save(encoder, base_hash, learned, out)
    return learned


def _save(encoder: Encoder, base_hash: str, learned: LearnedAdapter, out: Path) -> None:
    nesting = learned.adapter.nesting
    with staged(out) as folder:
        adapted(encoder, learned.adapter).save(str(folder), create_model_card=False)
        write_record(folder, nesting, base=encoder.name, base_hash=base_hash, **learned.facts())
        card = CardFacts(
            title=out.resolve().name,
            summary=f"`{Path(encoder.name).name}` followed by an orthogonal map that moves the information of its "
            "vectors into their first dimensions. Scores of whole vectors are those of the base model.",
            nesting=nesting,
            content_hash=load_encoder(str(folder), device="cpu").content_hash,
            training={
                "data": f"{learned.documents:,} vectors of documents and {learned.queries:,} of queries",
                "sha256 of the base": base_hash,
                "steps": f"{learned.steps}, the best is {learned.best_step} ({learned.stopped})",
                "seed": learned.options.seed,
            },
            metrics={f"recall@10 by the prefix alone, {name}": by_size for name, by_size in learned.recall.items()},
            base=encoder.name,
            tags=("adapter",),
        )
        write_card(folder, card)
