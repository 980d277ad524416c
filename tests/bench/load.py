"""Sixteen clients on connections of their own, each sending the next request as soon as the last is answered."""

import asyncio
import statistics
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
import uvloop

CONNECTIONS = 16
HEAD_END = b"\r\n\r\n"


class Volley(msgspec.Struct, frozen=True):
    """What came back: seconds of each request in order, and of all of them together."""

    latencies: list[float]
    seconds: float
    failed: int = 0
    answer: bytes = b""  # the body of the first one that failed

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds

    @property
    def p50(self) -> float:
        return statistics.median(self.latencies)

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.latencies, n=20)[-1] if len(self.latencies) > 1 else self.latencies[0]


def request(method: str, path: str, token: str, content: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
    """A request as it goes over the wire."""
    body = b"" if content is None else content if isinstance(content, bytes) else msgspec.json.encode(content)
    lines = {"host": "127.0.0.1", "authorization": f"Bearer {token}", "content-length": str(len(body))}
    if body:
        lines["content-type"] = "application/json"
    head = "".join(f"{name}: {value}\r\n" for name, value in {**lines, **(headers or {})}.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


class Client(asyncio.Protocol):
    """One connection: sends, waits for all of the answer, sends again."""

    def __init__(self, requests: Iterator[bytes], until: float, done: asyncio.Future[None]) -> None:
        self.requests, self.until, self.done = requests, until, done
        self.latencies: list[float] = []
        self.failed, self.answer = 0, b""
        self.received = bytearray()
        self.awaited = 0  # bytes of the answer, once its head is there

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        wanted = next(self.requests, None) if time.perf_counter() < self.until else None
        if wanted is None:
            self.transport.abort()
            return
        self.sent = time.perf_counter()
        self.transport.write(wanted)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.awaited:
            end = self.received.find(HEAD_END)
            if end < 0:
                return
            head = bytes(self.received[:end]).lower()
            length = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
            self.awaited = end + len(HEAD_END) + int(length or 0)
        if len(self.received) >= self.awaited:
            self.latencies.append(time.perf_counter() - self.sent)
            if self.received[9:10] != b"2":
                self.failed, self.answer = self.failed + 1, self.answer or bytes(self.received)
            self.received.clear()
            self.awaited = 0
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def same(client: Client) -> Client:
    return client


async def _fire(address: str, requests: Iterator[bytes], seconds: float, connections: int) -> Volley:
    host, _, port = address.removeprefix("http://").partition(":")
    loop = asyncio.get_running_loop()
    ends = [loop.create_future() for _ in range(connections)]
    begun = time.perf_counter()
    clients = [Client(requests, begun + seconds, end) for end in ends]
    for client in clients:
        await loop.create_connection(partial(same, client), host, int(port))
    await asyncio.gather(*ends)
    latencies = [one for client in clients for one in client.latencies]
    failed = sum(client.failed for client in clients)
    answer = next((client.answer for client in clients if client.answer), b"")
    return Volley(latencies, time.perf_counter() - begun, failed, answer)


def fire(address: str, requests: Iterator[bytes], seconds: float, connections: int = CONNECTIONS) -> Volley:
    """Until the time is up or the requests are. Raises RuntimeError where an answer was none of 2xx."""
    volley = uvloop.run(_fire(address, requests, seconds, connections))
    if volley.failed or not volley.latencies:
        raise RuntimeError(f"{volley.failed} of {len(volley.latencies)} requests failed: {volley.answer[-600:]!r}")
    return volley
