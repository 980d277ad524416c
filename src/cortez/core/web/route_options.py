"""What a route says of itself beside its signature, and what is worked out of both when the application starts."""

from collections import ChainMap
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Litestar
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import Guard, Scope
from litestar.typing import FieldDefinition
from msgspec import Struct, structs

from cortez.core.db.engine import Database
from cortez.core.typing import TypeForm
from cortez.core.web.guards import allow

KEY = "route"  # under which the framework keeps them beside a handler
MAX_BODY = 1_000_000  # bytes

Before = Callable[[Any, bytes, Database], Awaitable[Any]]


class RouteOptions(Struct, frozen=True, kw_only=True):
    """What a route's signature cannot say, and in the last four fields what `compile_route_options` works out."""

    public: bool = False  # callers need not sign in
    outside: bool = False  # pages and health checks, which touch no data
    heavy: bool = False  # reads or writes much at once: exports, reports, analysis, imports
    unmetered: bool = False  # attempts are counted otherwise, or cannot be guessed
    takes_key: bool = True  # whether a POST takes an Idempotency-Key
    upload: bool = False  # the body is a form with a file
    names: bool = False  # the query names what may not be found
    bodies: Mapping[str, TypeForm] = {}  # media type -> type, or schema, of a body that the handler reads raw
    answers: Mapping[
        str, TypeForm
    ] = {}  # media type -> type, or schema, of an answer that is not the returned type as JSON
    max_items: int | None = None  # of a list among the bodies
    max_body: int = MAX_BODY  # bytes
    also: tuple[int, ...] = ()  # statuses of success besides the usual one
    sent_back: int | None = None  # status of an answer that shows only what the caller sent, so that nothing was read
    before: Before | None = None  # prepares the body before the unit of work begins

    guards: tuple[allow, ...] = ()
    methods: tuple[str, ...] = ()
    reads: bool = False  # whether the handler, or a dependency of it, works on the session
    query: Mapping[str, FieldDefinition] = {}


NONE = RouteOptions()


def route(base: Mapping[str, RouteOptions] | None = None, **options: Any) -> dict[str, RouteOptions]:
    """Options for `opt=` of a route, those of `base` among them: `opt=route(heavy=True)`.

    Not for a Router: the options of a route would replace those of its router as a whole.
    """
    return {KEY: structs.replace((base or {}).get(KEY, NONE), **options)}


def options_of(handler: BaseRouteHandler) -> RouteOptions:
    found: RouteOptions = handler.opt.get(KEY, NONE)
    return found


def ours(guard: Guard) -> allow:
    """The guard itself. Raises TypeError for any other kind, which the document could not describe."""
    if not isinstance(guard, allow):
        raise TypeError("The guards of a route are made by `allow`.")
    return guard


def is_outside(scope: Scope) -> bool:
    return options_of(scope["route_handler"]).outside


HEAVY = route(heavy=True)
OUTSIDE = route(outside=True)


def compile_route_options(app: Litestar) -> None:
    """Work out which query parameters each handler and its dependencies take, and which methods its path has.

    Guards are called by the middleware, before a key is taken or an upload received; the framework copies the handler
    for each of them, at each request. Dependencies are resolved one after the other: none of ours waits, and a task
    group costs more than they do.
    """
    for one in app.routes:
        if not isinstance(one, HTTPRoute):
            continue
        for handler, model in one.route_handler_map.values():
            known = options_of(handler)
            guards = known.guards
            if not guards and not known.outside:
                guards = tuple(map(ours, handler.resolve_guards()))
                handler.resolve_guards().clear()
            providers = [provide.parsed_fn_signature for provide in handler.resolve_dependencies().values()]
            fields = dict(ChainMap(handler.parsed_fn_signature.parameters, *(each.parameters for each in providers)))
            model.dependency_batches = [{each} for batch in model.dependency_batches for each in batch]
            handler.opt[KEY] = structs.replace(
                known,
                guards=guards,
                methods=tuple(sorted(one.methods)),
                reads=any(each.key == "session" for batch in model.dependency_batches for each in batch),
                query={each.field_alias: fields[each.field_name] for each in model.expected_query_params},
            )
