"""`/users` and `/api-keys`: an admin's."""

from uuid import UUID

from litestar import Router, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK

from cortez.accounts.models import ApiKey, RefreshToken, Role, User
from cortez.accounts.repository import (
    NO_PASSWORD,
    NO_TOKEN,
    ApiKeyRepository,
    CourseRepository,
    RefreshTokenRepository,
    UserRepository,
)
from cortez.accounts.schemas import (
    ApiKeyIn,
    ApiKeyOut,
    ApiKeyPatch,
    NewApiKeyOut,
    ResetOut,
    RolesIn,
    UserIn,
    UserOut,
    UserPatch,
)
from cortez.accounts.student_ids import note_former, refuse_former
from cortez.core.db.pagination import Listing, Page
from cortez.core.security.passwords import Passwords
from cortez.core.security.principal import Principal
from cortez.core.security.tokens import KEY_PREFIX, digest, new_secret
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import admins
from cortez.core.web.parameters import QueryKey, QueryText
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.core.web.route_options import route
from cortez.errors import Conflict
from cortez.settings import Settings

provide_users = provided(UserRepository)
provide_keys = provided(ApiKeyRepository)
Users = NamedDependency[UserRepository]
Keys = NamedDependency[ApiKeyRepository]


@get("/", guards=[admins])
async def list_users(
    users: Users,
    page: NamedDependency[Page],
    role: FromQuery[Role | None] = None,
    q: QueryText = None,
    course_id: QueryKey = None,
    is_active: FromQuery[bool | None] = None,
) -> Listing[UserOut]:
    """`q` finds part of an e-mail, a username or a name."""
    return await users.page(users.filtered(role, q, course_id, is_active), page, UserOut.of)


@post("/", guards=[admins])
async def create_user(
    data: JSONBody[UserIn],
    users: Users,
    passwords: NamedDependency[Passwords],
    settings: NamedDependency[Settings],
) -> Answer[UserOut]:
    """A student_id that an account had which was deleted or erased is given again only by `reuse_student_id`."""
    hashed = await passwords.choose(data.password, data.username, data.email) if data.password else NO_PASSWORD
    if not data.reuse_student_id:
        await refuse_former(users.session, settings.digest_keys, data.student_id)
    user = await users.create(
        email=data.email,
        username=data.username,
        full_name=data.full_name,
        hashed_password=hashed,
        roles=distinct(data.roles),
        student_id=data.student_id,
        is_verified=data.is_verified,
    )
    return created(UserOut.of(user), f"/users/{user.id}")


def distinct(roles: list[Role]) -> list[str]:
    return [role.value for role in dict.fromkeys(roles)]


async def locked(users: UserRepository, user_id: UUID, match: Match) -> User:
    user = await users.get(user_id, lock=True)
    match.check(user.updated_at)
    return user


def not_oneself(user_id: UUID, principal: Principal) -> None:
    """An admin cannot lock themselves out."""
    if user_id == principal.id:
        raise Conflict("OWN_ACCOUNT", "Another admin must do this to your own account.")


@get("/{user_id:uuid}", guards=[admins])
async def read_user(user_id: FromPath[UUID], users: Users) -> UserOut:
    return UserOut.of(await users.get(user_id))


@patch("/{user_id:uuid}", guards=[admins])
async def change_user(
    user_id: FromPath[UUID],
    data: JSONBody[UserPatch],
    users: Users,
    match: NamedDependency[Match],
    settings: NamedDependency[Settings],
) -> UserOut:
    """A student_id stays once rows carry it. Another e-mail is not verified, unless `is_verified` says so with it."""
    user = await locked(users, user_id, match)
    changes = data.changes()
    may_reuse = changes.pop("reuse_student_id")
    if changes.get("student_id") != user.student_id and not may_reuse:
        await refuse_former(users.session, settings.digest_keys, changes.get("student_id"))
    if "email" in changes:
        changes.setdefault("is_verified", user.is_verified and changes["email"] == user.email)
    return UserOut.of(await users.update(user, changes))


@delete("/{user_id:uuid}", guards=[admins])
async def delete_user(
    user_id: FromPath[UUID], users: Users, match: NamedDependency[Match], settings: NamedDependency[Settings]
) -> None:
    """One about whom rows are kept is refused (ACCOUNT_HAS_RECORDS): deactivate it, or erase the student."""
    not_oneself(user_id, users.principal)
    user = await users.get_to_delete(user_id)
    match.check(user.updated_at)
    await users.delete(user)
    if user.student_id:
        await note_former(users.session, settings.secret_key, user.student_id)


