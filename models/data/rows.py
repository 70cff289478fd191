"""Streams the rows of JSON Lines, CSV, TSV and Parquet files, numbered; broken rows are reported, not raised."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import DataError

ROW_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".tsv", ".parquet")
_PARQUET_BATCH = 4096
_SAMPLE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """A readable row.

    Attributes:
        number: line of a text file (the first is 1, and a CSV header counts) or row of a Parquet file.
        fields: the row's values: JSON values, CSV strings or Arrow's Python values.
    """

    number: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that cannot be read, and why."""

    number: int
    reason: str


def is_row_file(path: str | Path) -> bool:
    """Return whether :func:`read_rows` can read a file, by its name."""
    return Path(path).name.lower().endswith(ROW_SUFFIXES)


def read_rows(path: str | Path, *, skip: int = 0) -> Iterator[Row | BrokenRow]:
    """Stream a file's rows, including broken rows.

    Args:
        path: a file whose name ends in one of ``ROW_SUFFIXES``.
        skip: number of leading rows to skip, counting broken rows.

    Raises:
        DataError: the file cannot be opened, is of an unknown kind, or is damaged such that the next row cannot be
            found.
    """
    path = Path(path)
    name = path.name.lower()
    try:
        if name.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst")):
            yield from _json_lines(path, skip)
        elif name.endswith((".csv", ".tsv")):
            yield from _delimited(path, "\t" if name.endswith(".tsv") else ",", skip)
        elif name.endswith(".parquet"):
            yield from _parquet(path, skip)
        else:
            raise DataError(f"{path}: unknown kind of file; known are {', '.join(ROW_SUFFIXES)}")
    except (OSError, EOFError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def estimate_rows(path: str | Path) -> int:
    """Estimate the number of rows in a file: exact for Parquet, extrapolated from the first rows for other kinds.

    Raises:
        DataError: the file cannot be read.
    """
    path = Path(path)
    try:
        if path.name.lower().endswith(".parquet"):
            with pq.ParquetFile(path) as file:
                return int(file.metadata.num_rows)
        size = path.stat().st_size
        with path.open("rb") as raw:
            stream = _decompressed(raw, path)
            sample = stream.read(_SAMPLE_BYTES)
            lines = sample.count(b"\n")
            if 0 < len(sample) < _SAMPLE_BYTES and not sample.endswith(b"\n"):
                lines += 1
            # The raw file's position shows how much of it the sample covers, until the rest of it is buffered.
            while raw.tell() >= size and (sample := stream.read(_SAMPLE_BYTES)):
                lines += sample.count(b"\n")
            return round(lines * size / raw.tell()) if size else 0
    except (OSError, EOFError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def parse_json_object(line: str) -> dict[str, Any]:
    """Parse a JSON object strictly: NaN and Infinity are not JSON and are refused.

    Raises:
        ValueError: not JSON, not an object, or nested too deeply.
    """
    try:
        value = json.loads(line, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {type(value).__name__}")
    return value


def parse_json_line(line: bytes, number: int) -> Row | BrokenRow:
    """Parse a non-blank line of JSON Lines; the first line (number 1) may begin with a byte order mark."""
    try:
        return Row(number, parse_json_object(line.decode("utf-8-sig" if number == 1 else "utf-8")))
    except UnicodeDecodeError as error:
        return BrokenRow(number, f"not UTF-8: {error.reason} at byte {error.start}")
    except ValueError as error:
        return BrokenRow(number, f"bad JSON: {error}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _decompressed(raw: IO[bytes], path: Path) -> IO[bytes]:
    compression = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix.lower())
    if compression is None:
        return raw
    return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), compression))


def _json_lines(path: Path, skip: int) -> Iterator[Row | BrokenRow]:
    with path.open("rb") as raw:
        seen = 0
        for number, line in enumerate(_decompressed(raw, path), start=1):
            if not line.strip():
                continue
            seen += 1
            if seen > skip:
                yield parse_json_line(line, number)


def _delimited(path: Path, delimiter: str, skip: int) -> Iterator[Row | BrokenRow]:
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
        reader = csv.reader(file, delimiter=delimiter)
        header = next(reader, None)
        if header is None:
            return
        seen, line = 0, reader.line_num
        row: Row | BrokenRow
        while True:
            start = line + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                row = BrokenRow(start, f"bad CSV: {error}")
            else:
                if not cells:  # an empty line
                    line = reader.line_num
                    continue
                row = _csv_row(start, header, cells)
            line = reader.line_num
            seen += 1
            if seen > skip:
                yield row


def _csv_row(number: int, header: list[str], cells: list[str]) -> Row | BrokenRow:
    if len(cells) != len(header):
        return BrokenRow(number, f"bad CSV: {len(cells)} cells, but the header has {len(header)}")
    return Row(number, dict(zip(header, cells, strict=True)))


def _parquet(path: Path, skip: int) -> Iterator[Row | BrokenRow]:
    with pq.ParquetFile(path) as file:
        first = 0
        groups: list[int] = []
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if not groups and first + rows <= skip:
                first += rows
            else:
                groups.append(group)
        number = first
        for batch in file.iter_batches(batch_size=_PARQUET_BATCH, row_groups=groups):
            if number + batch.num_rows <= skip:
                number += batch.num_rows
                continue
            for fields in batch.to_pylist():
                number += 1
                if number > skip:
                    yield Row(number, fields)
