"""An HTTP/1.1 client that shows what happens to its connection: refused, broken, closed in good order."""

import asyncio
from collections.abc import Mapping
from typing import Any, Self

import msgspec


class Refused(Exception):
    """No connection: nothing was sent."""


class Broken(Exception):
    """The connection ended before the answer did: nobody knows what became of the request."""


class Reply(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        return str(self.json()["code"]) if self.status >= 400 else ""

    @property
    def retry_after(self) -> float:
        """Seconds; raises KeyError where the answer does not say."""
        return float(self.headers["retry-after"])


class Wire:
    """One connection at a time, kept alive as long as the server does."""

    def __init__(self, address: str, token: str = "") -> None:
        self.host, _, port = address.removeprefix("http://").partition(":")
        self.port = int(port)
        self.headers = {"host": self.host, "content-type": "application/json"}
        if token:
            self.headers["authorization"] = f"Bearer {token}"
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        if self.streams:
            self.streams[1].transport.abort()
            self.streams = None

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.streams and (self.streams[0].at_eof() or self.streams[1].is_closing()):
            self.hang_up()
        if not self.streams:
            try:
                self.streams = await asyncio.open_connection(self.host, self.port)
            except OSError as error:
                raise Refused from error
        return self.streams

    async def send(
        self, method: str, path: str, content: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Raises Refused or Broken. One that the server closed while it was idle is opened anew."""
        reader, writer = await self.connect()
        body = b"" if content is None else msgspec.json.encode(content)
        sent = self.headers | {"content-length": str(len(body))} | dict(headers or {})
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            return await self.receive(reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.hang_up()
            raise Broken from error
        except BaseException:
            self.hang_up()
            raise

    async def receive(self, reader: asyncio.StreamReader) -> Reply:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.hang_up()
        return Reply(int(head[0].split()[1]), headers, body)
