"""Learning platforms that launch us by LTI 1.3, and their launches."""

from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cortez.core.db.base import Base, Duplicate
from cortez.core.db.classification import Audit, Privacy
from cortez.core.db.types import Items

if TYPE_CHECKING:
    from cortez.sessions.models import LearningSession


class LtiDeployment(Base):
    """A registered platform, such as an institution's Moodle.

    It launches into `course_ids`; null means into any course.
    """

    __tablename__ = "lti_deployments"
    duplicates: ClassVar = {
        "issuer": Duplicate("DEPLOYMENT_ALREADY_EXISTS", "This deployment of the issuer exists already."),
    }
    __table_args__ = (UniqueConstraint("issuer", "deployment_id", name="idx_lti_deployment_unique"),)
    privacy = Privacy(
        keep="""platform_name issuer client_id deployment_id auth_login_url auth_token_url public_keyset_url
        access_token_url is_active course_ids"""
    )
    audit = Audit(
        plain=(
            "platform_name issuer client_id deployment_id auth_login_url auth_token_url public_keyset_url "
            "access_token_url is_active course_ids"
        ),
    )

    platform_name: Mapped[str] = mapped_column(String(100))
    issuer: Mapped[str] = mapped_column(String(255))
    client_id: Mapped[str] = mapped_column(String(255))
    deployment_id: Mapped[str] = mapped_column(String(255))
    auth_login_url: Mapped[str] = mapped_column(Text)
    auth_token_url: Mapped[str] = mapped_column(Text)
    public_keyset_url: Mapped[str] = mapped_column(Text)
    access_token_url: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())
    course_ids: Mapped[Items | None]

    lti_sessions: Mapped[list["LtiSession"]] = relationship(
        back_populates="deployment", cascade="all, delete-orphan", passive_deletes=True, lazy="raise"
    )


class LtiSession(Base):
    """One launch, tied to a session once there is one."""

    __tablename__ = "lti_sessions"
    __table_args__ = (
        Index("idx_lti_session_created", "created_at", "id"),
        Index("idx_lti_session_deployment", "deployment_id"),
        Index("idx_lti_session_native", "session_id"),
    )
    sensitive: ClassVar[frozenset[str]] = frozenset({"launch_token"})
    privacy = Privacy(
        "session_id",
        keep="""deployment_id lti_context_id lti_context_label lti_context_title resource_link_id resource_link_title
        session_id locale""",
        pseudonymise="lti_user_id",
        empty="lti_user_name lti_user_email launch_token",
        user="deployment_id lti_user_id",
        mail="lti_user_email",
    )

    deployment_id: Mapped[UUID] = mapped_column(ForeignKey("lti_deployments.id", ondelete="CASCADE"))
    lti_user_id: Mapped[str] = mapped_column(String(255))
    lti_user_name: Mapped[str | None] = mapped_column(String(255))
    lti_user_email: Mapped[str | None] = mapped_column(String(255))
    lti_context_id: Mapped[str | None] = mapped_column(String(255))
    lti_context_label: Mapped[str | None] = mapped_column(String(100))
    lti_context_title: Mapped[str | None] = mapped_column(String(255))
    resource_link_id: Mapped[str] = mapped_column(String(255))
    resource_link_title: Mapped[str | None] = mapped_column(String(255))
    session_id: Mapped[UUID | None] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    launch_token: Mapped[str | None] = mapped_column(Text)
    locale: Mapped[str | None] = mapped_column(String(10))

    deployment: Mapped["LtiDeployment"] = relationship(back_populates="lti_sessions", lazy="raise")
    session: Mapped["LearningSession | None"] = relationship(back_populates="lti_sessions", lazy="raise")
