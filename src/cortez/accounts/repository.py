"""Queries of users, their sign-ins and keys, and of courses and their members."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, false, func, or_, select, text, true, update
from uuid_utils.compat import uuid7

from cortez.accounts.models import ADOPTED_PASSWORD, ApiKey, Course, CourseMember, CourseRole, RefreshToken, Role, User
from cortez.database import student_changed
from cortez.db import holds, utc_now, within
from cortez.errors import DUPLICATES, Conflict, Forbidden, Invalid, NotFound
from cortez.repository import Repository
from cortez.security import REFRESH_TTL, RESET_TTL, Principal, digest, new_secret

NO_PASSWORD = "!"  # noqa: S105 - no hash, so that nothing matches it


def taught_courses(principal: Principal) -> Select[str]:
    """The courses that a person teaches or tutors."""
    roles = (CourseRole.TEACHER, CourseRole.TUTOR)
    return member_courses(principal).where(within(CourseMember.role, roles))


def led_courses(principal: Principal) -> Select[str]:
    """The courses that a person teaches. In one that they only tutor they read, whatever their account may do."""
    return member_courses(principal).where(CourseMember.role == CourseRole.TEACHER)


def member_courses(principal: Principal) -> Select[str]:
    return select(CourseMember.course_id).where(CourseMember.user_id == principal.id)


def taught_students(principal: Principal) -> Select[str | None]:
    """The keys of the students in the courses that a person teaches or tutors."""
    return _students_of(taught_courses(principal))


def led_students(principal: Principal) -> Select[str | None]:
    return _students_of(led_courses(principal))


def _students_of(courses: Select[str]) -> Select[str | None]:
    members = select(User.student_id).join(CourseMember, CourseMember.user_id == User.id)
    there = (CourseMember.course_id.in_(courses), CourseMember.role == CourseRole.STUDENT)
    return members.where(*there, User.student_id.is_not(None))


class UserRepository(Repository[User]):
    model = User
    noun = "user"

    def visible(self) -> ColumnElement[bool]:
        if self.principal.is_admin:
            return true()
        return false() if self.principal.is_key else User.id == self.principal.id

    def filtered(self, role: Role | None, q: str | None, course_id: str | None, is_active: bool | None) -> Select[Any]:
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
        """By e-mail in any case where there is an @, else by username."""
        return await self.one(User.email == login.lower() if "@" in login else User.username == login)

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
        columns = (User.email, User.username, User.student_id)
        same = or_(*(column == getattr(user, column.key) for column in columns))
        taken = (await self.session.execute(select(*columns).where(same))).all()
        for column in columns:
            if any(getattr(row, column.key) == getattr(user, column.key) is not None for row in taken):
                raise Conflict(*DUPLICATES["users", column.key])

    async def update(self, user: User, changes: dict[str, Any]) -> User:
        """Raises Conflict where the student_id would change under rows that carry it."""
        changed = changes.get("student_id", user.student_id) != user.student_id
        if changed and await self.session.scalar(select(User.sessions.any()).where(User.id == user.id)):
            raise Conflict("STUDENT_ID_IN_USE", "Sessions carry this student_id; it can no longer change.")
        before = user.student_id
        await self.change(user, changes)
        student_changed(self.session, before, user.student_id)
        return user

    async def delete(self, user: User) -> None:
        await super().delete(user)
        student_changed(self.session, user.student_id)

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
        """A one-time token to set a new password, good for a day."""
        token, expires_at = new_secret("cp_"), utc_now() + RESET_TTL
        await self.change(user, {"reset_hash": digest(token), "reset_expires_at": expires_at})
        return token, expires_at

    async def by_reset_token(self, token: str) -> User | None:
        return await self.one((User.reset_hash == digest(token)) & (User.reset_expires_at > utc_now()), lock=True)


class RefreshTokenRepository(Repository[RefreshToken]):
    model = RefreshToken
    noun = "refresh token"

    def visible(self) -> ColumnElement[bool]:
        return true() if self.principal.is_admin else RefreshToken.user_id == self.principal.id

    async def issue(self, user_id: UUID, family_id: UUID, lifetime: timedelta = REFRESH_TTL) -> str:
        """A new token of the family, returned once; only its hash is stored."""
        secret = new_secret("cr_")
        expires_at = utc_now() + lifetime
        await self.add(
            RefreshToken(user_id=user_id, family_id=family_id, token_hash=digest(secret), expires_at=expires_at)
        )
        return secret

    async def by_secret(self, secret: str) -> RefreshToken | None:
        return await self.one(RefreshToken.token_hash == digest(secret), lock=True)

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

    async def put(self, course_id: str, user_id: UUID, role: str) -> CourseMember:
        """Make the user a member, or change what they are."""
        member = await self.of(course_id, user_id)
        if member:
            return await self.change(member, {"role": role})
        if not await self.session.scalar(select(func.count()).where(User.id == user_id)):
            raise NotFound("user", user_id)
        return await self.add(CourseMember(course_id=course_id, user_id=user_id, role=role))
