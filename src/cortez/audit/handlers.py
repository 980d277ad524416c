"""`/audit`: who changed what, and whether the log is whole."""

from typing import Annotated

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from cortez.audit.models import AuditEntry
from cortez.audit.repository import AuditRepository
from cortez.audit.schemas import AuditOut
from cortez.audit.seals import Verification, seal_all, verify
from cortez.core.db.engine import Database
from cortez.core.db.pagination import Listing, Page
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import admins
from cortez.core.web.parameters import QueryKey, QueryTime, instant

TableName = Annotated[str | None, QueryParameter(pattern=r"^[a-z_]+\Z", min_length=1, max_length=63)]


@get("/", guards=[admins])
async def list_audit(
    audit: NamedDependency[AuditRepository],
    page: NamedDependency[Page],
    table: TableName = None,
    row_id: QueryKey = None,
    actor: QueryKey = None,
    since: QueryTime = None,
) -> Listing[AuditOut]:
    """Newest first."""
    statement = audit.filtered(table, row_id, actor, instant("since", since))
    found: Listing[AuditEntry] = await audit.page(statement, page, lambda entry: entry, newest_first=True)
    names = await audit.names(found.items)
    shown = [AuditOut.of(entry, names) for entry in found.items]
    return Listing(shown, found.next_cursor, found.total, found.total_is_capped)


@get("/verify", guards=[admins])
async def verify_audit(database: NamedDependency[Database], audit: NamedDependency[AuditRepository]) -> Verification:
    """Seals what is not sealed yet, then compares every entry with its seal, and every seal with the one before."""
    await seal_all(database)
    return await verify(audit.session)


router = Router(
    "/audit",
    route_handlers=[list_audit, verify_audit],
    dependencies={"audit": provided(AuditRepository)},
    tags=["audit"],
)
