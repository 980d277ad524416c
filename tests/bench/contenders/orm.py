"""The three tables of the hot routes, as the programs on SQLAlchemy declare them."""

import hashlib
import os
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, ForeignKey, Text, Uuid, or_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

Document = dict[str, Any]
OPEN = ("active", "paused")


def now() -> datetime:
    return datetime.now(UTC)


def address(driver: str) -> str:
    """Of the database, for a driver."""
    return os.environ["DATABASE_URL"].replace("postgresql://", f"postgresql+{driver}://", 1)


class Base(DeclarativeBase):
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
        str: Text(),
        Document: JSONB,
        list[Any]: JSONB,
    }

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class ApiKey(Base):
    __tablename__ = "api_keys"

    key_hash: Mapped[bytes]
    scopes: Mapped[list[Any]]
    course_ids: Mapped[list[Any] | None]
    expires_at: Mapped[datetime | None]

    @classmethod
    def presented(cls, authorization: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        """What the key in the header fulfils while it is valid."""
        digest = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).digest()
        return cls.key_hash == digest, or_(cls.expires_at.is_(None), cls.expires_at > now())


class LearningSession(Base):
    __tablename__ = "sessions"

    student_id: Mapped[str]
    activity_id: Mapped[str]
    course_id: Mapped[str | None]
    mode: Mapped[str]
    simulator_type: Mapped[str | None]
    user_id: Mapped[UUID | None]
    start_time: Mapped[datetime]
    end_time: Mapped[datetime | None]
    status: Mapped[str]
    learning_objective: Mapped[Document]
    cognitive_status: Mapped[Document]
    session_metrics: Mapped[Document]
    trace_count: Mapped[int]


class Trace(Base):
    __tablename__ = "cognitive_traces"

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id"))
    student_id: Mapped[str]
    activity_id: Mapped[str]
    trace_level: Mapped[str]
    interaction_type: Mapped[str]
    content: Mapped[str]
    context: Mapped[Document]
    trace_metadata: Mapped[Document]
    cognitive_state: Mapped[str | None]
    cognitive_intent: Mapped[str | None]
    decision_justification: Mapped[str | None]
    alternatives_considered: Mapped[list[Any]]
    strategy_type: Mapped[str | None]
    ai_involvement: Mapped[float]
    semantic_understanding: Mapped[Document]
    algorithmic_evolution: Mapped[Document]
    cognitive_reasoning: Mapped[Document]
    interactional_data: Mapped[Document]
    ethical_risk_data: Mapped[Document]
    process_data: Mapped[Document]
    parent_trace_id: Mapped[UUID | None] = mapped_column(ForeignKey("cognitive_traces.id"))
    agent_id: Mapped[str | None]
    occurred_at: Mapped[datetime | None]
    late: Mapped[bool] = mapped_column(default=False)
