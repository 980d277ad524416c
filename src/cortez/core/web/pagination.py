"""Pages of a list as a request asks for them."""

from urllib.parse import parse_qsl, urlencode

from litestar.params import FromQuery
from litestar.types import Scope

from cortez.core.db.pagination import DEFAULT_LIMIT, VIEW, Cursors, Order, Page, filters_of
from cortez.core.web.parameters import QueryCursor, QueryLimit
from cortez.errors import Invalid


async def provide_page(
    scope: Scope,
    limit: QueryLimit = DEFAULT_LIMIT,
    cursor: QueryCursor = None,
    count: FromQuery[bool] = False,
    order: FromQuery[Order | None] = None,
) -> Page:
    """The page that the query string asks for; the filters were completed by `with_filters`."""
    cursors: Cursors = scope["litestar_app"].state.cursors
    after = cursors.open(scope["path"], cursor) if cursor else None
    return Page(cursors, scope["path"], scope["query_string"], limit, after, count, order)


def with_filters(path: str, query: list[tuple[str, str]], cursors: Cursors) -> bytes | None:
    """The query string with the filters that its cursor carries; None without a cursor.

    Raises Invalid (CURSOR_MISMATCH) where other filters are sent with the cursor.
    """
    cursor = dict(query).get("cursor")
    if not cursor:
        return None
    carried = cursors.open(path, cursor).filters
    given = filters_of(query)
    if given and given != carried:
        raise Invalid.at(
            "cursor", "The cursor belongs to other filters. Send the same ones, or none.", "CURSOR_MISMATCH"
        )
    view = [(name, value) for name, value in query if name in VIEW]
    return urlencode([*carried, *view]).encode()


def next_link(scope: Scope, cursor: str) -> str:
    """The Link header of a page; the cursor carries the filters."""
    query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    kept = {"limit": query["limit"]} if "limit" in query else {}
    return f'<{scope["path"]}?{urlencode({**kept, "cursor": cursor})}>; rel="next"'
