"""`/auth`: signing in and out. A password is hashed while no connection is held."""

from litestar import Router, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK
from litestar.types import Scope
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from cortez.accounts.attempts import NO_ACCOUNT, Attempts, Refusals
from cortez.accounts.authentication import Callers
from cortez.accounts.models import RefreshToken, Role
from cortez.accounts.repository import NO_TOKEN, RefreshTokenRepository, UserRepository
from cortez.accounts.schemas import (
    LoginIn,
    LogoutIn,
    PasswordIn,
    RefreshIn,
    RegisterIn,
    ResetIn,
    SignedOut,
    TokensOut,
    UserOut,
)
from cortez.clock import utc_now
from cortez.core.db.engine import Database
from cortez.core.security.passwords import Passwords
from cortez.core.security.principal import SYSTEM, Principal
from cortez.core.security.tokens import Tokens
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import people
from cortez.core.web.problems import Problem
from cortez.core.web.requests import StrictRequest
from cortez.core.web.responses import Answer, created, refused
from cortez.core.web.route_options import route
from cortez.errors import Forbidden, Unauthorized
from cortez.settings import Settings

PUBLIC = route(public=True, takes_key=False)
DOOR = route(PUBLIC, unmetered=True)  # one client of an address cannot lock the others out
NO_KEY = route(takes_key=False)


class SignIns:
    """Accounts and their tokens, as the routes that nobody has signed in for need them."""

    def __init__(self, session: AsyncSession, principal: Principal = SYSTEM) -> None:
        self.users = UserRepository(session, principal)
        self.tokens = RefreshTokenRepository(session, principal)


async def provide_sign_ins(session: NamedDependency[AsyncSession]) -> SignIns:
    return SignIns(session)


async def provide_attempts(
    scope: Scope,
    database: NamedDependency[Database],
    settings: NamedDependency[Settings],
    refusals: NamedDependency[Refusals],
) -> Attempts:
    return Attempts(database, settings, refusals, scope)


provide_own = provided(SignIns)
Anyones = NamedDependency[SignIns]
Trying = NamedDependency[Attempts]


@post("/register", opt=PUBLIC)
async def register(
    data: JSONBody[RegisterIn],
    anyones: Anyones,
    attempts: Trying,
    passwords: NamedDependency[Passwords],
    settings: NamedDependency[Settings],
) -> Answer[UserOut]:
    """A new account, always a student's."""
    if not settings.registration_open:
        raise Forbidden("REGISTRATION_CLOSED", "Accounts are made by an admin here.")
    await attempts.reserve(attempts.registration())
    hashed = await passwords.choose(data.password, data.username, data.email)
    user = await anyones.users.create(
        email=data.email,
        username=data.username,
        full_name=data.full_name,
        hashed_password=hashed,
        roles=[Role.STUDENT.value],
    )
    return created(UserOut.of(user), f"/users/{user.id}")


@post("/login", opt=DOOR, status_code=HTTP_200_OK)
async def login(
    data: JSONBody[LoginIn],
    anyones: Anyones,
    attempts: Trying,
    database: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
    tokens: NamedDependency[Tokens],
    callers: NamedDependency[Callers],
) -> TokensOut:
    """Takes as long, and answers the same, for an unknown account as for a wrong password."""
    await attempts.refuse_strangers(data.login)
    async with database.reading() as session:
        accounts = UserRepository(session, SYSTEM)
        user, some_adopted = await accounts.by_login(data.login), await accounts.some_adopted()
        account = user.id if user else NO_ACCOUNT
        is_known = await attempts.is_known(session, account)
    tries = attempts.guesses(data.login, account, is_known=is_known)
    await attempts.reserve(*tries)
    hashed = user.hashed_password if user else None
    verdict = await passwords.verify(hashed, data.password, some_adopted=some_adopted)
    new_hash = await passwords.hash(data.password) if verdict.is_outdated else None
    if not (user and verdict and await anyones.users.count_sign_in(user, new_hash)):
        raise Unauthorized("LOGIN_FAILED", "The login or the password is wrong.")
    await attempts.give_back(anyones.users.session, *tries)
    await attempts.note_known(anyones.users.session, user.id)
    callers.note_home(attempts.network)
    family = uuid7()
    return TokensOut(tokens.access(user.id, family), await anyones.tokens.issue(user.id, family))


