"""What goes to the database, as the engine tells it: statements are timed, and slow ones are logged."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection

from cortez.core.compat import observers
from cortez.core.db.types import Values
from cortez.core.observability.request_context import CURRENT

logger = logging.getLogger(__name__)

SLOW = "slow_query"  # execution option: from how many milliseconds on a statement is slow; 0: none is


class Sent:
    """A statement that goes to the driver past SQLAlchemy's execution, as observers of its events see one."""

    isinsert = isupdate = isdelete = False
    begun = 0.0


def watch_statements(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def begin(
        connection: Connection, cursor: DBAPICursor, statement: str, values: Values, context: Sent, many: bool
    ) -> None:
        context.begun = time.perf_counter()

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def end(
        connection: Connection, cursor: DBAPICursor, statement: str, values: Values, context: Sent, many: bool
    ) -> None:
        note(engine.sync_engine, statement, context.begun)

    @event.listens_for(engine.sync_engine, "handle_error")
    def fail(told: ExceptionContext) -> None:
        begun = getattr(told.execution_context, "begun", None)
        if begun and told.statement:
            note(engine.sync_engine, told.statement, begun)


class watched:  # noqa: N801 - reads as a function
    """Tells the engine's observers of such a statement: `with watched(...) as (statement, values)`, as they want it."""

    def __init__(
        self, engine: Engine, connection: PoolProxiedConnection | None, statement: str, values: Values
    ) -> None:
        self.engine, self.connection = engine, connection
        self.statement, self.values = statement, values
        self.sent = Sent()

    def __enter__(self) -> tuple[str, Values]:
        for before in observers(self.engine).before_cursor_execute:
            self.statement, self.values = before(self.connection, None, self.statement, self.values, self.sent, False)
        return self.statement, self.values

    def __exit__(
        self, failed: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if failed:
            note(self.engine, self.statement, self.sent.begun)
            return
        for after in observers(self.engine).after_cursor_execute:
            after(self.connection, None, self.statement, self.values, self.sent, False)


@contextmanager
def timed(engine: Engine, statement: str) -> Iterator[None]:
    """Time and log a statement without rows, such as COPY or COMMIT."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        note(engine, statement, begun)


def note(engine: Engine, statement: str, begun: float) -> None:
    """A statement is its text, with places for the values: these are people's, and are kept nowhere."""
    seconds = time.perf_counter() - begun
    exchange = CURRENT.get()
    if exchange:
        exchange.statements += 1
        exchange.database_seconds += seconds
        if exchange.trace:
            exchange.trace.statement(engine.dialect.name, statement, seconds)
    slow = engine.get_execution_options().get(SLOW)
    if slow and seconds * 1000 >= slow:
        route = exchange.route if exchange else None
        fields = {"ms": round(seconds * 1000, 1), "route": route, "sql": " ".join(statement.split())}
        logger.warning("slow statement", extra={"fields": fields})
