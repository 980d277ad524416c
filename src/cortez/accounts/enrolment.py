"""A class list in one request: JSON or CSV, each line judged for itself, absent accounts made."""

import csv
import hmac
import re
import time
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import func, or_, select
from uuid_utils.compat import uuid7

from cortez.accounts.changes import student_changed
from cortez.accounts.models import Course, CourseInvitation, CourseMember, CourseRole, Role, User
from cortez.accounts.repository import NO_PASSWORD, InvitationRepository, MemberRepository, UserRepository
from cortez.accounts.schemas import AccountInput, Email
from cortez.accounts.student_ids import carried, former
from cortez.core.db.unit_of_work import unit_of
from cortez.core.security.identifiers import folded
from cortez.core.security.principal import SYSTEM
from cortez.core.web.batches import bounded, errors_of, items_of, read
from cortez.core.web.rate_limit_store import Allowance, Meters, RateLimit
from cortez.core.web.requests import StrictRequest
from cortez.core.web.schemas import Name, StudentKey
from cortez.errors import Conflict, CortezError, FieldError, Forbidden, Invalid
from cortez.settings import Settings

COLUMNS = ("email", "name", "student_id", "role")
CSV = {
    "type": "string",
    "description": "A header with the columns (email, and any of name, student_id, role), then at most 1,000 lines.",
    "examples": ["email;name;student_id;role\neva@example.edu;Eva Soto;al-0042;student\n"],
}
DAY = 86_400  # seconds
LOCK = 0x656E726F  # any number, the same for every worker
Outcome = tuple[UUID, Any]  # the account, and what became of the line
NOT_IN_USERNAME = re.compile(r"[^A-Za-z0-9._-]+")


class EnrolIn(AccountInput):
    """One line of a class list. `student_id` is for an account that is made by it; a teacher's only if it is free."""

    email: Email
    name: Name | None = None
    student_id: StudentKey | None = None
    role: CourseRole = CourseRole.STUDENT


