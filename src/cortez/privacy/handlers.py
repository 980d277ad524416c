"""`/students/{student_id}/data`: all that is held of a student, shown or erased."""

from litestar import Router, delete, get
from litestar.di import NamedDependency
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK
from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.db.engine import Database
from cortez.core.security.principal import Principal
from cortez.core.web.guards import admins, allow
from cortez.core.web.parameters import PathKey
from cortez.core.web.route_options import HEAVY, route
from cortez.errors import Conflict, NotFound
from cortez.exports.streams import ARCHIVES, begun, resting
from cortez.privacy.archive import archive
from cortez.privacy.erasure import Certificate, certify, erase, refuse_unverified
from cortez.privacy.subjects import find
from cortez.settings import Settings

ZIP = {
    "application/zip": {
        "type": "string",
        "contentMediaType": "application/zip",
        "description": "One JSON document a table (`data/`), code and patches as files, a manifest with counts.",
    }
}


@get("/{student_id:str}/data", guards=[allow("student")], opt=route(HEAVY, answers=ZIP))
async def read_data(
    student_id: PathKey, principal: NamedDependency[Principal], database: NamedDependency[Database]
) -> Stream:
    """All that is held of a student, for themselves and for an admin, in one archive; one at a time."""
    if not principal.is_admin and principal.student_id != student_id:
        raise NotFound("student", student_id)
    async with database.reading() as session:
        person = await find(session, student_id)
    headers = {"Content-Disposition": 'attachment; filename="data.zip"'}
    return Stream(
        await begun(resting(archive(database, person), database.gate.company), ARCHIVES),
        headers=headers,
        media_type="application/zip",
    )


@delete("/{student_id:str}/data", guards=[admins], status_code=HTTP_200_OK)
async def erase_data(
    student_id: PathKey,
    session: NamedDependency[AsyncSession],
    principal: NamedDependency[Principal],
    settings: NamedDependency[Settings],
) -> Certificate:
    """Erase a student: the account and everything personal, for good. Statistics stay, under a pseudonym.

    An account that also teaches or administers is refused (STAFF_ACCOUNT) until it has no other role than student. One
    whose e-mail is not verified is refused (EMAIL_NOT_VERIFIED) where launches or commits of others name that e-mail.
    """
    person = await find(session, student_id)
    if person.roles - {"student"}:
        raise Conflict("STAFF_ACCOUNT", "This account has other roles than student. Take those away first.")
    await refuse_unverified(session, person)
    counts = await erase(session, person)
    erasure = await certify(session, principal.id, settings.secret_key, student_id, counts)
    return Certificate(
        id=erasure.id,
        student_id=student_id,
        erased_at=erasure.created_at,
        erased_by=principal.id,
        tables=counts,
    )


router = Router("/students", route_handlers=[read_data, erase_data], tags=["privacy"])
