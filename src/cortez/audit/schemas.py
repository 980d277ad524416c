"""The audit log, as it is shown."""

from collections.abc import Mapping
from typing import Self

from cortez.audit.models import ActorKind, AuditEntry, Operation
from cortez.core.db.types import Document
from cortez.core.web.schemas import Resource


class AuditOut(Resource):
    """One change of one row. `actor` is an account, a key, a command or a role of the database.

    `actor`, `row_id` and `subject` (the student_id or account that the row is about) name a person until they are
    erased; then an alias stays, which stands for nobody. `before` and `after` hold what changed: people as aliases,
    personal values as digests that say only whether two are equal.
    """

    table: str
    row_id: str
    operation: Operation
    actor_kind: ActorKind
    actor: str | None
    subject: str | None
    request_id: str | None
    before: Document | None
    after: Document | None

    @property
    def names_students(self) -> set[str]:
        """Whom the row is about."""
        return {self.subject} if self.subject else set()

    @classmethod
    def of(cls, entry: AuditEntry, names: Mapping[str, str]) -> Self:
        return cls(
            id=entry.id,
            created_at=entry.created_at,
            updated_at=entry.updated_at,
            table=entry.table_name,
            row_id=names.get(entry.row_id, entry.row_id),
            operation=Operation(entry.operation),
            actor_kind=ActorKind(entry.actor_kind),
            actor=names.get(entry.actor or "", entry.actor),
            subject=names.get(entry.subject or "", entry.subject),
            request_id=entry.request_id,
            before=entry.before,
            after=entry.after,
        )
