"""Which room may import which: `docs/architecture.md` as data."""

GROUND = {"errors", "enums", "settings", "clock"}  # imports nothing of cortez but itself

# Rooms of the frame, each with those it stands on. None of them knows a domain.
CORE = {
    "core.compat": set[str](),
    "core.typing": set[str](),
    "core.lifecycle": set[str](),
    "core.latest": set[str](),
    "core.observability": {"core.typing"},
    "core.concurrency": {"core.observability"},
    "core.security": {"core.concurrency"},
    "core.db": {"core.compat", "core.security", "core.observability", "core.concurrency"},
    "core.web": {"core.db", "core.latest"},
    "core.openapi": {"core.web"},
    "core.migrations": {"core.db"},
}

# The domains, each with those it stands on: it may import these and what they stand on, but no `handlers`.
DOMAINS = {
    "accounts": set[str](),
    "content": {"accounts"},
    "activities": {"accounts"},
    "sessions": {"activities"},
    "exercises": {"content", "sessions"},
    "simulators": {"sessions"},
    "traces": {"sessions"},
    "lti": {"sessions"},
    "audit": {"sessions"},
    "git": {"traces"},
    "risks": {"traces", "simulators"},
    "evaluations": {"risks"},
    "sequences": {"evaluations"},
    "profiles": {"evaluations"},
    "analysis": {"evaluations", "exercises", "git"},
    "oversight": {"profiles"},
    "reports": {"analysis", "oversight"},
    "exports": {"analysis", "audit", "oversight", "sequences"},
    "privacy": {"exports", "reports"},
    "adoption": {"exercises", "git", "lti", "reports", "sequences"},
    "demo": {"git", "lti", "reports", "sequences"},
}

# Where everything is wired or shown. Each may import every domain, the frame, and these others.
TOPS = {
    "tables": set[str](),
    "examples": set[str](),
    "bootstrap": {"tables"},
    "ops": {"bootstrap"},
    "pages": {"ops", "examples"},
    "app": {"bootstrap", "ops", "pages"},
    "commands": {"bootstrap", "ops"},
    "server": {"app", "ops"},
    "worker": {"server"},  # the name by which supervisors of other releases start one
    "__main__": {"commands"},
}

# The names by which landed revisions, which never change, import modules of `core.migrations`.
FOR_LANDED_REVISIONS = {"schema_changes", "audit_triggers"}


def below(rooms: set[str], order: dict[str, set[str]]) -> set[str]:
    """The rooms, and all that they stand on."""
    return rooms | {found for room in rooms for found in below(order[room], order)}


def room_of(module: str) -> str:
    """Of a module's name, such as `cortez.core.db.engine`: its room, `core.db`."""
    parts = module.split(".")[1:]
    return ".".join(parts[: 2 if parts[0] == "core" else 1])
