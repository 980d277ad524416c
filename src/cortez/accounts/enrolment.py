"""A class list in one request: JSON or CSV, each line judged for itself, absent accounts made."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import func, or_, select
from uuid_utils.compat import uuid7

from cortez.accounts.authentication import SYSTEM
from cortez.accounts.models import Course, CourseMember, CourseRole, Role, User
from cortez.accounts.repository import NO_PASSWORD, MemberRepository, UserRepository
from cortez.accounts.schemas import Email
from cortez.batches import bounded, errors_of, read, split
from cortez.database import student_changed
from cortez.errors import Conflict, CortezError, FieldError, Forbidden, Invalid
from cortez.schemas import Input, Name, StudentKey

COLUMNS = {"email", "name", "student_id", "role"}
CSV = {
    "type": "string",
    "description": "A header with the columns (email, and any of name, student_id, role), then at most 1,000 lines.",
    "examples": ["email;name;student_id;role\neva@example.edu;Eva Soto;al-0042;student\n"],
}
LOCK = 0x656E726F  # any number, the same for every worker
NOT_IN_USERNAME = re.compile(r"[^A-Za-z0-9._-]+")


class EnrolIn(Input):
    """One line of a class list. `student_id` is only for an account that is made by it."""

    email: Email
    name: Name | None = None
    student_id: StudentKey | None = None
    role: CourseRole = CourseRole.STUDENT


class Enrolled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one line: `created` made the account too, `added` only the membership, `changed` the role."""

    index: int
    status: Literal["created", "added", "changed", "unchanged", "rejected"]
    user_id: UUID | None = None
    code: str | None = None
    errors: list[FieldError] = []


class EnrolResult(Struct, frozen=True):
    created: int
    added: int
    changed: int
    unchanged: int
    rejected: int
    items: list[Enrolled]


def lines_of(body: bytes, *, is_csv: bool) -> list[EnrolIn | CortezError]:
    if is_csv:
        return [line_of(row) for row in bounded(rows_of(body))]
    return [read(raw, EnrolIn) for raw in split(body)]


def rows_of(body: bytes) -> list[dict[str | Any, Any]]:
    """CSV with a header, between commas or semicolons. Raises Invalid (CSV_INVALID) where the table itself is wrong."""
    try:
        text = body.decode("utf-8-sig")
        first = text.partition("\n")[0]
        reader = csv.DictReader(StringIO(text), delimiter=";" if ";" in first else ",", strict=True)
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        if "email" not in names or len(names) != len(set(names)) or set(names) - COLUMNS:
            raise Invalid("CSV_INVALID", f"The first line names the columns: email, and any of {', '.join(COLUMNS)}.")
        reader.fieldnames = names
        return list(reader)
    except UnicodeDecodeError:
        raise Invalid("CSV_INVALID", "The table is not UTF-8.") from None
    except csv.Error as error:
        raise Invalid("CSV_INVALID", f"The table cannot be read: {error}.") from None


def line_of(row: dict[str | Any, Any]) -> EnrolIn | CortezError:
    """Empty cells count as not given."""
    if None in row or None in row.values():
        return Invalid.at("", "The line has not as many cells as the header.")
    cells = {name: cell.strip() for name, cell in row.items() if cell.strip()}
    return read(msgspec.Raw(msgspec.json.encode(cells)), EnrolIn)


