"""Queries of users, their sign-ins and keys, and of courses and their members."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, exists, false, or_, select, text, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from cortez.accounts.access import led_courses, member_courses, taught_courses
from cortez.accounts.changes import student_changed
from cortez.accounts.models import (
    ADOPTED_PASSWORD,
    ApiKey,
    Course,
    CourseInvitation,
    CourseMember,
    CourseRole,
    RefreshToken,
    Role,
    User,
)
from cortez.accounts.student_ids import LOOKS, carried
from cortez.clock import utc_now
from cortez.core.db.expressions import holds, within
from cortez.core.db.repository import Repository
from cortez.core.db.types import AnySelect
from cortez.core.security.identifiers import folded
from cortez.core.security.tokens import REFRESH_TTL, RESET_TTL, SAME_REFRESH, SIGN_IN_TTL, digest, new_secret
from cortez.errors import Conflict, Forbidden, Invalid, NotFound

NO_TOKEN: dict[str, Any] = {"reset_hash": None, "reset_expires_at": None}  # ends an offer to set a password
NO_PASSWORD = "!"  # noqa: S105 - no hash, so that nothing matches it


async def hold_account(session: AsyncSession, student_id: str, *columns: ColumnElement[Any]) -> Any:
    """The account with this student_id, or None. It keeps its student_id until the unit of work ends.

    What stores a row under a student_id holds the account first. Else the account could get another one in between, and
    the row would belong to no account, or to the one that gets this student_id next.
    """
    held = select(User.id, *columns).where(User.student_id == student_id).with_for_update(read=True, of=User)
    return (await session.execute(held)).one_or_none()


class UserRepository(Repository[User]):
    model = User
    noun = "user"

    def visible(self) -> ColumnElement[bool]:
        if self.principal.is_admin:
            return true()
        return false() if self.principal.is_key else User.id == self.principal.id

    def filtered(self, role: Role | None, q: str | None, course_id: str | None, is_active: bool | None) -> AnySelect:
        statement = self.select()
        if role is not None:
            statement = statement.where(holds(User.roles, role.value))
        if q:
            columns = (User.email, User.username, User.full_name)
            statement = statement.where(or_(*(column.icontains(q, autoescape=True) for column in columns)))
        if course_id is not None:
            members = select(CourseMember.user_id).where(CourseMember.course_id == course_id)
            statement = statement.where(User.id.in_(members))
        return statement if is_active is None else statement.where(User.is_active.is_(is_active))

    async def by_login(self, login: str) -> User | None:
        """By e-mail where there is an @, else by username; in any case, unless an account has this very spelling."""
        name, spelled = ("email", login.lower()) if "@" in login else ("username", login)
        spelling, key = getattr(User, name), getattr(User, f"{name}_key")
        either = self.select().where(or_(spelling == spelled, key == folded(login)))
        found = (await self.session.scalars(either.order_by((spelling == spelled).desc()).limit(1))).one_or_none()
        return found if found and folded(getattr(found, name)) == folded(login) else None

    async def some_adopted(self) -> bool:
        """Whether accounts are left whose password has not been hashed anew since adoption."""
        return bool(await self.session.scalar(select(exists().where(text(ADOPTED_PASSWORD)).select_from(User))))

    async def create(self, **values: Any) -> User:
        """A new account; a student without a key of their own gets the account's id as student_id."""
        user = User(id=uuid7(), **values)
        if Role.STUDENT in user.roles and user.student_id is None:
            user.student_id = str(user.id)
        await self.refuse_taken(user)
        await self.add(user)
        student_changed(self.session, user.student_id)
        return user

    async def refuse_taken(self, user: User) -> None:
        """Raises Conflict for the first name that another account has: each database would name another one of them."""
        named = (User.email, User.email_key, User.username, User.username_key, User.student_id)
        columns = [column for column in named if getattr(user, column.key) is not None]
        same = or_(*(column == getattr(user, column.key) for column in columns))
        taken = (await self.session.execute(select(*columns).where(same))).all()
        for column in columns:
            if any(getattr(row, column.key) == getattr(user, column.key) for row in taken):
                known = User.duplicates[column.key]
                raise Conflict(known.code, known.detail)

    async def update(self, user: User, changes: dict[str, Any]) -> User:
        """Raises Conflict where the student_id would change under rows that carry it."""
        before = user.student_id
        if changes.get("student_id", before) != before and await self._has_records(user):
            raise Conflict("STUDENT_ID_IN_USE", "Rows carry this student_id already; it can no longer change.")
        await self.change(user, changes)
        if before is not None and user.student_id is not None and before != user.student_id:
            await self._rename_looks(before, user.student_id)
        student_changed(self.session, before, user.student_id, by=() if before == user.student_id else None)
        return user

    async def _rename_looks(self, before: str, student_id: str) -> None:
        """Who looked at the student stays told to the student, and to nobody who gets the former student_id."""
        looks = User.metadata.tables[LOOKS]
        renamed = update(looks).where(looks.c.student_id == before).values(student_id=student_id)
        await self.session.execute(renamed)

    async def delete(self, user: User) -> None:
        """Raises Conflict (ACCOUNT_HAS_RECORDS) where rows would be left that carry the student_id."""
        if await self._has_records(user):
            said = "Sessions or other rows are kept about this account. Deactivate it, or erase the student."
            raise Conflict("ACCOUNT_HAS_RECORDS", said)
        await super().delete(user)
        student_changed(self.session, user.student_id)

    async def _has_records(self, user: User) -> bool:
        """Whether sessions are the account's, or any rows carry its student_id."""
        if await self.session.scalar(select(User.sessions.any()).where(User.id == user.id)):
            return True
        return bool(user.student_id and await carried(self.session, [user.student_id], looks=False))

    async def count_sign_in(self, user: User, new_hash: str | None = None) -> bool:
        """Record a login, with the password hashed anew where that is given.

        False where the account has changed since its password was read.
        """
        unchanged = (User.id == user.id, User.hashed_password == user.hashed_password, User.is_active.is_(True))
        values = {"login_count": User.login_count + 1, "last_login": utc_now(), "updated_at": User.updated_at}
        anew = {"hashed_password": new_hash} if new_hash else {}
        statement = update(User).where(*unchanged).values(values | anew)
        return (await self.session.execute(statement.returning(User.id))).one_or_none() is not None

    async def offer_reset(self, user: User) -> tuple[str, datetime]:
        """A one-time token to set a new password, good for a day; it ends an older one.

        Raises Conflict (ACCOUNT_INACTIVE).
        """
        if not user.is_active:
            raise Conflict("ACCOUNT_INACTIVE", "The account is not active. Reactivate it first.")
        token, expires_at = new_secret("cp_"), utc_now() + RESET_TTL
        await self.change(user, {"reset_hash": digest(token), "reset_expires_at": expires_at})
        return token, expires_at

    async def by_reset_token(self, token: str, *, lock: bool = False) -> User | None:
        """Of an active account."""
        lives = (User.reset_expires_at > utc_now()) & User.is_active.is_(True)
        return await self.one((User.reset_hash == digest(token)) & lives, lock=lock)


