"""One worker: uvicorn on the parent's socket, with deadlines for slow clients and an end that breaks no request."""

import asyncio
import gc
import logging
import math
import socket
import sys
from types import FrameType
from typing import Any

import uvicorn
from litestar import Litestar
from litestar.types import ASGIApp, Message, Receive, Send

from cortez.app import create_app
from cortez.core.observability.logging import configuration
from cortez.core.observability.metrics import WORKER_STARTS
from cortez.ops.doctor import BAD, glance
from cortez.server.connection import SAFE, Connection
from cortez.server.supervisor import GRACE
from cortez.settings import Settings, SettingsError, load

logger = logging.getLogger(__name__)
KEEP_ALIVE = 30  # seconds
LAST_CALL = 0.3  # seconds between the last connection that is taken and the end of those that are idle
YOUNG = 5_000  # objects made between two looks for garbage: those of a few requests


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

        async def answering(message: Message) -> None:
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
