"""Many rows, some at a time."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.db.types import AnySelect


async def lots(session: AsyncSession, statement: AnySelect, size: int) -> AsyncGenerator[Sequence[Row[Any]]]:
    """Yield the rows of a statement, `size` at a time. To be closed (`aclosing`), also where the reader stops early.

    A cursor that is left open keeps SQLite's snapshot, and its connection busy, until the garbage collector runs.
    """
    result = await session.stream(statement.execution_options(yield_per=size))
    try:
        async for rows in result.partitions():
            yield rows
    finally:
        await result.close()
