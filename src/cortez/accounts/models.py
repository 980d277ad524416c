"""Users, their sign-ins, the keys of machines, courses and who belongs to them."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from cortez.clock import utc_now
from cortez.core.db.base import Base, Duplicate, one_of
from cortez.core.db.classification import Audit, Privacy
from cortez.core.db.types import Items
from cortez.core.security.identifiers import MAX_KEY, key_of
from cortez.enums import Choice, aliases

if TYPE_CHECKING:
    from cortez.activities.models import Activity
    from cortez.oversight.models import RemediationPlan, RiskAlert, TeacherIntervention
    from cortez.profiles.models import StudentProfile
    from cortez.reports.models import CourseReport
    from cortez.sessions.models import LearningSession


@aliases(instructor="teacher")
class Role(Choice):
    STUDENT = "student"
    TUTOR = "tutor"
    TEACHER = "teacher"
    ADMIN = "admin"


@aliases(instructor="teacher")
class CourseRole(Choice):
    STUDENT = "student"
    TUTOR = "tutor"
    TEACHER = "teacher"


class Scope(Choice):
    """What an API key may do."""

    SESSIONS = "sessions"
    TRACES = "traces"
    ANALYSIS = "analysis"
    SIMULATORS = "simulators"
    GIT = "git"
    GRADING = "grading"
    LTI = "lti"
    READ = "read"


DEFAULT_SCOPES = (Scope.SESSIONS, Scope.TRACES, Scope.ANALYSIS, Scope.SIMULATORS, Scope.READ)


# As a query asks it and as its index says it, word for word: of an account that was adopted with its bcrypt hash.
ADOPTED_PASSWORD = "substr(hashed_password, 1, 2) = '$2'"  # noqa: S105 - a condition

RESETTING = "reset_hash IS NOT NULL"


class User(Base):
    """An account that can sign in. `student_id` is the person's key in sessions and traces.

    The keys of its e-mail and its username are what these are found by, whatever the case. A key is null where an older
    account has it, and until `complete_keys` where code that does not know it made the row: such an account is found by
    its exact spelling.
    """

    __tablename__ = "users"
    duplicates: ClassVar = {
        "email": Duplicate("EMAIL_IN_USE", "An account with this e-mail exists already."),
        "email_key": Duplicate("EMAIL_IN_USE", "An account with this e-mail exists already."),
        "username": Duplicate("USERNAME_IN_USE", "An account with this username exists already."),
        "username_key": Duplicate("USERNAME_IN_USE", "An account with this username exists already."),
        "student_id": Duplicate("STUDENT_ID_IN_USE", "An account with this student_id exists already."),
    }
    __table_args__ = (
        Index(
            "idx_users_adopted_password",
            "id",
            postgresql_where=text(ADOPTED_PASSWORD),
            sqlite_where=text(ADOPTED_PASSWORD),
        ),
        Index("idx_users_created", "created_at", "id"),
        Index("uq_users_email_key", "email_key", unique=True),
        Index("uq_users_username_key", "username_key", unique=True),
        Index("idx_users_reset", "reset_hash", postgresql_where=text(RESETTING), sqlite_where=text(RESETTING)),
    )
    sensitive: ClassVar[frozenset[str]] = frozenset({"hashed_password", "reset_hash"})
    privacy = Privacy(
        "id",
        removed="""email email_key username username_key hashed_password full_name student_id roles is_active
        is_verified last_login login_count course_name commission reset_hash reset_expires_at""",
    )
    audit = Audit(
        "id",
        people="id student_id",
        plain="roles is_active is_verified",
        masked="email username hashed_password full_name course_name commission reset_hash",
        unseen="email_key username_key last_login login_count reset_expires_at",
    )

    email: Mapped[str] = mapped_column(String(255), unique=True)
    email_key: Mapped[str | None] = mapped_column(String(MAX_KEY))
    username: Mapped[str] = mapped_column(String(100), unique=True)
    username_key: Mapped[str | None] = mapped_column(String(MAX_KEY))
    hashed_password: Mapped[str] = mapped_column(String(255))
    full_name: Mapped[str | None] = mapped_column(String(255))
    student_id: Mapped[str | None] = mapped_column(String(100), unique=True)
    roles: Mapped[Items] = mapped_column(default=lambda: [Role.STUDENT.value])
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())
    is_verified: Mapped[bool] = mapped_column(default=False, server_default=false())
    last_login: Mapped[datetime | None]
    login_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    course_name: Mapped[str | None] = mapped_column(String(255))
    commission: Mapped[str | None] = mapped_column(String(100))
    reset_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    reset_expires_at: Mapped[datetime | None]

    @validates("email", "username")
    def _set_key(self, name: str, value: str) -> str:
        setattr(self, f"{name}_key", key_of(value))
        return value

    sessions: Mapped[list["LearningSession"]] = relationship(back_populates="user", passive_deletes=True, lazy="raise")
    activities: Mapped[list["Activity"]] = relationship(back_populates="teacher", passive_deletes=True, lazy="raise")
    course_reports: Mapped[list["CourseReport"]] = relationship(
        back_populates="teacher", passive_deletes=True, lazy="raise"
    )
    remediation_plans_created: Mapped[list["RemediationPlan"]] = relationship(
        back_populates="teacher", passive_deletes=True, lazy="raise"
    )
    assigned_alerts: Mapped[list["RiskAlert"]] = relationship(
        back_populates="assigned_to_user",
        foreign_keys="RiskAlert.assigned_to",
        passive_deletes=True,
        lazy="raise",
    )
    acknowledged_alerts: Mapped[list["RiskAlert"]] = relationship(
        back_populates="acknowledged_by_user",
        foreign_keys="RiskAlert.acknowledged_by",
        passive_deletes=True,
        lazy="raise",
    )
    teacher_interventions: Mapped[list["TeacherIntervention"]] = relationship(
        back_populates="teacher", passive_deletes=True, lazy="raise"
    )
    student_profiles: Mapped[list["StudentProfile"]] = relationship(
        back_populates="user", passive_deletes=True, lazy="raise"
    )
    memberships: Mapped[list["CourseMember"]] = relationship(
        back_populates="user", cascade="all, delete-orphan", passive_deletes=True, lazy="raise"
    )
    refresh_tokens: Mapped[list["RefreshToken"]] = relationship(
        back_populates="user", cascade="all, delete-orphan", passive_deletes=True, lazy="raise"
    )


class RefreshToken(Base):
    """One refresh token, kept as a hash. The tokens of one sign-in share a family, which is revoked as a whole.

    `used_by` is a digest of the network and the client that used it. `signed_in_at` is the sign-in's, after which it
    lives for 90 days; null: made by an older version.
    """

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("idx_refresh_tokens_family", "family_id"),
        Index("idx_refresh_tokens_user", "user_id"),
        Index("idx_refresh_tokens_expires", "expires_at"),
    )
    sensitive: ClassVar[frozenset[str]] = frozenset({"token_hash", "used_by"})
    privacy = Privacy(
        "user_id", removed="user_id family_id token_hash expires_at used_at used_by revoked_at signed_in_at"
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    family_id: Mapped[UUID]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    used_by: Mapped[bytes | None] = mapped_column(LargeBinary)
    revoked_at: Mapped[datetime | None]
    signed_in_at: Mapped[datetime | None]

    user: Mapped["User"] = relationship(back_populates="refresh_tokens", lazy="raise")


class ApiKey(Base):
    """A machine's key, kept as a hash; `course_ids` limits it to those courses, null means all.

    It answers for `created_by` and ends with that account. Null: made before this was recorded.
    """

    __tablename__ = "api_keys"
    __table_args__ = (Index("idx_api_keys_created_by", "created_by"),)
    sensitive: ClassVar[frozenset[str]] = frozenset({"key_hash"})
    privacy = Privacy(keep="name key_hash scopes course_ids expires_at last_used_at created_by")
    audit = Audit(
        people="created_by",
        plain="name scopes course_ids expires_at",
        masked="key_hash",
        unseen="last_used_at",
    )

    name: Mapped[str] = mapped_column(String(100))
    key_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[Items] = mapped_column(default=lambda: [scope.value for scope in DEFAULT_SCOPES])
    course_ids: Mapped[Items | None]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))


class Course(Base):
    """A course, by its business key."""

    __tablename__ = "courses"
    duplicates: ClassVar = {
        "course_id": Duplicate("COURSE_ALREADY_EXISTS", "This course_id is not available."),
    }
    privacy = Privacy(keep="course_id title description")

    course_id: Mapped[str] = mapped_column(String(100), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(String(5000))

    members: Mapped[list["CourseMember"]] = relationship(
        back_populates="course", cascade="all, delete-orphan", passive_deletes=True, lazy="raise"
    )
    activities: Mapped[list["Activity"]] = relationship(back_populates="course", lazy="raise")


class CourseMember(Base):
    """That a user belongs to a course, and as what."""

    __tablename__ = "course_members"
    __table_args__ = (
        UniqueConstraint("course_id", "user_id"),
        one_of("ck_course_member_role_valid", "role", CourseRole),
        Index("idx_course_members_user", "user_id", "role"),
    )
    privacy = Privacy("user_id", removed="course_id user_id role joined_at")
    audit = Audit("user_id", people="user_id", plain="course_id role", unseen="joined_at")

    course_id: Mapped[str] = mapped_column(String(100), ForeignKey("courses.course_id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(20))
    joined_at: Mapped[datetime] = mapped_column(default=utc_now)

    course: Mapped["Course"] = relationship(back_populates="members", lazy="raise")
    user: Mapped["User"] = relationship(back_populates="memberships", lazy="raise")


class CourseInvitation(Base):
    """A membership that waits for the person to accept it (`CORTEZ_ENROLMENT=invite`)."""

    __tablename__ = "course_invitations"
    __table_args__ = (
        UniqueConstraint("course_id", "user_id"),
        one_of("ck_course_invitation_role_valid", "role", CourseRole),
        Index("idx_course_invitations_user", "user_id", "created_at", "id"),
        Index("idx_course_invitations_invited_by", "invited_by"),
    )
    privacy = Privacy("user_id", removed="course_id user_id role invited_by")
    audit = Audit("user_id", people="user_id invited_by", plain="course_id role")

    course_id: Mapped[str] = mapped_column(String(100), ForeignKey("courses.course_id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(20))
    invited_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))


class FormerStudent(Base):
    """That a student_id belonged to an account that was deleted or erased; a keyed digest, which names nobody.

    `key_id` names the key that made it; None in rows that were made of certificates.
    """

    __tablename__ = "former_students"
    privacy = Privacy(keep="digest key_id")

    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    key_id: Mapped[str | None] = mapped_column(String(12))
