"""Sessions that lend a connection of their pool to kept statements, until SQLAlchemy wants one for another statement.

One that reads gives it back then, and SQLAlchemy takes the same one. A unit of work has begun its transaction on it,
so SQLAlchemy joins it there.
"""

from typing import Any, NamedTuple

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.orm import Session
from sqlalchemy.pool import PoolProxiedConnection

CLEAN = "clean"  # a connection that comes back without a transaction
ALONE = "alone"  # execution option: SQLAlchemy has nothing to begin, since nothing is begun or it has been


class Line(NamedTuple):
    """A way to the database: the pool's connection, and what is inside of it."""

    engine: Engine
    pooled: PoolProxiedConnection
    adapter: Any  # SQLAlchemy's, around the driver's own
    driver: Any
    is_embedded: bool
    joined: Connection | None = None  # SQLAlchemy's, around the pool's, where it takes part

    @classmethod
    def of(cls, engine: Engine, pooled: PoolProxiedConnection, joined: Connection | None = None) -> "Line":
        is_embedded = engine.dialect.name == "sqlite"
        return cls(engine, pooled, pooled.dbapi_connection, pooled.driver_connection, is_embedded, joined)

    @property
    def has_ended(self) -> bool:
        """Whether the server, or the way to it, is gone."""
        return not self.is_embedded and bool(self.driver.is_closed())


class LendingSession(Session):
    """A session of SQLAlchemy's that can do without."""

    lent: Line | None = None
    begun = False  # a transaction on what is lent, or was until it broke

    @property
    def engine(self) -> Engine:
        return self.bind  # type: ignore[return-value]  # as `Database` makes them

    @property
    def is_alone(self) -> bool:
        """Whether SQLAlchemy takes no part."""
        return not self.in_transaction()

    @property
    def is_open(self) -> bool:
        """Whether more than giving back is left to do."""
        return self.begun or not self.is_alone

    @property
    def is_crowded(self) -> bool:
        """Whether the pool would close what comes back."""
        if self.lent is None:
            return False
        pool: Any = self.lent.engine.pool
        return bool(pool.overflow() > 0)

    def lend(self) -> Line:
        """Raises PendingRollbackError where what had begun is lost, until it is rolled back."""
        if self.lent is None:
            self.check()
            self.lent = Line.of(self.engine, self.engine.raw_connection())
        return self.lent

    def check(self) -> None:
        if self.begun and self.lent is None:
            raise PendingRollbackError("The connection of this transaction was lost; roll it back.")

    def take_back(self) -> None:
        """To the pool: nothing has begun on it, or what has is over."""
        lent, self.lent, self.begun = self.lent, None, False
        if lent is not None:
            lent.pooled.info[CLEAN] = True
            lent.pooled.close()

    def cut(self) -> None:
        """What was lent is in no state to be used again."""
        lent, self.lent = self.lent, None
        if lent is not None:
            lent.pooled.invalidate()


class ReadingSession(LendingSession):
    """Each of its statements is a transaction."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | Connection:
        self.take_back()  # the same one is taken again at once
        return super().get_bind(*args, **kwargs)

    def close(self) -> None:
        self.take_back()
        if self.in_transaction():
            super().close()


class UnitSession(LendingSession):
    """Its statements are one transaction, begun on what is lent where a kept statement is the first."""

    joined: Connection | None = None  # SQLAlchemy's, around what was lent

    @property
    def is_alone(self) -> bool:
        return self.joined is None and not self.in_transaction()

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | Connection:
        self.check()
        if self.lent is not None:
            joined = Connection(self.lent.engine, self.lent.pooled)
            self.joined = joined.execution_options(**{ALONE: self.begun})
            self.lent, self.begun = None, False
        return super().get_bind(*args, **kwargs) if self.joined is None else self.joined

    def commit(self) -> None:
        if self.begun or self.joined is not None:
            self.connection()  # so that it is SQLAlchemy's to commit
        super().commit()
        self.leave()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self.undo()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.undo()

    def leave(self) -> None:
        joined, self.joined = self.joined, None
        if joined is not None:
            joined.close()

    def undo(self) -> None:
        """Give back what there is, with its transaction rolled back."""
        self.leave()
        if self.lent is not None and self.begun:
            self.lent.engine.dispatch.rollback(self.lent.pooled)
            try:
                self.lent.adapter.rollback()
            except BaseException as error:
                self.cut()
                if not isinstance(error, Exception):
                    raise
        self.take_back()
