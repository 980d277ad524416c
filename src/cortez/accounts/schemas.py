"""Accounts, keys, courses and members, in and out."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
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
from cortez.core.security.guessable_passwords import MAX_PASSWORD, MIN_PASSWORD
from cortez.core.security.identifiers import MAX_KEY, cleaned, first_invisible, folded, mail_of, nfc
from cortez.core.web.schemas import BusinessKey, Input, Instant, Name, Prose, Resource, Short, StudentKey, Title

MAX_EMAIL, MIN_USERNAME, MAX_USERNAME = MAX_KEY, 3, 50
MAX_SENT = 4 * MAX_EMAIL  # characters of any of them: NFC makes one letter of up to four
MAIL_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
USERNAME = re.compile(r"[A-Za-z0-9._-]+")
LENIENT = "Spaces around it are taken off; it is compared in Unicode NFC and without regard to case."

# What is published of these is checked in the form in which they are stored.
Email = Annotated[
    str,
    Meta(
        description=LENIENT,
        extra_json_schema={"maxLength": MAX_EMAIL, "pattern": rf"^\s*{MAIL_ADDRESS.pattern}\s*\Z"},
    ),
]
Username = Annotated[
    str,
    Meta(
        description=LENIENT,
        extra_json_schema={
            "minLength": MIN_USERNAME,
            "maxLength": MAX_USERNAME,
            "pattern": rf"^\s*{USERNAME.pattern}\s*\Z",
        },
    ),
]
Password = Annotated[
    str,
    Meta(
        description="Counted in Unicode NFC. A common password, the username or the e-mail address is refused.",
        extra_json_schema={"minLength": MIN_PASSWORD, "maxLength": MAX_PASSWORD},
    ),
]
KnownPassword = Annotated[str, Meta(min_length=1, max_length=4 * MAX_PASSWORD)]
Secret = Annotated[str, Meta(min_length=1, max_length=200)]
Roles = Annotated[list[Role], Meta(min_length=1, max_length=4)]


def mail_address(text: str) -> str:
    """Raises ValueError for what is no e-mail address, or a longer one than can be stored."""
    refuse_invisible("email", text)
    if not MAIL_ADDRESS.fullmatch(stored := mail_of(text)):
        raise ValueError("`email` must be an address such as eva@example.edu")
    refuse_length("email", stored, 1, MAX_EMAIL)
    refuse_length("email", folded(text), 1, MAX_EMAIL)
    return stored


def username(text: str) -> str:
    """Raises ValueError for what is no username."""
    refuse_invisible("username", text)
    if not USERNAME.fullmatch(stored := cleaned(text)):
        raise ValueError("`username` may have letters from A to Z, digits, full stops, hyphens and underscores")
    refuse_length("username", stored, MIN_USERNAME, MAX_USERNAME)
    return stored


def refuse_invisible(name: str, text: str) -> None:
    if found := first_invisible(cleaned(text)):
        raise ValueError(f"`{name}` holds the invisible character {found}; type it again")


def refuse_length(name: str, text: str, least: int, most: int) -> None:
    if not least <= len(text) <= most:
        raise ValueError(f"`{name}` must have {least} to {most} characters, and has {len(text)}")


def new_password(name: str, text: str) -> str:
    refuse_length(name, chosen := nfc(text), MIN_PASSWORD, MAX_PASSWORD)
    return chosen


STORED: dict[str, Callable[[str], str]] = {
    "email": mail_address,
    "username": username,
    "password": partial(new_password, "password"),
    "new_password": partial(new_password, "new_password"),
}


class AccountInput(Input):
    """A body whose names and new passwords are checked, and handed on, in the form in which they are stored."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.__struct_fields__:
            if name in STORED and isinstance(value := getattr(self, name), str):
                refuse_length(name, value, 1, MAX_SENT)
                setattr(self, name, STORED[name](value))


class RegisterIn(AccountInput):
    email: Email
    username: Username
    password: Password
    full_name: Name | None = None


class LoginIn(Input):
    """`login` is an e-mail address or a username."""

    login: Name
    password: KnownPassword


class RefreshIn(Input):
    refresh_token: Secret


class LogoutIn(Input):
    all: bool = False


class PasswordIn(AccountInput):
    current_password: KnownPassword
    new_password: Password


class ResetIn(AccountInput):
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


class UserIn(AccountInput):
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


class UserPatch(AccountInput):
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
