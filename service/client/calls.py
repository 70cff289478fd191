"""What is sent for each call, and how its answer is read: the same for both clients, and without any connection."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypedDict, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from service.client import answers
from service.client.errors import UnexpectedAnswerError

if TYPE_CHECKING:
    import numpy.typing as npt

_T = TypeVar("_T")
Vector: TypeAlias = "Sequence[float] | npt.NDArray[Any]"
JSON_LINES = "application/x-ndjson"


class SearchParameters(TypedDict, total=False):
    """Options of a search; what is left out is the service's own choice. Its ``/docs`` describe each.

    Attributes:
        k, offset: how many results, and how many to skip.
        recall, milliseconds: take the calibrated plan for it.
        dims, candidates, effort, rerank_dims, stages, stop, second_look: a plan by hand.
        filter: only documents that match.
        include: fields of the payload to answer with.
        hybrid: also by words.
        explain: answer with the stages of the search.
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
        idempotent: whether doing it twice is as good as once, so that it may be sent again when nobody knows whether it
            arrived. A compaction is not, nor is a rollback without a target: each goes back one more.
    """

    method: str
    path: str
    read: Callable[[bytes], _T]
    body: bytes | None = None
    content_type: str = "application/json"
    idempotent: bool = True


def search(
    query: str | None, vector: Vector | None, image: bytes | None, parameters: SearchParameters
) -> Call[answers.SearchAnswer]:
    """Search by exactly one of a text, a vector of the model, and the bytes of an image file."""
    source = {"query": query, "vector": _vector(vector), "image": None if image is None else _base64(image)}
    return _search(source, parameters, _SEARCH)


def search_many(
    queries: Sequence[str] | None,
    vectors: Sequence[Vector] | npt.NDArray[Any] | None,
    images: Sequence[bytes] | None,
    parameters: SearchParameters,
) -> Call[answers.BatchAnswer]:
    """Search by several at once."""
    source = {
        "queries": None if queries is None else list(queries),
        "vectors": None if vectors is None else [_vector(vector) for vector in vectors],
        "images": None if images is None else [_base64(image) for image in images],
    }
    return _search(source, parameters, _BATCH)


def embeddings(
    texts: Sequence[str], dimensions: int | None, input_type: Literal["query", "document"] | None
) -> Call[answers.Embeddings]:
    """Embed texts."""
    body = {"input": list(texts), "encoding_format": "base64", "dimensions": dimensions, "input_type": input_type}
    return _post("/v1/embeddings", body, _read_embeddings)


def classify(
    texts: Sequence[str] | None, images: Sequence[bytes] | None, dims: int | None, accuracy: float | None
) -> Call[answers.Classification]:
    """Classify texts, or what is in image files."""
    body = {
        "input": None if texts is None else list(texts),
        "images": None if images is None else [_base64(image) for image in images],
        "dims": dims,
        "accuracy": accuracy,
    }
    return _post("/v1/classify", body, _reader(_CLASSIFICATION))


def upsert(identifier: str, row: Mapping[str, Any]) -> Call[answers.Upserted]:
    """Add or replace a document."""
    return Call("PUT", _document(identifier), _reader(_UPSERTED), json_text(row).encode())


def upsert_lines(lines: bytes) -> Call[answers.BulkAnswer]:
    """Add or replace the documents of JSON lines."""
    return Call("POST", "/v1/documents", _reader(_BULK), lines, JSON_LINES)


def get(identifier: str) -> Call[answers.Document]:
    """Read a document."""
    return Call("GET", _document(identifier), _reader(_DOCUMENT))


def delete(identifier: str) -> Call[None]:
    """Delete a document."""
    return Call("DELETE", _document(identifier), _nothing)


def delete_many(identifiers: Sequence[str]) -> Call[answers.Deleted]:
    """Delete several documents."""
    return _post("/v1/documents/delete", {"ids": list(identifiers)}, _reader(_DELETED))


def index() -> Call[answers.IndexFacts]:
    """Ask what is served."""
    return Call("GET", "/v1/index", _reader(_INDEX))


def reload() -> Call[answers.Reloaded]:
    """Go over to the generation published now."""
    return Call("POST", "/v1/index/reload", _reader(_RELOADED))


def rollback(to: str | None) -> Call[answers.RolledBack]:
    """Go back to a generation."""
    body = json_text({"to": to} if to else {}).encode()
    return Call("POST", "/v1/index/rollback", _reader(_ROLLED_BACK), body, idempotent=to is not None)


def compact() -> Call[answers.Compaction]:
    """Have the updates folded into a new generation."""
    return Call("POST", "/v1/index/compact", _reader(_COMPACTION), idempotent=False)


def ready() -> Call[None]:
    """Ask whether searches can be answered."""
    return Call("GET", "/readyz", _nothing)


def json_text(value: Any) -> str:
    """Write JSON; NumPy vectors become base64, other NumPy values the number they are."""
    return json.dumps(value, separators=(",", ":"), default=_plain)


_SEARCH = TypeAdapter(answers.SearchAnswer)
_BATCH = TypeAdapter(answers.BatchAnswer)
_CLASSIFICATION = TypeAdapter(answers.Classification)
_UPSERTED = TypeAdapter(answers.Upserted)
_BULK = TypeAdapter(answers.BulkAnswer)
_DOCUMENT = TypeAdapter(answers.Document)
_INDEX = TypeAdapter(answers.IndexFacts)
_DELETED = TypeAdapter(answers.Deleted)
_RELOADED = TypeAdapter(answers.Reloaded)
_ROLLED_BACK = TypeAdapter(answers.RolledBack)
_COMPACTION = TypeAdapter(answers.Compaction)


def _search(source: dict[str, Any], parameters: SearchParameters, shape: TypeAdapter[_T]) -> Call[_T]:
    given = [name for name, value in source.items() if value is not None]
    if len(given) != 1:
        raise ValueError(f"give exactly one of {', '.join(source)}; given: {', '.join(given) or 'none'}")
    return _post("/v1/search", {**source, **parameters}, _reader(shape))


def _post(path: str, body: Mapping[str, Any], read: Callable[[bytes], _T]) -> Call[_T]:
    present = {name: value for name, value in body.items() if value is not None}
    return Call("POST", path, read, json_text(present).encode())


def _document(identifier: str) -> str:
    # A path that ends in "." or ".." is shortened on its way; escaped, both arrive.
    escaped = identifier.replace(".", "%2E") if identifier in (".", "..") else quote(identifier, safe="")
    return f"/v1/documents/{escaped}"


def _reader(shape: TypeAdapter[_T]) -> Callable[[bytes], _T]:
    def read(content: bytes) -> _T:
        try:
            return shape.validate_json(content)
        except ValidationError as error:
            raise UnexpectedAnswerError(f"the answer is not one of this service: {error}") from error

    return read


def _nothing(_: bytes) -> None:
    return None


def _read_embeddings(content: bytes) -> answers.Embeddings:
    import numpy as np  # here, so that importing the client stays quick

    try:
        answer = json.loads(content)
        rows = [np.frombuffer(base64.b64decode(item["embedding"]), "<f4") for item in answer["data"]]
        vectors = np.stack(rows).astype(np.float32, copy=False)
        vectors.flags.writeable = False
        return answers.Embeddings(answer["model"], vectors)
    except (ValueError, KeyError, TypeError) as error:
        raise UnexpectedAnswerError(f"the answer is not one of this service: {error!r}") from error


def _vector(vector: Vector | None) -> Any:
    # Lists stay lists: what does not fit into float32 is for the service to refuse by name.
    return vector if vector is None or hasattr(vector, "astype") else list(vector)


def _plain(value: Any) -> Any:
    if hasattr(value, "astype"):  # known by its method, so that NumPy need not be imported to ask
        return _base64(value.astype("<f4").tobytes()) if value.ndim else value.item()
    raise TypeError(f"{value!r:.80} of type {type(value).__name__} cannot be written as JSON")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
