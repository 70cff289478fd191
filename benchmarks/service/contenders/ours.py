"""This project: its service over HTTP, and its Python object."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from benchmarks.service.contenders.base import Contender, Corpus, K, Knob, Opened, Search, Vectors, installed
from benchmarks.service.load import request
from benchmarks.service.served import served_index, service, serving
from indexer import Index, SearchOptions, calibrate_index

AS_BUILT, TUNED = "as built", "tuned"
_ROOT = "index"


class _Ours(Contender):
    asked = ({"recall": 0.95}, {"recall": 0.99})
    built: str
    """:data:`AS_BUILT` or :data:`TUNED`."""

    @property
    def store(self) -> str:
        return f"ours, {self.built}"

    @property
    def version(self) -> str:
        return installed("adaptive-retrieval")

    @property
    def knobs(self) -> tuple[Knob, ...]:
        promises = (0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
        return tuple({"recall": promise} for promise in promises)

    @property
    def _parameters(self) -> str:
        if self.built == AS_BUILT:
            return "`mrl index build` with nothing chosen; effort by promised recall"
        return "`mrl index build --dims 256`, calibrated with 1,000 other queries; effort by promised recall"

    def build(self, corpus: Corpus, folder: Path) -> None:
        root = folder / _ROOT
        if self.built == AS_BUILT:
            served_index(folder, len(corpus.ids)).rename(root)
            return
        command = (sys.executable, "-m", "service", "index", "build", str(corpus.table), "--out", str(root))
        subprocess.run([*command, "--dims", "256", "--no-calibrate"], check=True)
        calibrate_index(root, corpus.calibration)


@dataclass(frozen=True)
class OursByHttp(_Ours):
    """``POST /v1/search``; vectors as lists of numbers, or base64."""

    built: str
    encoding: str

    @property
    def name(self) -> str:
        return f"ours, {self.built}, HTTP {self.encoding}"

    @property
    def form(self) -> str:
        return (
            f"HTTP/1.1 and JSON to another process over loopback, the vector as {self.encoding}, writing it and "
            f"reading the answer included; {self._parameters}"
        )

    @contextmanager
    def opened(self, corpus: Corpus, folder: Path) -> Iterator[Opened]:
        with serving(*service(folder / _ROOT)) as (port, process), _Http(port, process, self.encoding, corpus) as http:
            yield http


class _Http(Opened):
    def __init__(self, port: int, process: psutil.Process, encoding: str, corpus: Corpus) -> None:
        self._port, self._process, self._encoding, self._rows = port, process, encoding, corpus.rows
        self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _connect(self) -> None:
        self._connection = socket.create_connection(("127.0.0.1", self._port))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def searcher(self, knob: Knob, payload: bool) -> Search:
        self._connection.close()
        self._connect()  # the service closes connections that were idle during other contenders' turns
        rest = {"k": K, **knob} if payload else {"k": K, "include": [], **knob}

        def search(vector: Vectors) -> Any:
            written = base64.b64encode(vector.tobytes()).decode() if self._encoding == "base64" else vector.tolist()
            self._connection.sendall(request("/v1/search", json.dumps({"vector": written, **rest}).encode()))
            return self._answer()

        return search

    def rows(self, answer: Any) -> list[int]:
        return [self._rows[hit["id"]] for hit in answer["results"]]

    def processes(self) -> Sequence[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def _answer(self) -> Any:
        """Parse an answer directly: other clients are compiled, and a Python HTTP client would dominate the time."""
        received = bytearray()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        head = received[:end].lower()
        length = int(head[head.index(b"content-length:") + 15 :].split(b"\r\n", 1)[0])
        while len(received) < end + 4 + length:
            received += self._receive()
        body = bytes(received[end + 4 :])
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(body.decode())
        return json.loads(body)

    def _receive(self) -> bytes:
        if not (received := self._connection.recv(1 << 16)):
            raise ConnectionError("the service closed the connection")
        return received


@dataclass(frozen=True)
class OursInProcess(_Ours):
    """``Index.search_vectors``, which always answers with payloads."""

    built: str

    @property
    def name(self) -> str:
        return f"ours, {self.built}, Python"

    @property
    def form(self) -> str:
        return f"in process, payloads always read; {self._parameters}"

    @contextmanager
    def opened(self, corpus: Corpus, folder: Path) -> Iterator[Opened]:
        with Index.open(folder / _ROOT) as index:
            yield _Object(index, corpus)


class _Object(Opened):
    def __init__(self, index: Index, corpus: Corpus) -> None:
        self._index = index
        self._rows = corpus.rows

    def searcher(self, knob: Knob, payload: bool) -> Search:
        options = SearchOptions(k=K, **knob)
        return lambda vector: self._index.search_vectors(vector[None], options).hits[0]

    def rows(self, answer: Any) -> list[int]:
        return [self._rows[hit.id] for hit in answer]
