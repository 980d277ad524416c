"""Settings, read once at start from the environment and `.env`; a wrong one is one clear line."""

import os
import re
import secrets
import sys
from collections.abc import Mapping
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from dotenv import dotenv_values

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

SQLITE, POSTGRESQL = "sqlite+aiosqlite", "postgresql+asyncpg"
DRIVERS = {"sqlite": SQLITE, SQLITE: SQLITE, "postgres": POSTGRESQL, "postgresql": POSTGRESQL, POSTGRESQL: POSTGRESQL}
MIN_SECRET, MIN_VARIETY = 32, 10  # characters, different characters
MIN_CONNECTIONS = 2  # one for requests, one kept for what must work beside them
DEVELOPMENT_KEY = Path("var/secret.key")
EXAMPLES = ("change-me", "changeme", "change_me", "example", "your-secret", "your_secret", "only the tests know")
COMMON = ("password", "123456", "abcdef", "qwerty", "secret", "letmein")  # hardly ever in random text
REPEATED = re.compile(r"(.{8}).*\1", re.DOTALL)  # of random hexadecimal digits one key in a million does so
ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?")

Rate = Annotated[int, msgspec.Meta(ge=0)]  # requests a minute; 0 sets no limit
Quota = Annotated[int, msgspec.Meta(ge=0)]  # the most that is held; 0 sets no limit


class SettingsError(Exception):
    """A setting is absent or malformed; the message names it and says what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting of the service. Times are in seconds, sizes in bytes."""

    database_url: str = "sqlite:///./var/cortez.db"
    database_direct_url: str = ""
    database_read_url: str = ""
    db_pgbouncer: bool = False
    db_pool_size: int = 20
    db_max_overflow: int = 40
    db_pool_timeout: float = 30.0
    db_pool_recycle: int = 3600
    db_pre_ping_idle: float = 1.0
    db_statement_timeout: float = 30.0
    db_lock_timeout: float = 5.0
    db_connect_timeout: float = 10.0
    env: Literal["development", "production"] = "development"
    secret_key: str = ""
    secret_keys: tuple[str, ...] = ()
    retired_keys: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    registration: bool | None = None
    enrolment: Literal["direct", "invite"] = "direct"  # what a class list does with people who have an account
    enrolments_per_day: int = 2_000  # of one teacher
    unknown_students: Literal["allow", "warn", "refuse"] | None = None  # in sessions; None: by the course
    course_creation: Literal["teachers", "admins"] = "teachers"
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    metrics_token: str = ""
    log: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] | None = None
    slow_query: float = 500.0  # milliseconds; 0: none is slow
    otel_exporter_otlp_endpoint: str = ""
    password_time_cost: int = 3
    password_memory_kib: int = 65536
    body_timeout: float = 30.0
    request_timeout: float = 60.0
    stop_timeout: float = 20.0
    access_log_interval: float = 1.0
    seal_interval: float = 60.0
    files: str = "./var/files"
    max_upload: int = 50_000_000
    file_quota: int = 1_000_000_000  # for all files of a unit
    session_steps: Quota = 50_000
    session_bytes: Quota = 100_000_000
    student_steps: Quota = 1_000_000
    student_bytes: Quota = 1_000_000_000
    rate_reads: Rate = 120_000
    rate_writes: Rate = 60_000
    rate_heavy: Rate = 1_200
    rate_anonymous: Rate = 6_000

    @property
    def url(self) -> "URL":
        return parse_url("DATABASE_URL", self.database_url)

    @property
    def migration_url(self) -> "URL":
        """The address for migrations: the direct one where the first is a pooler."""
        if self.database_direct_url:
            return parse_url("DATABASE_DIRECT_URL", self.database_direct_url)
        return self.url

    @property
    def read_url(self) -> "URL | None":
        """The address of a streaming replica that may answer reads."""
        return parse_url("DATABASE_READ_URL", self.database_read_url) if self.database_read_url else None

    @property
    def key_ring(self) -> tuple[str, ...]:
        """The key that signs, then the older ones that are still accepted."""
        return (self.secret_key, *self.secret_keys)

    @property
    def digest_keys(self) -> tuple[str, ...]:
        """Every key that may have made a stored digest; the retired ones are accepted nowhere else."""
        return (*self.key_ring, *self.retired_keys)

    @property
    def registration_open(self) -> bool:
        """Open in development, closed in production, unless said otherwise."""
        return self.env == "development" if self.registration is None else self.registration

    @property
    def line_format(self) -> str:
        """How log lines are printed: as text where a person reads along, unless said otherwise."""
        return self.log_format or ("text" if sys.stderr.isatty() else "json")


NAMES = {
    field: field.upper() if field.startswith(("db_", "database_", "otel_")) else f"CORTEZ_{field.upper()}"
    for field in Settings.__struct_fields__
}
POSITIVE = (
    "db_pool_size",
    "db_pool_timeout",
    "db_statement_timeout",
    "db_lock_timeout",
    "db_connect_timeout",
    "body_timeout",
    "request_timeout",
    "stop_timeout",
    "access_log_interval",
    "seal_interval",
    "workers",
    "enrolments_per_day",
    "max_upload",
    "file_quota",
)
LISTS = ("secret_keys", "retired_keys", "cors_origins", "trusted_proxies")


