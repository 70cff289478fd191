"""A load generator in its own process: keep-alive connections send prepared requests and time the answers.

The client must cost less than the server it measures, so it implements just enough of HTTP/1.1: requests are prepared
bytes, and only the status, length and end of an answer are parsed.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context

import numpy as np
import uvloop


@dataclass
class Load:
    """The result of a run.

    Attributes:
        seconds: from the first request to the last answer.
        milliseconds: latencies of the answers, by status.
        unsent: requests that were due when no connection was free.
        broken: requests whose connection closed before the answer.
    """

    seconds: float = 0.0
    milliseconds: dict[int, list[float]] = field(default_factory=dict)
    unsent: int = 0
    broken: int = 0

    @property
    def statuses(self) -> dict[int, int]:
        return {status: len(times) for status, times in sorted(self.milliseconds.items())}

    def percentiles(self, status: int = 200) -> dict[str, float]:
        times = self.milliseconds.get(status) or [float("nan")]
        return {f"p{p}": round(float(np.percentile(times, p)), 3) for p in (50, 95, 99)}

    @property
    def per_second(self) -> float:
        return round(len(self.milliseconds.get(200, ())) / self.seconds, 1)


def request(path: str, body: bytes, method: str = "POST") -> bytes:
    """Return the bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self, load: "_Generator") -> None:
        self._load, self._buffer, self._sent = load, b"", 0.0
        self.busy = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def send(self, content: bytes) -> None:
        self.busy, self._sent = True, time.perf_counter()
        self._transport.write(content)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        self._buffer = self._buffer[end + 4 + length :]
        self.busy = False
        self._load.answered(self, int(head[9:12]), (time.perf_counter() - self._sent) * 1e3)

    def connection_lost(self, error: Exception | None) -> None:
        self._load.lost(self)


class _Generator:
    def __init__(self, requests: list[bytes], rate: float | None) -> None:
        self.result = Load()
        self._requests, self._rate = itertools.cycle(requests), rate
        self._idle: deque[_Connection] = deque()
        self._ended = False

    async def run(self, port: int, connections: int, seconds: float) -> Load:
        loop = asyncio.get_running_loop()
        opened = [
            (await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port))[1] for _ in range(connections)
        ]
        started = time.perf_counter()
        if self._rate is None:
            for connection in opened:
                connection.send(next(self._requests))
            await asyncio.sleep(seconds)
        else:
            self._idle.extend(opened)
            due = 0
            while (elapsed := time.perf_counter() - started) < seconds:
                while due < elapsed * self._rate:
                    due += 1
                    if self._idle:
                        self._idle.popleft().send(next(self._requests))
                    else:
                        self.result.unsent += 1
                await asyncio.sleep(0.001)
        self._ended = True
        deadline = time.perf_counter() + 30
        while any(one.busy for one in opened) and time.perf_counter() < deadline:
            await asyncio.sleep(0.005)
        self.result.seconds = time.perf_counter() - started
        return self.result

    def answered(self, connection: _Connection, status: int, milliseconds: float) -> None:
        self.result.milliseconds.setdefault(status, []).append(milliseconds)
        if self._rate is not None:
            self._idle.append(connection)
        elif not self._ended:
            connection.send(next(self._requests))

    def lost(self, connection: _Connection) -> None:
        if connection.busy:
            connection.busy = False
            self.result.broken += 1


def _generate(port: int, requests: list[bytes], connections: int, seconds: float, rate: float | None) -> Load:
    return uvloop.run(_Generator(requests, rate).run(port, connections, seconds))


@contextmanager
def generating(
    port: int, requests: list[bytes], connections: int, seconds: float, rate: float | None = None
) -> Iterator[Future[Load]]:
    """Send requests in turn from another process for the duration of the block.

    Args:
        port: on loopback.
        requests: from :func:`request`.
        connections: each sends its next request after the previous answer or, with a rate, when it is due.
        seconds: duration.
        rate: requests per second, independent of answers (open loop); closed loop if None.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool.submit(_generate, port, requests, connections, seconds, rate)


def generate(port: int, requests: list[bytes], connections: int, seconds: float, rate: float | None = None) -> Load:
    """Run :func:`generating` to its end."""
    with generating(port, requests, connections, seconds, rate) as load:
        return load.result()
