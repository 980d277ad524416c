"""Keys of usernames and e-mails, for accounts that were made or renamed by what does not know of keys."""

from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.accounts.models import User
from cortez.core.db.engine import Database
from cortez.core.db.expressions import within
from cortez.core.security.identifiers import key_of

NAMES = ("email", "username")


async def complete_keys(database: Database) -> bool:
    """Give accounts the keys that they lack, the oldest first; False, as nothing is left to do.

    An older version has made them during an upgrade, or SQL by hand has. Where another account has the key, the account
    stays without one, and `cortez doctor` names it.
    """
    for name in NAMES:
        async with database.reading() as session:
            lacking = await lacking_keys(session, name)
        if lacking:
            async with database.unit() as session:
                await give_keys(session, name, lacking)
    return False


async def lacking_keys(session: AsyncSession, name: str) -> list[Any]:
    """Id, name and key of the accounts whose key is not the name's.

    SQL compares first, so that few rows are read: it folds ASCII as `key_of` does.
    """
    spelling, key = getattr(User, name), getattr(User, f"{name}_key")
    odd = or_(key.is_(None), func.lower(spelling) != key)
    rows = await session.execute(select(User.id, spelling, key).where(odd).order_by(User.created_at, User.id))
    return [row for row in rows if (key_of(row[1]) or None) != row[2]]


async def give_keys(session: AsyncSession, name: str, lacking: list[Any]) -> None:
    spelling, key = getattr(User, name), getattr(User, f"{name}_key")
    wanted = [key_of(row[1]) or None for row in lacking]  # SQL by hand may have left a name blank
    taken = {None, *await session.scalars(select(key).where(within(key, [one for one in wanted if one])))}
    for (id_, known, former), new in zip(lacking, wanted, strict=True):
        given = None if new in taken else new
        taken.add(given)
        if given != former:
            unchanged = (User.id == id_, spelling == known)
            values = {key: given, User.updated_at: User.updated_at}
            await session.execute(update(User).where(*unchanged).values(values))
