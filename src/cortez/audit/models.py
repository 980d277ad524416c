"""The audit log, its seals, the keys that hide persons in it, and who read what about whom.

`audit_log` is written by database triggers alone (the revision that made them says on which tables), in the transaction
of the change. Nothing in it, in `audit_leaves` or in `audit_seals` can be changed or removed.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cortez.core.db.base import Base, one_of
from cortez.core.db.classification import Privacy
from cortez.core.db.types import Document
from cortez.enums import Choice


class Operation(Choice):
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class ActorKind(Choice):
    """A person or a key by its id; a command by its name; `database`: a role that wrote past the service."""

    PERSON = "person"
    KEY = "key"
    ANONYMOUS = "anonymous"
    SERVICE = "service"
    COMMAND = "command"
    DATABASE = "database"


class AuditEntry(Base):
    """One change of one row. Persons appear by their alias, personal values as digests with the person's key.

    `xid` is PostgreSQL's transaction, null on SQLite; `position` counts up; `salt` keeps a seal from telling what it
    seals.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        one_of("ck_audit_operation_valid", "operation", Operation),
        one_of("ck_audit_actor_kind_valid", "actor_kind", ActorKind),
        Index("idx_audit_created", "created_at", "id"),
        Index("idx_audit_row", "table_name", "row_id"),
        Index("idx_audit_actor", "actor"),
        Index("idx_audit_subject", "subject"),
    )
    privacy = Privacy(
        keep="""position xid table_name row_id operation actor_kind actor subject request_id before after salt"""
    )

    position: Mapped[int] = mapped_column(BigInteger, unique=True)
    xid: Mapped[int | None] = mapped_column(BigInteger)
    table_name: Mapped[str] = mapped_column(String(63))
    row_id: Mapped[str] = mapped_column(String(36))
    operation: Mapped[str] = mapped_column(String(10))
    actor_kind: Mapped[str] = mapped_column(String(10))
    actor: Mapped[str | None] = mapped_column(String(100))
    subject: Mapped[str | None] = mapped_column(String(36))
    request_id: Mapped[str | None] = mapped_column(String(100))
    before: Mapped[Document | None]
    after: Mapped[Document | None]
    salt: Mapped[bytes] = mapped_column(LargeBinary)


class AuditSeal(Base):
    """Seals the entries stored since the seal before: the root of their digests, chained to that seal's own digest."""

    __tablename__ = "audit_seals"
    privacy = Privacy(keep="number entries root digest")

    number: Mapped[int] = mapped_column(Integer, unique=True)
    entries: Mapped[int] = mapped_column(Integer)
    root: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(LargeBinary)


class AuditLeaf(Base):
    """The digest of one sealed entry, and its place under the root of its seal."""

    __tablename__ = "audit_leaves"
    __table_args__ = (UniqueConstraint("seal_id", "place"),)
    privacy = Privacy(keep="entry_id seal_id place digest")

    entry_id: Mapped[UUID] = mapped_column(unique=True)
    seal_id: Mapped[UUID] = mapped_column(ForeignKey("audit_seals.id", ondelete="RESTRICT"))
    place: Mapped[int] = mapped_column(Integer)
    digest: Mapped[bytes] = mapped_column(LargeBinary)


class SubjectKey(Base):
    """What stands between the audit log and a person; erasure destroys it.

    `subject` is a student_id or an account's id; `pads` the two 64-byte blocks of HMAC-SHA256, the key within them.
    """

    __tablename__ = "subject_keys"
    privacy = Privacy("subject", removed="subject alias pads")

    subject: Mapped[str] = mapped_column(String(100), unique=True)
    alias: Mapped[str] = mapped_column(String(36), unique=True)
    pads: Mapped[bytes] = mapped_column(LargeBinary)


class AccessEntry(Base):
    """That somebody read a student's data: which route, how often, the first time (`created_at`) and the last."""

    __tablename__ = "access_log"
    __table_args__ = (
        one_of("ck_access_actor_kind_valid", "actor_kind", ActorKind),
        Index("idx_access_student", "student_id", "created_at"),
    )
    privacy = Privacy("student_id", removed="actor_kind actor_id student_id route reads last_at request_id", ages=True)

    actor_kind: Mapped[str] = mapped_column(String(10))
    actor_id: Mapped[UUID]
    student_id: Mapped[str] = mapped_column(String(100))
    route: Mapped[str] = mapped_column(String(200))
    reads: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime]
    request_id: Mapped[str] = mapped_column(String(100))