class RefreshTokenRepository(Repository[RefreshToken]):
    model = RefreshToken
    noun = "refresh token"

    def visible(self) -> ColumnElement[bool]:
        return true() if self.principal.is_admin else RefreshToken.user_id == self.principal.id

    async def issue(self, user_id: UUID, family_id: UUID) -> str:
        """The first token of a family, returned once; only its hash is stored."""
        secret, now = new_secret("cr_"), utc_now()
        await self._store(secret, user_id=user_id, family_id=family_id, signed_in_at=now)
        return secret

    async def follow(self, token: RefreshToken, heir: str, used_by: bytes) -> None:
        """The token is used, and its heir is stored; a sign-in ends for good after `SIGN_IN_TTL`."""
        await self.change(token, {"used_at": utc_now(), "used_by": used_by})
        signed_in_at = token.signed_in_at or token.created_at
        await self._store(heir, user_id=token.user_id, family_id=token.family_id, signed_in_at=signed_in_at)

    async def _store(self, secret: str, *, user_id: UUID, family_id: UUID, signed_in_at: datetime) -> None:
        lives = {"expires_at": min(utc_now() + REFRESH_TTL, signed_in_at + SIGN_IN_TTL), "signed_in_at": signed_in_at}
        await self.add(RefreshToken(user_id=user_id, family_id=family_id, token_hash=digest(secret), **lives))

    async def by_secret(self, secret: str, *, lock: bool = False) -> RefreshToken | None:
        return await self.one(RefreshToken.token_hash == digest(secret), lock=lock)

    async def heir(self, token: RefreshToken, heirs: Collection[str], clients: Collection[bytes]) -> str | None:
        """What the use of the token gave, for who used it, and for a moment: two tabs refresh at once.

        `heirs`, `clients`: what it gave, and who asks, under each key of the service.
        """
        if token.used_at is None or utc_now() > token.used_at + SAME_REFRESH or token.used_by not in clients:
            return None
        known = (RefreshToken.family_id == token.family_id, RefreshToken.revoked_at.is_(None))
        stored = set(await self.session.scalars(select(RefreshToken.token_hash).where(*known)))
        return next((one for one in heirs if digest(one) in stored), None)

    async def revoke(self, condition: ColumnElement[bool]) -> int:
        """End the sign-ins that the condition names; how many there were."""
        living = (self.visible(), condition, RefreshToken.revoked_at.is_(None))
        ended = await self.session.scalars(
            update(RefreshToken).where(*living).values(revoked_at=utc_now()).returning(RefreshToken.family_id)
        )
        return len(set(ended))


