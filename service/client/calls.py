"""The methods of both clients: what each sends, and how its answer is read. Nothing here opens a connection.

:class:`service.client.Client` and :class:`service.client.AsyncClient` turn each public function into a method of the
same name, arguments and docstring.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypedDict, TypeVar, Unpack
from urllib.parse import quote

from service.client import answers
from service.client.decode import decode
from service.client.errors import UnexpectedAnswerError
from service.client.lists import check_list

if TYPE_CHECKING:
    import numpy.typing as npt

_T = TypeVar("_T")
Vector: TypeAlias = "Sequence[float] | npt.NDArray[Any]"
JSON_LINES = "application/x-ndjson"


class SearchParameters(TypedDict, total=False):
    """Options of a search. The service chooses those that are left out; its ``/docs`` describe each.

    Attributes:
        k, offset: number of results, and number of leading results to skip.
        recall, milliseconds: use the calibrated plan that satisfies this.
        dims, candidates, effort, rerank_dims, stages, stop, second_look: an explicit plan.
        filter: return only documents that match.
        include: fields of the payload to return.
        hybrid: also search by words (BM25) and fuse the results.
        explain: return the stages of the search.
    """

    k: int | None
    offset: int | None
    recall: float | None
    milliseconds: float | None
    dims: int | None
    candidates: int | None
    effort: int | None
    rerank_dims: int | None
    stages: Sequence[Mapping[str, int]] | None
    stop: Literal["certified"] | float | None
    second_look: Mapping[str, float] | None
    filter: Mapping[str, Any] | None
    include: Sequence[str] | None
    hybrid: bool | Mapping[str, Any] | None
    explain: bool | None


@dataclass(frozen=True, slots=True)
class Call(Generic[_T]):
    """A request and the reader of its answer.

    Attributes:
        idempotent: whether sending it twice has the effect of sending it once, so that it may be retried when nobody
            knows whether it arrived. A compaction is not idempotent, nor is a rollback without a target: each goes
            back one more generation.
        timeout: seconds for the call with all its attempts; the client's own if None.
    """

    method: str
    path: str
    read: Callable[[bytes], _T]
    body: bytes | None = None
    content_type: str = "application/json"
    idempotent: bool = True
    timeout: float | None = None


def search(
    query: str | None = None,
    *,
    vector: Vector | None = None,
    image: bytes | None = None,
    timeout: float | None = None,
    **parameters: Unpack[SearchParameters],
) -> Call[answers.SearchAnswer]:
    """Search by exactly one of a text, a vector of the index's model (any scale), and the bytes of an image file.

    ``parameters`` are those of :class:`SearchParameters`. A NumPy vector is sent as base64 of float32, which is
    smaller than a list of numbers and faster to write and to parse.
    """
    source = {"query": query, "vector": _vector(vector), "image": None if image is None else _base64(image)}
    return _search(answers.SearchAnswer, source, parameters, timeout)


def search_many(
    queries: Sequence[str] | None = None,
    *,
    vectors: Sequence[Vector] | npt.NDArray[Any] | None = None,
    images: Sequence[bytes] | None = None,
    timeout: float | None = None,
    **parameters: Unpack[SearchParameters],
) -> Call[answers.BatchAnswer]:
    """Search by several texts, vectors or images in one request: exactly one of the three.

    ``vectors`` are n vectors of the index's model, any scale, as a list or as an array of shape (n, D); ``images`` are
    the bytes of image files, and ``parameters`` those of :class:`SearchParameters`.
    """
    check_list(queries, "queries")
    check_list(images, "images")
    source = {
        "queries": None if queries is None else list(queries),
        "vectors": None if vectors is None else [_vector(vector) for vector in vectors],
        "images": None if images is None else [_base64(image) for image in images],
    }
    return _search(answers.BatchAnswer, source, parameters, timeout)


def embeddings(
    texts: Sequence[str],
    *,
    dimensions: int | None = None,
    input_type: Literal["query", "document"] | None = None,
    timeout: float | None = None,
) -> Call[answers.Embeddings]:
    """Embed texts, as documents or as queries; ``dimensions`` truncates to a prefix and normalises it."""
    check_list(texts, "texts")
    body = {"input": list(texts), "encoding_format": "base64", "dimensions": dimensions, "input_type": input_type}
    return _post("/v1/embeddings", body, _read_embeddings, timeout)


def classify(
    texts: Sequence[str] | None = None,
    *,
    images: Sequence[bytes] | None = None,
    dims: int | None = None,
    accuracy: float | None = None,
    timeout: float | None = None,
) -> Call[answers.Classification]:
    """Classify texts, or the bytes of image files: each by the shortest prefix that is confident, or all at ``dims``.

    ``accuracy`` selects the cheapest cascade of this validation accuracy.
    """
    check_list(texts, "texts")
    check_list(images, "images")
    body = {
        "input": None if texts is None else list(texts),
        "images": None if images is None else [_base64(image) for image in images],
        "dims": dims,
        "accuracy": accuracy,
    }
    return _post("/v1/classify", body, _as(answers.Classification), timeout)


def upsert(identifier: str, row: Mapping[str, Any], *, timeout: float | None = None) -> Call[answers.Upserted]:
    """Add a document, or replace the one with this id. When this returns, searches find it.

    Args:
        identifier: the document's id.
        row: ``text``, ``title`` and any further fields; ``_vector``, if given, is stored instead of encoding the text.
        timeout: see the class.
    """
    return Call("PUT", _document(identifier), _as(answers.Upserted), json_text(row).encode(), timeout=timeout)


def upsert_lines(lines: bytes, *, timeout: float | None = None) -> Call[answers.BulkAnswer]:
    """Add or replace the documents of JSON lines, in one request."""
    return Call("POST", "/v1/documents", _as(answers.BulkAnswer), lines, JSON_LINES, timeout=timeout)


def get(identifier: str, *, timeout: float | None = None) -> Call[answers.Document]:
    """Read a document.

    Raises:
        NotFoundError: no document has this id.
    """
    return Call("GET", _document(identifier), _as(answers.Document), timeout=timeout)


def delete(identifier: str, *, timeout: float | None = None) -> Call[None]:
    """Delete a document.

    Raises:
        NotFoundError: no document has this id; after a lost connection, also if the first attempt deleted it.
    """
    return Call("DELETE", _document(identifier), _nothing, timeout=timeout)


def delete_many(identifiers: Sequence[str], *, timeout: float | None = None) -> Call[answers.Deleted]:
    """Delete several documents; ids that no document has are counted and skipped."""
    check_list(identifiers, "ids")
    return _post("/v1/documents/delete", {"ids": list(identifiers)}, _as(answers.Deleted), timeout)


def index(*, timeout: float | None = None) -> Call[answers.IndexFacts]:
    """Describe the index that is served."""
    return Call("GET", "/v1/index", _as(answers.IndexFacts), timeout=timeout)


def reload(*, timeout: float | None = None) -> Call[answers.Reloaded]:
    """Switch to the generation that is published now."""
    return Call("POST", "/v1/index/reload", _as(answers.Reloaded), timeout=timeout)


def rollback(to: str | None = None, *, timeout: float | None = None) -> Call[answers.RolledBack]:
    """Publish the previous generation, or the one named ``to``."""
    body = json_text({"to": to} if to else {}).encode()
    read = _as(answers.RolledBack)
    return Call("POST", "/v1/index/rollback", read, body, idempotent=to is not None, timeout=timeout)


def compact(*, timeout: float | None = None) -> Call[answers.Compaction]:
    """Start to fold the updates into a new generation, in the background; :meth:`index` reports its progress."""
    return Call("POST", "/v1/index/compact", _as(answers.Compaction), idempotent=False, timeout=timeout)


def ready(*, timeout: float | None = None) -> Call[None]:
    """Check whether searches can be answered."""
    return Call("GET", "/readyz", _nothing, timeout=timeout)


def json_text(value: Any) -> str:
    """Write JSON; NumPy vectors become base64 of float32, other NumPy values numbers."""
    return json.dumps(value, separators=(",", ":"), default=_plain)


def _search(shape: type[_T], source: dict[str, Any], parameters: SearchParameters, timeout: float | None) -> Call[_T]:
    given = [name for name, value in source.items() if value is not None]
    if len(given) != 1:
        raise ValueError(f"give exactly one of {', '.join(source)}; given: {', '.join(given) or 'none'}")
    return _post("/v1/search", {**source, **parameters}, _as(shape), timeout)


def _post(path: str, body: Mapping[str, Any], read: Callable[[bytes], _T], timeout: float | None) -> Call[_T]:
    present = {name: value for name, value in body.items() if value is not None}
    return Call("POST", path, read, json_text(present).encode(), timeout=timeout)


def _document(identifier: str) -> str:
    # HTTP libraries shorten a path that ends in "." or ".."; escaped, both arrive.
    escaped = identifier.replace(".", "%2E") if identifier in (".", "..") else quote(identifier, safe="")
    return f"/v1/documents/{escaped}"


def _as(shape: type[_T]) -> Callable[[bytes], _T]:
    return partial(decode, shape)


def _nothing(_: bytes) -> None:
    return None


@dataclass(frozen=True, slots=True)
class _EncodedEmbedding:
    embedding: str


@dataclass(frozen=True, slots=True)
class _EncodedEmbeddings:
    model: str
    data: tuple[_EncodedEmbedding, ...]


def _read_embeddings(content: bytes) -> answers.Embeddings:
    import numpy as np  # not at the top: importing the client needs httpx alone

    encoded = decode(_EncodedEmbeddings, content)
    try:
        rows = [np.frombuffer(base64.b64decode(item.embedding), "<f4") for item in encoded.data]
        vectors = np.stack(rows).astype(np.float32, copy=False)
    except ValueError as error:
        raise UnexpectedAnswerError(f"the service sent no base64 of float32 vectors: {error}") from error
    vectors.flags.writeable = False
    return answers.Embeddings(encoded.model, vectors)


def _vector(vector: Vector | None) -> Any:
    # Lists stay lists: the service refuses what does not fit into float32, by name.
    return vector if vector is None or hasattr(vector, "astype") else list(vector)


def _plain(value: Any) -> Any:
    if hasattr(value, "astype"):  # recognised by its method, so that NumPy need not be imported
        return _base64(value.astype("<f4").tobytes()) if value.ndim else value.item()
    raise TypeError(f"{value!r:.80} of type {type(value).__name__} cannot be written as JSON")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