def driver_of(name: str, text: str) -> str:
    """The asynchronous driver of an address. Raises SettingsError where it is none, or of another database."""
    scheme, found, _ = text.partition("://")
    if not found:
        raise SettingsError(f"{name} is not a database address. Write sqlite:///path or postgresql://user@host/name.")
    if scheme not in DRIVERS:
        raise SettingsError(f"{name}: {scheme!r} is not supported. Use sqlite:///path or postgresql://user@host/name.")
    return DRIVERS[scheme]


def parse_url(name: str, text: str) -> "URL":
    """The address with its asynchronous driver filled in."""
    from sqlalchemy.engine import make_url  # the command line starts without it

    drivername = driver_of(name, text)
    try:
        url = make_url(text)
    except ValueError:
        raise SettingsError(f"{name} has a port that is no number. Write postgresql://user@host:5432/name.") from None
    query = {"ssl" if name == "sslmode" else name: value for name, value in url.query.items()}  # as asyncpg calls it
    return url.set(drivername=drivername, query=query)


def load(environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> Settings:
    """Read `environ` (default: the process's) over `.env`.

    Raises SettingsError. In development a missing secret key is made and kept under `./var`.
    """
    filed = {name: value for name, value in dotenv_values(dotenv).items() if value is not None}
    given = {**filed, **(os.environ if environ is None else environ)}
    values: dict[str, object] = {}
    for field, name in NAMES.items():
        if given.get(name, "") == "":
            continue
        values[field] = _list(given[name]) if field in LISTS else _plain(given[name])
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(str(error))) from None
    for field in POSITIVE:
        if getattr(settings, field) <= 0:
            raise SettingsError(f"{NAMES[field]} must be greater than zero.")
    if settings.db_max_overflow < 0 or settings.db_pool_size + settings.db_max_overflow < MIN_CONNECTIONS:
        raise SettingsError("DB_POOL_SIZE and DB_MAX_OVERFLOW must allow for two connections at least.")
    if not 0 < settings.port < 65536:
        raise SettingsError("CORTEZ_PORT must be between 1 and 65535.")
    check_origins(settings.cors_origins)
    _check_proxies(settings.trusted_proxies)
    _check_addresses(settings)
    return _with_secret(settings)


def _check_addresses(settings: Settings) -> None:
    """So that a bad one fails at start."""
    given = ("database_url", "database_direct_url", "database_read_url")
    kinds = {field: driver_of(NAMES[field], text) for field in given if (text := getattr(settings, field))}
    if settings.database_read_url and {kinds["database_url"], kinds["database_read_url"]} != {POSTGRESQL}:
        raise SettingsError("DATABASE_READ_URL is for a replica of PostgreSQL: both it and DATABASE_URL must be one.")


def check_origins(origins: tuple[str, ...]) -> None:
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"CORTEZ_CORS_ORIGINS: {origin!r} is no origin. List them, such as https://app.example.edu; "
                "there is no wildcard."
            )


def _plain(text: str) -> str:
    return {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(text.lower(), text)


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _explain(message: str) -> str:
    reason, _, path = message.partition(" - at `$.")
    field = path.rstrip("`")
    return f"{NAMES.get(field, field)}: {reason[0].lower()}{reason[1:]}."


def _check_proxies(names: tuple[str, ...]) -> None:
    for name in names:
        try:
            ip_network(name)
        except ValueError:
            raise SettingsError(
                f"CORTEZ_TRUSTED_PROXIES: {name!r} is no address or network. Write 10.0.0.7 or 10.0.0.0/24."
            ) from None


def _with_secret(settings: Settings) -> Settings:
    if settings.env == "production":
        _refuse_guessable("CORTEZ_SECRET_KEY", settings.secret_key)
        for key in settings.secret_keys:  # they sign nothing any more, but what they sign is still accepted
            _refuse_guessable("CORTEZ_SECRET_KEYS", key)
        if settings.metrics_token:
            _refuse_guessable("CORTEZ_METRICS_TOKEN", settings.metrics_token)
        return settings
    if settings.secret_key:
        return settings
    return msgspec.structs.replace(settings, secret_key=_development_key(DEVELOPMENT_KEY))


def _refuse_guessable(name: str, key: str) -> None:
    """Raises SettingsError, which never holds the key, where others may know it or could find it out."""
    kept = DEVELOPMENT_KEY.read_text().strip() if DEVELOPMENT_KEY.exists() else None
    faults = {
        "is required in production": not key,
        f"must have at least {MIN_SECRET} characters": len(key) < MIN_SECRET,
        "is no random text": len(set(key)) < MIN_VARIETY,
        "is an example that others have read": any(word in key.lower() for word in EXAMPLES),
        "repeats itself": REPEATED.search(key) is not None,
        "is a sequence": is_sequence(key),
        "holds a word or a row of keys that is tried first": any(word in key.lower() for word in COMMON),
        f"is the development key of {DEVELOPMENT_KEY}": key == kept,
    }
    for fault, holds in faults.items():
        if holds:
            raise SettingsError(
                f'{name} {fault}. Make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'
            )


def is_sequence(key: str) -> bool:
    """Whether most characters are next to the one before, or the same: of random ones a fifth at most are."""
    near = sum(abs(ord(one) - ord(next_)) <= 1 for one, next_ in pairwise(key))
    return 2 * near > len(key)


def _development_key(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text().strip()