class ApiKeyRepository(Repository[ApiKey]):
    model = ApiKey
    noun = "API key"

    def visible(self) -> ColumnElement[bool]:
        return true() if self.principal.is_admin else false()

    async def require_maker(self, user_id: UUID) -> None:
        """Raises Invalid where this is no active admin, who alone can answer for a key."""
        admin = select(User.id).where(User.id == user_id, User.is_active.is_(True), holds(User.roles, Role.ADMIN.value))
        if await self.session.scalar(admin) is None:
            raise Invalid.at("/created_by", "An active admin answers for a key.", "MAKER_NOT_ALLOWED")


class CourseRepository(Repository[Course]):
    model = Course
    noun = "course"

    def visible(self) -> ColumnElement[bool]:
        if self.principal.is_admin:
            return true()
        if self.principal.is_key:
            limited = self.principal.course_ids
            return true() if limited is None else within(Course.course_id, limited)
        return Course.course_id.in_(member_courses(self.principal))

    async def by_key(self, course_id: str, *, lock: bool = False) -> Course:
        return self.present(await self.one(Course.course_id == course_id, lock=lock), course_id)

    async def taught(self, course_id: str) -> Course:
        """To read. Raises NotFound where the principal neither teaches nor tutors it; an admin teaches every one."""
        course = await self.by_key(course_id)
        if not await self._is_one_of(taught_courses(self.principal), course_id):
            raise NotFound(self.noun, course_id)
        return course

    async def led(self, course_id: str, *, lock: bool = False) -> Course:
        """To write. Raises Forbidden for its members who do not teach it."""
        course = await self.by_key(course_id, lock=lock)
        await self.require_led(course_id)
        return course

    async def require_led(self, course_id: str) -> None:
        if not await self._is_one_of(led_courses(self.principal), course_id):
            raise Forbidden(None, "Only a teacher of the course may do this.")

    async def _is_one_of(self, courses: Select[str], course_id: str) -> bool:
        if self.principal.is_admin:
            return True
        return await self.session.scalar(courses.where(CourseMember.course_id == course_id)) is not None

    async def require_all(self, course_ids: list[str]) -> None:
        """Raises Invalid where one of them does not exist."""
        found = set(await self.session.scalars(self.select(Course.course_id).where(Course.course_id.in_(course_ids))))
        if missing := sorted(set(course_ids) - found):
            raise Invalid.at("/course_ids", f"There is no course {missing[0]}.")


class MemberRepository(Repository[CourseMember]):
    """Members of the courses that the principal teaches."""

    model = CourseMember
    noun = "member"

    def visible(self) -> ColumnElement[bool]:
        return true() if self.principal.is_admin else CourseMember.course_id.in_(taught_courses(self.principal))

    async def of(self, course_id: str, user_id: UUID) -> CourseMember | None:
        return await self.one((CourseMember.course_id == course_id) & (CourseMember.user_id == user_id), lock=True)

    async def of_users(self, course_id: str, user_ids: Collection[UUID]) -> dict[UUID, CourseMember]:
        """Those of the users who are members, by their id."""
        there = (CourseMember.course_id == course_id, CourseMember.user_id.in_(user_ids))
        return {member.user_id: member for member in await self.session.scalars(self.select().where(*there))}

    def listing(self) -> AnySelect:
        """What `MemberOut` says, in its order."""
        member = CourseMember
        student_id = select(User.student_id).where(User.id == member.user_id).scalar_subquery()
        times = (member.id, member.created_at, member.updated_at)
        return self.select(*times, member.course_id, member.user_id, student_id, member.role, member.joined_at)

    async def student_id_of(self, user_id: UUID) -> str | None:
        """Of any account. Raises NotFound where there is none."""
        found = (await self.session.scalars(select(User.student_id).where(User.id == user_id))).all()
        if not found:
            raise NotFound("user", user_id)
        return found[0]

    async def put(self, course_id: str, user_id: UUID, role: str) -> CourseMember:
        """Make the user a member, or change what they are. An invitation is then over."""
        member = await self.of(course_id, user_id)
        if member:
            return await self.change(member, {"role": role})
        await self.withdraw(course_id, [user_id])
        return await self.add(CourseMember(course_id=course_id, user_id=user_id, role=role))

    async def withdraw(self, course_id: str, user_ids: Collection[UUID]) -> None:
        """Take back the invitations of these users."""
        there = (CourseInvitation.course_id == course_id, CourseInvitation.user_id.in_(user_ids))
        await self.session.execute(delete(CourseInvitation).where(*there))