@post("/refresh", opt=DOOR, status_code=HTTP_200_OK)
async def refresh(
    data: JSONBody[RefreshIn],
    request: StrictRequest,
    anyones: Anyones,
    attempts: Trying,
    database: NamedDependency[Database],
    tokens: NamedDependency[Tokens],
    callers: NamedDependency[Callers],
) -> TokensOut | Answer[Problem]:
    """A new pair for the old one. A token used twice was stolen once: its whole sign-in ends.

    Within 30 seconds the same client, from the same network and with the same User-Agent, gets the same refresh token
    once more, so that two tabs may refresh at once. After 90 days one signs in again.
    """
    async with database.reading() as session:  # a flood of made-up tokens is in no writer's way
        known = await RefreshTokenRepository(session, SYSTEM).by_secret(data.refresh_token)
    token = await anyones.tokens.by_secret(data.refresh_token, lock=True) if known else None
    if token is None or token.expires_at <= utc_now():
        raise Unauthorized("REFRESH_TOKEN_INVALID", "The refresh token is unknown or expired; sign in again.")
    user = await anyones.users.find(token.user_id)
    if user is None or not user.is_active:
        raise Unauthorized("REFRESH_TOKEN_INVALID", "The account is not active.")
    heirs = tokens.heirs(data.refresh_token)
    if token.used_at or token.revoked_at:
        heir = await anyones.tokens.heir(token, heirs, attempts.clients)
        if heir is None:
            await anyones.tokens.revoke(RefreshToken.family_id == token.family_id)
            reused = Unauthorized("REFRESH_TOKEN_REUSED", "This refresh token was used before; sign in again.")
            return refused(request, reused)
    else:
        heir = heirs[0]
        await anyones.tokens.follow(token, heir, attempts.clients[0])
    callers.note_home(attempts.network)
    return TokensOut(tokens.access(user.id, token.family_id), heir)


@post("/password-reset", opt=DOOR, status_code=HTTP_200_OK)
async def reset_password(
    data: JSONBody[ResetIn],
    anyones: Anyones,
    database: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
) -> UserOut:
    """Set a new password with a one-time token; every sign-in ends."""
    async with database.reading() as session:
        known = await UserRepository(session, SYSTEM).by_reset_token(data.token)
    hashed = await passwords.choose(data.password, known.username, known.email) if known else ""
    user = await anyones.users.by_reset_token(data.token, lock=True) if known else None
    if user is None:
        raise Unauthorized("RESET_TOKEN_INVALID", "The token is unknown, used or expired; ask for a new one.")
    await anyones.tokens.revoke(RefreshToken.user_id == user.id)
    return UserOut.of(await anyones.users.change(user, {"hashed_password": hashed, **NO_TOKEN}))


@post("/logout", opt=NO_KEY, guards=[people], status_code=HTTP_200_OK)
async def logout(data: JSONBody[LogoutIn], own: Anyones, principal: NamedDependency[Principal]) -> SignedOut:
    """End this sign-in, or `all` of them; it holds from the next request."""
    which = RefreshToken.user_id == principal.id if data.all else RefreshToken.family_id == principal.family_id
    return SignedOut(await own.tokens.revoke(which))


@put("/password", guards=[people], status_code=204)
async def change_password(
    data: JSONBody[PasswordIn],
    own: Anyones,
    attempts: Trying,
    principal: NamedDependency[Principal],
    database: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
) -> None:
    """Every other sign-in ends, and so does a token that an admin has offered.

    A wrong current password is a guess at the account, like one at the login from a network that is known to it.
    """
    async with database.reading() as session:
        known = await UserRepository(session, principal).get(principal.id)
    before, guess = known.hashed_password, attempts.own_guess(principal.id)
    await attempts.reserve(guess)
    if not await passwords.verify(before, data.current_password):
        raise Forbidden("PASSWORD_WRONG", "The current password is wrong.")
    hashed = await passwords.choose(data.new_password, known.username, known.email, pointer="/new_password")
    user = await own.users.get(principal.id, lock=True)
    if user.hashed_password != before:
        raise Forbidden("PASSWORD_WRONG", "The password has just been changed.")
    await attempts.give_back(own.users.session, guess)
    await own.users.change(user, {"hashed_password": hashed, **NO_TOKEN})
    await own.tokens.revoke(RefreshToken.family_id != principal.family_id)


router = Router(
    "/auth",
    route_handlers=[register, login, refresh, reset_password, logout, change_password],
    dependencies={
        "anyones": Provide(provide_sign_ins),
        "own": provide_own,
        "attempts": Provide(provide_attempts),
    },
    tags=["auth"],
)
