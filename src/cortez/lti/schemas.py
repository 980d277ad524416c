"""LTI deployments and launches, in and out."""

from typing import Annotated, Self
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from cortez.core.web.schemas import BusinessKey, Input, Name, Resource, Short
from cortez.lti.models import LtiDeployment, LtiSession

Url = Annotated[str, Meta(max_length=2_000, pattern=r"^https?://[^\s]+\Z")]
Locale = Annotated[str, Meta(min_length=2, max_length=10)]
Token = Annotated[str, Meta(min_length=1, max_length=20_000)]
Courses = Annotated[list[BusinessKey], Meta(min_length=1, max_length=100)]


class DeploymentIn(Input):
    """`course_ids`: the courses that it launches into; without it, any course. A key that is limited to courses handles
    launches only where all of these are among its own.
    """

    platform_name: Short
    issuer: Annotated[str, Meta(max_length=255, pattern=r"^https?://[^\s]+\Z")]
    client_id: Name
    deployment_id: Name
    auth_login_url: Url
    auth_token_url: Url
    public_keyset_url: Url
    access_token_url: Url | None = None
    is_active: bool = True
    course_ids: Courses | None = None


class DeploymentPatch(Input):
    platform_name: Short | UnsetType = UNSET
    client_id: Name | UnsetType = UNSET
    auth_login_url: Url | UnsetType = UNSET
    auth_token_url: Url | UnsetType = UNSET
    public_keyset_url: Url | UnsetType = UNSET
    access_token_url: Url | None | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    course_ids: Courses | None | UnsetType = UNSET


class DeploymentOut(Resource):
    """`course_ids`: the courses that it launches into; null: any course."""

    platform_name: str
    issuer: str
    client_id: str
    deployment_id: str
    auth_login_url: str
    auth_token_url: str
    public_keyset_url: str
    access_token_url: str | None
    is_active: bool
    course_ids: list[str] | None

    @classmethod
    def of(cls, deployment: LtiDeployment) -> Self:
        return cls(**{name: getattr(deployment, name) for name in DeploymentOut.__struct_fields__})


class LaunchIn(Input):
    """One launch. `deployment_id` is the id of a deployment here; of the token only a digest is kept."""

    deployment_id: UUID
    lti_user_id: Name
    resource_link_id: Name
    lti_user_name: Name | None = None
    lti_user_email: Name | None = None
    lti_context_id: Name | None = None
    lti_context_label: Short | None = None
    lti_context_title: Name | None = None
    resource_link_title: Name | None = None
    session_id: UUID | None = None
    launch_token: Token | None = None
    locale: Locale | None = None


class LinkIn(Input):
    session_id: UUID


class LaunchOut(Resource):
    deployment_id: UUID
    lti_user_id: str
    lti_user_name: str | None
    lti_user_email: str | None
    lti_context_id: str | None
    lti_context_label: str | None
    lti_context_title: str | None
    resource_link_id: str
    resource_link_title: str | None
    session_id: UUID | None
    locale: str | None

    @classmethod
    def of(cls, launch: LtiSession) -> Self:
        return cls(**{name: getattr(launch, name) for name in LaunchOut.__struct_fields__})
