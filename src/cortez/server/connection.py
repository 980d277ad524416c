"""A connection of uvicorn, with deadlines for slow clients."""

import asyncio
from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT = 10.0  # seconds for a request's head
HEAD_LIMIT = 65_536  # bytes of it
READ_TIMEOUT = 30.0  # seconds in which a client must take something of its answer
LINGER = 3.0  # seconds for the rest of a body that was answered before its end, so that the answer is not lost
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
