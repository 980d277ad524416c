"""Accounts, keys, courses and members, in and out."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from cortez.accounts.models import (
    DEFAULT_SCOPES,
    ApiKey,
    Course,
    CourseInvitation,
    CourseMember,
    CourseRole,
    Role,
    Scope,
    User,
)
from cortez.schemas import BusinessKey, Input, Instant, Name, Prose, Resource, Short, StudentKey, Title

Email = Annotated[str, Meta(max_length=255, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+\Z")]
Username = Annotated[str, Meta(min_length=3, max_length=50, pattern=r"^[A-Za-z0-9._-]+\Z")]
Password = Annotated[str, Meta(min_length=8, max_length=128)]
Secret = Annotated[str, Meta(min_length=1, max_length=200)]
Roles = Annotated[list[Role], Meta(min_length=1, max_length=4)]


class RegisterIn(Input):
    email: Email
    username: Username
    password: Password
    full_name: Name | None = None


class LoginIn(Input):
    """`login` is an e-mail address or a username."""

    login: Name
    password: Annotated[str, Meta(min_length=1, max_length=128)]


class RefreshIn(Input):
    refresh_token: Secret


class LogoutIn(Input):
    all: bool = False


class PasswordIn(Input):
    current_password: Annotated[str, Meta(min_length=1, max_length=128)]
    new_password: Password


class ResetIn(Input):
    token: Secret
    password: Password


class TokensOut(Struct, frozen=True):
    """`expires_in` is the life of the access token, in seconds."""

    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = 900


class SignedOut(Struct, frozen=True):
    """How many sign-ins have ended."""

    signed_out: int


class UserIn(Input):
    """Without a password the account cannot be used until one is set with a reset token.

    `reuse_student_id`: give a student_id although an account had it that was deleted or erased. `is_verified`: the
    e-mail is known to be the person's.
    """

    email: Email
    username: Username
    password: Password | None = None
    full_name: Name | None = None
    roles: Roles = field(default_factory=lambda: [Role.STUDENT])
    student_id: StudentKey | None = None
    reuse_student_id: bool = False
    is_verified: bool = False


class UserPatch(Input):
    """`reuse_student_id`: give a student_id although an account had it that was deleted or erased."""

    email: Email | UnsetType = UNSET
    username: Username | UnsetType = UNSET
    full_name: Name | None | UnsetType = UNSET
    student_id: StudentKey | UnsetType = UNSET
    reuse_student_id: bool = False
    course_name: Name | None | UnsetType = UNSET
    commission: Short | None | UnsetType = UNSET
    is_verified: bool | UnsetType = UNSET


class RolesIn(Input):
    roles: Roles


class ResetOut(Struct, frozen=True):
    """A one-time token, shown once."""

    token: str
    expires_at: datetime


class UserOut(Resource):
    email: str
    username: str
    full_name: str | None
    student_id: str | None
    roles: list[Role]
    is_active: bool
    is_verified: bool
    last_login: datetime | None
    login_count: int
    course_name: str | None
    commission: str | None

    @classmethod
    def of(cls, user: User, /, **more: Any) -> Self:
        return cls(**{name: getattr(user, name) for name in UserOut.__struct_fields__}, **more)


class ApiKeyIn(Input):
    """`course_ids` limits the key to these courses; without it, it serves all."""

    name: Short
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=8)] = field(
        default_factory=lambda: list(DEFAULT_SCOPES)
    )
    course_ids: Annotated[list[BusinessKey], Meta(min_length=1, max_length=100)] | None = None
    expires_at: Instant | None = None


class ApiKeyPatch(Input):
    """`created_by`: the admin who answers for it from now on."""

    name: Short | UnsetType = UNSET
    created_by: UUID | UnsetType = UNSET


class ApiKeyOut(Resource):
    """It works as long as `created_by` is an active admin; null: made before that was recorded."""

    name: str
    scopes: list[Scope]
    course_ids: list[str] | None
    expires_at: datetime | None
    last_used_at: datetime | None
    created_by: UUID | None

    @classmethod
    def of(cls, key: ApiKey, /, **more: Any) -> Self:
        return cls(**{name: getattr(key, name) for name in ApiKeyOut.__struct_fields__}, **more)


class NewApiKeyOut(ApiKeyOut):
    """With the key itself: this once."""

    key: str


class CourseIn(Input):
    course_id: BusinessKey
    title: Title
    description: Prose | None = None


class CoursePatch(Input):
    title: Title | UnsetType = UNSET
    description: Prose | None | UnsetType = UNSET


class CourseOut(Resource):
    course_id: str
    title: str
    description: str | None

    @classmethod
    def of(cls, course: Course) -> Self:
        return cls(**{name: getattr(course, name) for name in CourseOut.__struct_fields__})


class MemberIn(Input):
    role: CourseRole


class MemberOut(Resource):
    """A member, or, where `joined_at` is null, a person who is invited."""

    course_id: str
    user_id: UUID
    student_id: str | None
    role: CourseRole
    joined_at: datetime | None

    @classmethod
    def of(cls, member: CourseMember | CourseInvitation, student_id: str | None) -> Self:
        own: dict[str, Any] = {name: getattr(member, name, None) for name in MemberOut.__struct_fields__}
        return cls(**own | {"student_id": student_id})


class InvitationOut(Resource):
    """A course that waits for one's answer."""

    course_id: str
    course_title: str
    role: CourseRole

    @classmethod
    def of(cls, row: Any) -> Self:
        return cls(**{name: getattr(row, name) for name in InvitationOut.__struct_fields__})