@put("/{user_id:uuid}/roles", guards=[admins])
async def change_roles(
    user_id: FromPath[UUID], data: JSONBody[RolesIn], users: Users, match: NamedDependency[Match]
) -> UserOut:
    """Holds from the next request."""
    if Role.ADMIN not in data.roles:
        not_oneself(user_id, users.principal)
    user = await locked(users, user_id, match)
    changes: dict[str, object] = {"roles": distinct(data.roles)}
    if Role.STUDENT in data.roles and user.student_id is None:
        changes["student_id"] = str(user.id)
    return UserOut.of(await users.update(user, changes))


@post("/{user_id:uuid}/verify", guards=[admins], status_code=HTTP_200_OK)
async def verify_user(user_id: FromPath[UUID], users: Users, match: NamedDependency[Match]) -> UserOut:
    """Say that the e-mail is the person's: launches and commits that name it are then found as theirs."""
    user = await locked(users, user_id, match)
    return UserOut.of(await users.change(user, {"is_verified": True}))


@post("/{user_id:uuid}/deactivate", guards=[admins], status_code=HTTP_200_OK)
async def deactivate_user(user_id: FromPath[UUID], users: Users, match: NamedDependency[Match]) -> UserOut:
    """Every sign-in ends, a token to set a password too, and keys that the account answers for stop working."""
    not_oneself(user_id, users.principal)
    user = await locked(users, user_id, match)
    await RefreshTokenRepository(users.session, users.principal).revoke(RefreshToken.user_id == user_id)
    return UserOut.of(await users.change(user, {"is_active": False, **NO_TOKEN}))


@post("/{user_id:uuid}/reactivate", guards=[admins], status_code=HTTP_200_OK)
async def reactivate_user(user_id: FromPath[UUID], users: Users, match: NamedDependency[Match]) -> UserOut:
    user = await locked(users, user_id, match)
    return UserOut.of(await users.change(user, {"is_active": True}))


@post("/{user_id:uuid}/password-reset", guards=[admins], status_code=HTTP_200_OK, opt=route(takes_key=False))
async def offer_reset(user_id: FromPath[UUID], users: Users, match: NamedDependency[Match]) -> ResetOut:
    """A one-time token for the person, good for 24 hours while the account is active; it ends an older one."""
    return ResetOut(*await users.offer_reset(await locked(users, user_id, match)))


@get("/", guards=[admins])
async def list_keys(keys: Keys, page: NamedDependency[Page]) -> Listing[ApiKeyOut]:
    return await keys.page(keys.select(), page, ApiKeyOut.of)


@post("/", guards=[admins], opt=route(takes_key=False))
async def create_key(data: JSONBody[ApiKeyIn], keys: Keys) -> Answer[NewApiKeyOut]:
    """The answer holds the whole key, this once. It works as long as its maker is an active admin."""
    if data.course_ids:
        await CourseRepository(keys.session, keys.principal).require_all(data.course_ids)
    secret = new_secret(KEY_PREFIX)
    scopes = [scope.value for scope in dict.fromkeys(data.scopes)]
    key = await keys.add(
        ApiKey(
            name=data.name,
            key_hash=digest(secret),
            scopes=scopes,
            course_ids=data.course_ids,
            expires_at=data.expires_at,
            created_by=keys.principal.id,
        )
    )
    return created(NewApiKeyOut.of(key, key=secret), f"/api-keys/{key.id}")


@patch("/{key_id:uuid}", guards=[admins])
async def change_key(
    key_id: FromPath[UUID], data: JSONBody[ApiKeyPatch], keys: Keys, match: NamedDependency[Match]
) -> ApiKeyOut:
    """Name it, or have another admin answer for it (`created_by`), before the account of the first goes."""
    key = await keys.get(key_id, lock=True)
    match.check(key.updated_at)
    changes = data.changes()
    if "created_by" in changes:
        await keys.require_maker(changes["created_by"])
    return ApiKeyOut.of(await keys.change(key, changes))


@delete("/{key_id:uuid}", guards=[admins])
async def delete_key(key_id: FromPath[UUID], keys: Keys, match: NamedDependency[Match]) -> None:
    """It is refused from the next request on."""
    key = await keys.get_to_delete(key_id)
    match.check(key.updated_at)
    await keys.delete(key)


router = Router(
    "/users",
    route_handlers=[
        list_users,
        create_user,
        read_user,
        change_user,
        delete_user,
        change_roles,
        verify_user,
        deactivate_user,
        reactivate_user,
        offer_reset,
    ],
    dependencies={"users": provide_users},
    tags=["users"],
)

keys_router = Router(
    "/api-keys",
    route_handlers=[list_keys, create_key, change_key, delete_key],
    dependencies={"keys": provide_keys},
    tags=["API keys"],
)