class InvitationRepository(Repository[CourseInvitation]):
    """Invitations of oneself, and those to the courses that one teaches."""

    model = CourseInvitation
    noun = "invitation"

    def visible(self) -> ColumnElement[bool]:
        if self.principal.is_admin:
            return true()
        return or_(self._own(), CourseInvitation.course_id.in_(led_courses(self.principal)))

    def _own(self) -> ColumnElement[bool]:
        """Those that still stand: who invited is an admin, or teaches the course, to this day."""
        inviter = select(User.id).where(User.id == CourseInvitation.invited_by, User.is_active.is_(True))
        leads = inviter.join(CourseMember, CourseMember.user_id == User.id).where(
            holds(User.roles, Role.TEACHER.value),
            CourseMember.course_id == CourseInvitation.course_id,
            CourseMember.role == CourseRole.TEACHER,
        )
        stands = or_(inviter.where(holds(User.roles, Role.ADMIN.value)).exists(), leads.exists())
        return and_(CourseInvitation.user_id == self.principal.id, stands)

    def shown(self) -> AnySelect:
        """One's own, with the title of the course: what `InvitationOut` says."""
        invited = CourseInvitation
        columns = (invited.id, invited.created_at, invited.updated_at, invited.course_id, invited.role)
        courses = self.select(*columns, Course.title.label("course_title")).join(
            Course, Course.course_id == invited.course_id
        )
        return courses.where(self._own())

    async def own(self, id_: UUID) -> CourseInvitation:
        """Locked. Raises NotFound where it is not one's own."""
        return self.present(await self.one((CourseInvitation.id == id_) & self._own(), lock=True), id_)

    async def of(self, course_id: str, user_id: UUID) -> CourseInvitation | None:
        there = (CourseInvitation.course_id == course_id) & (CourseInvitation.user_id == user_id)
        return await self.one(there, lock=True)

    async def of_users(self, course_id: str, user_ids: Collection[UUID]) -> dict[UUID, CourseInvitation]:
        """Those of the users who are invited, by their id."""
        there = (CourseInvitation.course_id == course_id, CourseInvitation.user_id.in_(user_ids))
        return {invited.user_id: invited for invited in await self.session.scalars(self.select().where(*there))}

    async def put(self, course_id: str, user_id: UUID, role: str) -> CourseInvitation:
        """Invite the user, or change what they are invited as."""
        invited = await self.of(course_id, user_id)
        if invited:
            return await self.change(invited, {"role": role, "invited_by": self.principal.id})
        values = {"course_id": course_id, "user_id": user_id, "role": role, "invited_by": self.principal.id}
        return await self.add(CourseInvitation(**values))

    async def accept(self, invited: CourseInvitation) -> CourseMember:
        """The membership, in place of the invitation. One that is there already stays as it is."""
        members = MemberRepository(self.session, self.principal)
        await self.delete(invited)
        there = (CourseMember.course_id == invited.course_id, CourseMember.user_id == invited.user_id)
        member = await self.session.scalar(select(CourseMember).where(*there))
        values = {"course_id": invited.course_id, "user_id": invited.user_id, "role": invited.role}
        return member or await members.add(CourseMember(**values))

    async def decline(self, invited: CourseInvitation) -> Any:
        """What the invitation said; it is gone."""
        said = (await self.session.execute(self.shown().where(CourseInvitation.id == invited.id))).one()
        await self.delete(invited)
        return said
