"""The systems under test: an index of real rows, the service over it in its own process, and bare routes."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil
import pyarrow.parquet as pq

from benchmarks.report import data_file
from benchmarks.service.load import request
from indexer import Index

ROWS = 100_000
QUERIES = 1000


def served_index(cache: Path, rows: int = ROWS) -> Path:
    """Build an index of the first rows of the packages with the user's command, unless it exists."""
    root = cache / f"service-{rows}"
    if not (root / "CURRENT").exists():
        table = pq.read_table(data_file("packages.parquet"))
        corpus = cache / f"service-{rows}.parquet"
        pq.write_table(table.slice(0, rows), corpus)
        command = [sys.executable, "-m", "service", "index", "build", str(corpus), "--out", str(root)]
        subprocess.run(
            [*command, "--filterable", "ecosystem"] if "ecosystem" in table.column_names else command, check=True
        )
    return root


def names(rows: int = ROWS) -> list[str]:
    """Return queries: the names, as words, of packages outside the index."""
    ids = pq.read_table(data_file("packages.parquet"), columns=["id"])["id"].to_pylist()[-5 * QUERIES :]
    words = [re.sub(r"[^A-Za-z0-9]+", " ", name.split(":", 1)[-1]).strip() for name in ids]
    return [one for one in words if one][:QUERIES]


def vectors(root: Path, texts: list[str]) -> np.ndarray:
    with Index.open(root) as index:
        return index.encoder.encode_queries(texts)


def searches(queries: list, name: str, **options: object) -> list[bytes]:
    """Return a request for each query."""
    return [request("/v1/search", json.dumps({name: query, **options}).encode()) for query in queries]


@contextmanager
def serving(*command: str) -> Iterator[tuple[int, psutil.Process]]:
    """Run a server on a free port until the block ends; yield the port and the process."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, *command, "--port", str(port)], env={**os.environ})
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{' '.join(command)} is not ready")
                time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def service(root: Path, *flags: str) -> tuple[str, ...]:
    """The command of the service. The recall watch stays on, as by default."""
    return ("-m", "service", "serve", str(root), "--auth", "off", "--log-level", "warning", *flags)
