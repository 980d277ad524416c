"""Git history of a session: what was committed, when, near which trace."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.core.db.base import Base, one_of
from cortez.core.db.classification import Audit, Privacy
from cortez.core.db.types import Items
from cortez.enums import Choice
from cortez.traces.models import CognitiveState

if TYPE_CHECKING:
    from cortez.sessions.models import LearningSession


class GitEventType(Choice):
    COMMIT = "commit"
    BRANCH_CREATE = "branch_create"
    BRANCH_DELETE = "branch_delete"
    MERGE = "merge"
    TAG = "tag"
    REVERT = "revert"
    CHERRY_PICK = "cherry_pick"


class GitTrace(Base):
    """One git event. `timestamp` is git's own time of the commit."""

    __tablename__ = "git_traces"
    __table_args__ = (
        one_of("ck_git_event_type_valid", "event_type", GitEventType),
        one_of("ck_git_cognitive_state_valid", "cognitive_state_during_commit", CognitiveState),
        CheckConstraint("total_lines_added >= 0 AND total_lines_deleted >= 0", name="ck_git_lines_valid"),
        UniqueConstraint("session_id", "commit_hash", name="uq_git_trace_session_commit"),
    )
    privacy = Privacy(
        "student_id",
        keep="""session_id activity_id event_type timestamp total_lines_added total_lines_deleted is_merge is_revert
        detected_patterns complexity_delta related_cognitive_traces cognitive_state_during_commit
        time_since_last_interaction_minutes late""",
        pseudonymise="student_id commit_hash",
        empty="""commit_message author_name author_email branch_name parent_commits files_changed diff repo_path
        remote_url""",
    )
    audit = Audit(
        "student_id",
        people="student_id",
        plain="session_id activity_id event_type timestamp total_lines_added total_lines_deleted late",
        masked=(
            "commit_hash commit_message author_name author_email branch_name parent_commits files_changed "
            "diff repo_path remote_url"
        ),
        by_people="commit_hash commit_message author_name author_email",
        unseen=(
            "is_merge is_revert detected_patterns complexity_delta related_cognitive_traces "
            "cognitive_state_during_commit time_since_last_interaction_minutes"
        ),
    )

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    student_id: Mapped[str] = mapped_column(String(100))
    activity_id: Mapped[str] = mapped_column(String(100))
    event_type: Mapped[str] = mapped_column(String(20))
    commit_hash: Mapped[str] = mapped_column(String(40))
    commit_message: Mapped[str] = mapped_column(Text)
    author_name: Mapped[str] = mapped_column(String(255))
    author_email: Mapped[str] = mapped_column(String(255))
    timestamp: Mapped[datetime]
    branch_name: Mapped[str] = mapped_column(String(255))
    parent_commits: Mapped[Items] = mapped_column(default=list)
    files_changed: Mapped[Items] = mapped_column(default=list)
    total_lines_added: Mapped[int] = mapped_column(default=0)
    total_lines_deleted: Mapped[int] = mapped_column(default=0)
    diff: Mapped[str] = mapped_column(Text, default="")
    is_merge: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_revert: Mapped[bool] = mapped_column(default=False, server_default=false())
    detected_patterns: Mapped[Items] = mapped_column(default=list)
    complexity_delta: Mapped[int | None]
    related_cognitive_traces: Mapped[Items] = mapped_column(default=list)
    cognitive_state_during_commit: Mapped[str | None] = mapped_column(String(50))
    time_since_last_interaction_minutes: Mapped[int | None]
    repo_path: Mapped[str | None] = mapped_column(String(500))
    remote_url: Mapped[str | None] = mapped_column(String(500))
    late: Mapped[bool] = mapped_column(default=False, server_default=false())  # after the end, or the judgement

    session: Mapped["LearningSession"] = relationship(back_populates="git_traces", lazy="raise")