class Enrolment:
    """Lines of one course, decided with a fixed number of queries however many there are."""

    def __init__(self, members: MemberRepository, course: Course) -> None:
        self.repository = members
        self.session = members.session
        self.course = course
        self.may_make_staff = members.principal.is_admin
        self.users: dict[str, User] = {}
        self.members: dict[UUID, CourseMember] = {}
        self.usernames: set[str] = set()
        self.student_ids: set[str | None] = set()
        self.made: list[str | None] = []

    async def enrol(self, lines: Sequence[EnrolIn | CortezError]) -> EnrolResult:
        good = [line for line in lines if isinstance(line, EnrolIn)]
        await self._know(good)
        if any(line.email.lower() not in self.users for line in good):
            await self._wait_for_others()
            await self._know(good)
        items = [self._result(index, line) for index, line in enumerate(lines)]
        await self.session.flush()
        student_changed(self.session, *self.made)
        count = Counter(item.status for item in items)
        return EnrolResult(
            created=count["created"],
            added=count["added"],
            changed=count["changed"],
            unchanged=count["unchanged"],
            rejected=count["rejected"],
            items=items,
        )

    async def _know(self, lines: list[EnrolIn]) -> None:
        """The accounts and keys named in the list, and who is a member already."""
        emails = {line.email.lower() for line in lines}
        keys = {line.student_id for line in lines} - {None}
        named = {username_of(email) for email in emails}
        wanted = or_(User.email.in_(emails), User.student_id.in_(keys), User.username.in_(named))
        for user in await self.session.scalars(UserRepository(self.session, SYSTEM).select().where(wanted)):
            self._note(user)
        ids = [user.id for user in self.users.values()]
        self.members = await self.repository.of_users(self.course.course_id, ids)

    async def _wait_for_others(self) -> None:
        """Two courses may take in the same new people at once: the later list finds the accounts of the earlier."""
        if self.session.get_bind().dialect.name == "postgresql":
            await self.session.execute(select(func.pg_advisory_xact_lock(LOCK)))

    def _note(self, user: User) -> None:
        self.users[user.email] = user
        self.usernames.add(user.username)
        self.student_ids.add(user.student_id)

    def _result(self, index: int, line: EnrolIn | CortezError) -> Enrolled:
        if not isinstance(line, CortezError):
            outcome = self._enrol(line)
            if not isinstance(outcome, CortezError):
                return Enrolled(index=index, status=outcome[1], user_id=outcome[0])
            line = outcome
        return Enrolled(index=index, status="rejected", code=line.code, errors=errors_of(line))

    def _enrol(self, line: EnrolIn) -> tuple[UUID, Any] | CortezError:
        user = self.users.get(line.email.lower())
        if user is None:
            return self._make(line)
        if line.student_id not in (None, user.student_id):
            return Conflict("STUDENT_ID_MISMATCH", "The account with this e-mail has another student_id.")
        member = self.members.get(user.id)
        if member is None:
            self._join(user, line.role)
            return user.id, "added"
        if member.role == line.role:
            return user.id, "unchanged"
        member.role = line.role.value
        return user.id, "changed"

    def _make(self, line: EnrolIn) -> tuple[UUID, Any] | CortezError:
        """An account without a password: an admin gives its owner a reset token."""
        if line.role != CourseRole.STUDENT and not self.may_make_staff:
            return Forbidden(None, "Only an admin makes accounts of teachers and tutors.")
        if line.student_id and line.student_id in self.student_ids:
            return Conflict("STUDENT_ID_IN_USE", "Another account has this student_id.")
        id_, username = uuid7(), username_of(line.email.lower())
        if username in self.usernames:
            username = f"{username[:60]}-{id_.hex[-12:]}"
        is_student = line.role == CourseRole.STUDENT
        user = User(
            id=id_,
            email=line.email.lower(),
            username=username,
            full_name=line.name,
            hashed_password=NO_PASSWORD,
            roles=[Role(line.role.value).value],
            student_id=line.student_id or (str(id_) if is_student else None),
        )
        self.session.add(user)
        self._note(user)
        self._join(user, line.role)
        self.made.append(user.student_id)
        return id_, "created"

    def _join(self, user: User, role: CourseRole) -> None:
        member = CourseMember(course_id=self.course.course_id, user_id=user.id, role=role.value)
        self.session.add(member)
        self.members[user.id] = member


def username_of(email: str) -> str:
    """The part before the @, as far as a username may hold it."""
    return NOT_IN_USERNAME.sub("-", email.partition("@")[0])[:80].ljust(3, "-")
