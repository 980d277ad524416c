"""`/auth/me/invitations`: courses that wait for one's answer."""

from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK

from cortez.accounts.repository import InvitationRepository, MemberRepository
from cortez.accounts.schemas import InvitationOut, MemberOut
from cortez.core.db.pagination import Listing, Page
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import people

provide_invitations = provided(InvitationRepository)
Invitations = NamedDependency[InvitationRepository]


@get("/", guards=[people])
async def list_invitations(invitations: Invitations, page: NamedDependency[Page]) -> Listing[InvitationOut]:
    """Of oneself; one that was answered, or withdrawn, is gone."""
    return await invitations.page(invitations.shown(), page, InvitationOut.of)


@post("/{invitation_id:uuid}/accept", guards=[people], status_code=HTTP_200_OK)
async def accept_invitation(invitation_id: FromPath[UUID], invitations: Invitations) -> MemberOut:
    """Become a member."""
    member = await invitations.accept(await invitations.own(invitation_id))
    members = MemberRepository(invitations.session, invitations.principal)
    return MemberOut.of(member, await members.student_id_of(member.user_id))


@post("/{invitation_id:uuid}/decline", guards=[people], status_code=HTTP_200_OK)
async def decline_invitation(invitation_id: FromPath[UUID], invitations: Invitations) -> InvitationOut:
    """The answer is the invitation, which is gone then. One may be invited again."""
    return InvitationOut.of(await invitations.decline(await invitations.own(invitation_id)))


router = Router(
    "/auth/me/invitations",
    route_handlers=[list_invitations, accept_invitation, decline_invitation],
    dependencies={"invitations": provide_invitations},
    tags=["auth"],
)
