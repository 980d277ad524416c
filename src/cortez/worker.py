"""One worker: uvicorn on the parent's socket, with deadlines for slow clients and an end that breaks no request."""

import asyncio
import gc
import logging
import math
import socket
import sys
from asyncio import TimerHandle, Transport
from types import FrameType
from typing import Any

if __name__ == "__main__":
    gc.disable()  # until `settle`: nothing is garbage while modules load, and looking takes a tenth of the time

import uvicorn
from litestar import Litestar
from litestar.types import ASGIApp, Receive, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cortez.app import create_app
from cortez.doctor import BAD, glance
from cortez.logs import configuration
from cortez.metrics import WORKER_STARTS
from cortez.settings import Settings, SettingsError, load
from cortez.supervisor import GRACE

logger = logging.getLogger("cortez.worker")  # it is run by name

HEAD_TIMEOUT = 10.0  # seconds for a request's head
HEAD_LIMIT = 65_536  # bytes of it
READ_TIMEOUT = 30.0  # seconds in which a client must take something of its answer
KEEP_ALIVE = 30  # seconds
LINGER = 3.0  # seconds for the rest of a body that was answered before its end, so that the answer is not lost
LAST_CALL = 0.3  # seconds between the last connection that is taken and the end of those that are idle
YOUNG = 5_000  # objects made between two looks for garbage: those of a few requests
SAFE = {"GET", "HEAD"}
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(HttpToolsProtocol):
    """A connection that does not wait for ever: for a head, or for an answer to be taken."""

    head_size = 0
    waiting: TimerHandle | None = None
    stalled: TimerHandle | None = None
    lingering: TimerHandle | None = None
    reading: "asyncio.Task[None] | None" = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.expect_head()

    def expect_head(self) -> None:
        self.head_size = 0
        self.waiting = self.waiting or self.loop.call_later(HEAD_TIMEOUT, self.transport.abort)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["connection"] = self
        self.expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.waiting:  # the head is not complete yet
            self.head_size += len(data)
            if self.head_size > HEAD_LIMIT:
                self.transport.write(TOO_LARGE)
                self.transport.close()

    def on_headers_complete(self) -> None:
        cancel(self.waiting)
        self.waiting = None
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.more_body:  # answered early: the rest is read for a moment, not for ever
            self.lingering = self.loop.call_later(LINGER, self.transport.close)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        cancel(self.lingering)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stalled = self.stalled or self.loop.call_later(READ_TIMEOUT, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        cancel(self.stalled)
        self.stalled = None

    def connection_lost(self, error: Exception | None) -> None:
        for timer in (self.waiting, self.stalled, self.lingering):
            cancel(timer)
        super().connection_lost(error)
        if self.reading:
            self.reading.cancel()


def cancel(timer: TimerHandle | None) -> None:
    if timer:
        timer.cancel()


class Serving:
    """The application, that ends what nobody waits for any more, and asks clients to leave when it is to stop.

    Only a reading request is ended, and only before its answer begins: what was shown is always noted.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.stopping = False

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        connection: Connection = scope["state"].pop("connection")

        async def answering(message: Any) -> None:
            if message["type"] == "http.response.start":
                connection.reading = None
                if self.stopping:
                    message = message | {"headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        connection.reading = asyncio.current_task() if scope["method"] in SAFE else None
        try:
            await self.app(scope, receive, answering)
        except asyncio.CancelledError:
            if not connection.transport.is_closing():
                raise
        finally:
            connection.reading = None


class Worker(uvicorn.Server):
    """Stops in three steps: says so in every answer, takes no new connection, then ends those that are idle."""

    def __init__(
        self, config: uvicorn.Config, app: Litestar, serving: Serving, link: socket.socket, *, looks: bool
    ) -> None:
        super().__init__(config)
        self.app = app
        self.serving = serving
        self.link = link
        self.looks = looks

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        if self.started:
            WORKER_STARTS.inc()
            self.link.send(b".")
            self.loop.add_reader(self.link, self.drain)  # it is readable when the parent is gone
            self.looking = asyncio.create_task(look_around(self.app.state.settings)) if self.looks else None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.loop.call_soon_threadsafe(self.drain)

    def drain(self) -> None:
        if self.serving.stopping:
            return
        self.serving.stopping = self.app.state.stopping = True
        self.loop.remove_reader(self.link)
        self.latest = self.loop.time() + 2 * GRACE
        self.loop.call_later(GRACE - LAST_CALL, self.close_door)
        self.loop.call_later(GRACE, self.leave)

    def close_door(self) -> None:
        for server in self.servers:
            server.close()

    def leave(self) -> None:
        """Whoever came last may not have said anything yet."""
        connections: set[Any] = self.server_state.connections
        if self.loop.time() < self.latest and any(connection.cycle is None for connection in connections):
            self.loop.call_later(0.05, self.leave)
            return
        self.should_exit = True


async def look_around(settings: Settings) -> None:
    """Say what is wrong. It keeps nobody from serving: what is away comes back, and readiness says what is missing."""
    for finding in await glance(settings):
        logger.log(logging.ERROR if finding.mark == BAD else logging.WARNING, "%s", finding)


def settle() -> None:
    """Nothing that is there by now will ever be garbage: do not look through it again and again while answering."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 50)
    gc.enable()


def main() -> None:
    listener, link, stop_timeout, *looks = sys.argv[1:]
    try:
        settings = load()
        app = create_app(settings)
    except SettingsError as error:
        sys.exit(str(error))
    serving = Serving(app)
    config = uvicorn.Config(
        serving,
        http=Connection,
        lifespan="on",
        log_level=settings.log,
        log_config=configuration(settings),
        access_log=False,
        proxy_headers=False,  # CORTEZ_TRUSTED_PROXIES says whose word is taken for a client's address
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=math.ceil(float(stop_timeout)),
    )
    settle()
    worker = Worker(config, app, serving, socket.socket(fileno=int(link)), looks=bool(looks))
    worker.run(sockets=[socket.socket(fileno=int(listener))])


if __name__ == "__main__":
    main()
