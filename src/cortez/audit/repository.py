"""Queries of the audit log."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Select, false, or_, select, true

from cortez.audit.models import AuditEntry, SubjectKey
from cortez.core.db.repository import Repository
from cortez.core.db.types import AnyColumn


class AuditRepository(Repository[AuditEntry]):
    model = AuditEntry
    noun = "audit entry"

    def visible(self) -> ColumnElement[bool]:
        return true() if self.principal.is_admin else false()

    def filtered(
        self, table: str | None, row_id: str | None, actor: str | None, since: datetime | None
    ) -> Select[AuditEntry]:
        """`row_id` and `actor` may name a person, as long as there is a key that leads to their alias."""
        statement = self.select()
        if table is not None:
            statement = statement.where(AuditEntry.table_name == table)
        if row_id is not None:
            statement = statement.where(known_as(AuditEntry.row_id, row_id))
        if actor is not None:
            statement = statement.where(known_as(AuditEntry.actor, actor))
        return statement if since is None else statement.where(AuditEntry.created_at >= since)

    async def names(self, entries: Collection[AuditEntry]) -> dict[str, str]:
        """Whom the aliases of these entries stand for, where that is still known."""
        aliases = {alias for one in entries for alias in (one.actor, one.subject, one.row_id) if alias}
        found = select(SubjectKey.alias, SubjectKey.subject).where(SubjectKey.alias.in_(aliases))
        return {row.alias: row.subject for row in await self.session.execute(found)}


def known_as(column: AnyColumn, name: str) -> ColumnElement[bool]:
    alias = select(SubjectKey.alias).where(SubjectKey.subject == name).scalar_subquery()
    return or_(column == name, column == alias)