class Enrolled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one line. `added`: a new member; `invited`: asked to become one; `changed`: another role.

    Only an admin learns whether the account was made for it (`created`), and which one it is (`user_id`).
    """

    index: int
    status: Literal["created", "added", "invited", "changed", "unchanged", "rejected"]
    user_id: UUID | None = None
    code: str | None = None
    errors: list[FieldError] = []


class EnrolResult(Struct, frozen=True):
    """`created` is 0 for a teacher."""

    created: int
    added: int
    invited: int
    changed: int
    unchanged: int
    rejected: int
    items: list[Enrolled]


async def lines_of(request: StrictRequest) -> list[EnrolIn | CortezError]:
    """A class list as JSON or CSV, each line decoded for itself."""
    if request.content_type[0] == "text/csv":
        return [line_of(row) for row in rows_of(await request.body())]
    return (await items_of(request, EnrolIn)).items


def rows_of(body: bytes) -> list[dict[str | Any, Any]]:
    """CSV with a header, between commas or semicolons.

    Raises Invalid (CSV_INVALID) where the table itself is wrong, or TOO_MANY_ITEMS.
    """
    try:
        text = body.decode("utf-8-sig")
        first = text.partition("\n")[0]
        reader = csv.DictReader(StringIO(text), delimiter=";" if ";" in first else ",", strict=True)
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        if "email" not in names or len(names) != len(set(names)) or set(names) - set(COLUMNS):
            others = ", ".join(COLUMNS[1:])
            raise Invalid("CSV_INVALID", f"The first line names the columns: email, and any of {others}.")
        reader.fieldnames = names
        return list(bounded(reader))
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
    """Lines of one course, decided with a fixed number of queries however many there are.

    A teacher's answer is the same whether or not there was an account, or the student_id was taken.
    """

    def __init__(self, members: MemberRepository, course: Course, settings: Settings) -> None:
        self.repository = members
        self.session = members.session
        self.settings = settings
        self.course = course
        self.is_admin = members.principal.is_admin
        self.invites = settings.enrolment == "invite" and not self.is_admin
        self.users: dict[str, User] = {}
        self.members: dict[UUID, CourseMember] = {}
        self.invited: dict[UUID, CourseInvitation] = {}
        self.usernames: set[str] = set()
        self.student_ids: set[str | None] = set()
        self.not_free: set[str] = set()
        self.joining: list[CourseMember | CourseInvitation] = []
        self.room = 0
        self.made: list[str | None] = []

    async def enrol(self, lines: Sequence[EnrolIn | CortezError]) -> EnrolResult:
        good = [line for line in lines if isinstance(line, EnrolIn)]
        await self._know(good)
        if any(folded(line.email) not in self.users for line in good):
            await self._wait_for_others()
            await self._know(good)
        self.room = await self._room_for(good)
        items = [self._result(index, line) for index, line in enumerate(lines)]
        await self.session.flush()  # the accounts, before what refers to them
        self.session.add_all(self.joining)
        await self.session.flush()
        if over := self.invited.keys() & self.members.keys():
            await self.repository.withdraw(self.course.course_id, over)
        student_changed(self.session, *self.made)
        count = Counter(item.status for item in items)
        return EnrolResult(
            created=count["created"],
            added=count["added"],
            invited=count["invited"],
            changed=count["changed"],
            unchanged=count["unchanged"],
            rejected=count["rejected"],
            items=items,
        )

    async def _know(self, lines: list[EnrolIn]) -> None:
        """The accounts and keys named in the list, and who is a member or invited already."""
        emails = {line.email for line in lines}
        keys = {line.student_id for line in lines if line.student_id}
        named = {username_of(email) for email in emails}
        wanted = or_(
            User.email.in_(emails),
            User.email_key.in_({folded(email) for email in emails}),
            User.student_id.in_(keys),
            User.username.in_(named),
            User.username_key.in_({folded(name) for name in named}),
        )
        for user in await self.session.scalars(UserRepository(self.session, SYSTEM).select().where(wanted)):
            self._note(user)
        self.not_free = await former(self.session, self.settings.digest_keys, keys)
        if not self.is_admin:
            self.not_free |= await carried(self.session, keys)
        ids, course_id = [user.id for user in self.users.values()], self.course.course_id
        self.members = await self.repository.of_users(course_id, ids)
        self.invited = await InvitationRepository(self.session, self.repository.principal).of_users(course_id, ids)

    async def _wait_for_others(self) -> None:
        """Two courses may take in the same new people at once: the later list finds the accounts of the earlier."""
        if not unit_of(self.session).is_embedded:
            await self.session.execute(select(func.pg_advisory_xact_lock(LOCK)))

    async def _room_for(self, lines: list[EnrolIn]) -> int:
        """How many may be added: of a teacher so many a day, whether they have an account or not."""
        if self.is_admin:
            return len(lines)
        new = {folded(line.email) for line in lines if line.role == CourseRole.STUDENT and not self._belongs(line)}
        most = self.settings.enrolments_per_day
        key = hmac.digest(
            self.settings.secret_key.encode(), f"enrolments:{self.repository.principal.id}".encode(), "sha256"
        )
        meters = Meters(self.session, RateLimit)
        return await meters.take_some(key, Allowance(most, DAY / most), time.time(), len(new))

    def _belongs(self, line: EnrolIn) -> CourseMember | CourseInvitation | None:
        """What the line's person is in the course already."""
        user = self.users.get(folded(line.email))
        if user is None:
            return None
        return self.members.get(user.id) or (self.invited.get(user.id) if self.invites else None)

    def _note(self, user: User) -> None:
        email = folded(user.email)
        if user.email_key or email not in self.users:  # of two that look alike, the one that has the key
            self.users[email] = user
        self.usernames.add(folded(user.username))
        self.student_ids.add(user.student_id)

    def _result(self, index: int, line: EnrolIn | CortezError) -> Enrolled:
        outcome = line if isinstance(line, CortezError) else self._enrol(line)
        if isinstance(outcome, CortezError):
            return Enrolled(index=index, status="rejected", code=outcome.code, errors=errors_of(outcome))
        user_id, status = outcome
        if self.is_admin:
            return Enrolled(index=index, status=status, user_id=user_id)
        return Enrolled(index=index, status="added" if status == "created" else status)

    def _enrol(self, line: EnrolIn) -> Outcome | CortezError:
        user, there = self.users.get(folded(line.email)), self._belongs(line)
        if self.is_admin and user and line.student_id not in (None, user.student_id):
            return Conflict("STUDENT_ID_MISMATCH", "The account with this e-mail has another student_id.")
        if user is None or there is None:
            return self._add(user, line)
        if isinstance(there, CourseInvitation):
            there.invited_by = self.repository.principal.id  # it stands as long as who invites leads the course
        if there.role == line.role:
            return user.id, "unchanged"
        there.role = line.role.value
        return user.id, "changed"

    def _add(self, user: User | None, line: EnrolIn) -> Outcome | CortezError:
        if line.role != CourseRole.STUDENT and not self.is_admin:
            return Forbidden(None, "A teacher's list adds students; an admin's also teachers and tutors.")
        if not self.room:
            return Conflict("ENROLMENT_LIMIT", "You have added as many people as one may in a day. Go on tomorrow.")
        made = user or self._make(line)
        if isinstance(made, CortezError):
            return made
        self.room -= 1
        self._join(made, line.role)
        if self.invites:
            return made.id, "invited"
        return made.id, "added" if user else "created"

    def _make(self, line: EnrolIn) -> User | CortezError:
        """An account without a password: an admin gives its owner a reset token.

        An admin's list says whose the e-mail is.
        """
        is_free = line.student_id not in self.student_ids | self.not_free
        if line.student_id and self.is_admin and not is_free:
            return Conflict("STUDENT_ID_IN_USE", "Another account has this student_id, or had it.")
        id_, username = uuid7(), username_of(line.email)
        if folded(username) in self.usernames:
            username = f"{username[:60]}-{id_.hex[-12:]}"
        is_student = line.role == CourseRole.STUDENT
        user = User(
            id=id_,
            email=line.email,
            username=username,
            full_name=line.name,
            hashed_password=NO_PASSWORD,
            roles=[Role(line.role.value).value],
            student_id=(line.student_id if is_free else None) or (str(id_) if is_student else None),
            is_verified=self.is_admin,
        )
        self.session.add(user)
        self._note(user)
        self.made.append(user.student_id)
        return user

    def _join(self, user: User, role: CourseRole) -> None:
        values = {"course_id": self.course.course_id, "user_id": user.id, "role": role.value}
        if self.invites:
            self.invited[user.id] = CourseInvitation(**values, invited_by=self.repository.principal.id)
            self.joining.append(self.invited[user.id])
        else:
            self.members[user.id] = CourseMember(**values)
            self.joining.append(self.members[user.id])


def username_of(email: str) -> str:
    """The part before the @, as far as a username may hold it."""
    return NOT_IN_USERNAME.sub("-", email.partition("@")[0])[:80].ljust(3, "-")
