"""`/activities`: teachers write and publish, students see what is active."""

from uuid import UUID

from litestar import Router, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK
from sqlalchemy import ColumnElement

from cortez.activities.access import readers
from cortez.activities.models import Activity, ActivityDifficulty, ActivityStatus
from cortez.activities.repository import ActivityRepository
from cortez.activities.schemas import ActivityIn, ActivityOut, ActivityPatch, MoodleLinkIn
from cortez.core.db.expressions import holds
from cortez.core.db.pagination import Listing, Page
from cortez.core.db.types import stored
from cortez.core.security.principal import Principal
from cortez.core.web.dependencies import provided
from cortez.core.web.guards import teachers
from cortez.core.web.parameters import PathKey, QueryKey, QueryText
from cortez.core.web.preconditions import Match
from cortez.core.web.responses import Answer, created
from cortez.errors import Forbidden, Invalid

provide_activities = provided(ActivityRepository)
Activities = NamedDependency[ActivityRepository]


@get("/", guards=[readers])
async def list_activities(
    activities: Activities,
    page: NamedDependency[Page],
    status: FromQuery[ActivityStatus | None] = None,
    subject: QueryText = None,
    difficulty: FromQuery[ActivityDifficulty | None] = None,
    teacher_id: FromQuery[UUID | None] = None,
    course_id: QueryKey = None,
    tag: QueryText = None,
) -> Listing[ActivityOut]:
    """Newest first."""
    wanted: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (Activity.status, status),
            (Activity.subject, subject),
            (Activity.difficulty, difficulty),
            (Activity.teacher_id, teacher_id),
            (Activity.course_id, course_id),
        )
        if value is not None
    ]
    if tag is not None:
        wanted.append(holds(Activity.tags, tag))
    return await activities.page(activities.select().where(*wanted), page, ActivityOut.of, newest_first=True)


@post("/", guards=[teachers])
async def create_activity(
    data: JSONBody[ActivityIn], activities: Activities, principal: NamedDependency[Principal]
) -> Answer[ActivityOut]:
    """A draft of one's own; an admin may write it for a teacher."""
    if data.teacher_id not in (None, principal.id) and not principal.is_admin:
        raise Forbidden(None, "Only an admin writes an activity for somebody else.")
    await activities.check_course(data.course_id)
    if data.teacher_id not in (None, principal.id):
        await activities.check_teacher(data.teacher_id, data.course_id)
    values = {name: stored(getattr(data, name)) for name in data.__struct_fields__}
    values["teacher_id"] = data.teacher_id or principal.id
    activity = await activities.add(Activity(**values))
    return created(ActivityOut.of(activity), f"/activities/{activity.activity_id}")


@get("/{activity_id:str}", guards=[readers])
async def read_activity(activity_id: PathKey, activities: Activities) -> ActivityOut:
    return ActivityOut.of(await activities.by_key(activity_id))


@patch("/{activity_id:str}", guards=[teachers])
async def change_activity(
    activity_id: PathKey,
    data: JSONBody[ActivityPatch],
    activities: Activities,
    match: NamedDependency[Match],
) -> ActivityOut:
    """An admin gives it to another teacher by `teacher_id`: one of its course, where it has one."""
    activity = await activities.own(activity_id)
    match.check(activity.updated_at)
    changes = data.changes()
    if "teacher_id" in changes:
        if not activities.principal.is_admin:
            raise Forbidden(None, "Only an admin gives an activity to another teacher.")
        await activities.check_teacher(changes["teacher_id"], changes.get("course_id", activity.course_id))
    if "course_id" in changes and activity.status != ActivityStatus.DRAFT:
        raise Invalid.at("/course_id", "The course can change only while the activity is a draft.")
    await activities.check_course(changes.get("course_id"))
    return ActivityOut.of(await activities.change(activity, changes))


@post("/{activity_id:str}/publish", guards=[teachers], status_code=HTTP_200_OK)
async def publish_activity(activity_id: PathKey, activities: Activities, match: NamedDependency[Match]) -> ActivityOut:
    activity = await activities.own(activity_id)
    match.check(activity.updated_at)
    return ActivityOut.of(await activities.publish(activity))


@post("/{activity_id:str}/archive", guards=[teachers], status_code=HTTP_200_OK)
async def archive_activity(activity_id: PathKey, activities: Activities, match: NamedDependency[Match]) -> ActivityOut:
    activity = await activities.own(activity_id)
    match.check(activity.updated_at)
    return ActivityOut.of(await activities.archive(activity))


@delete("/{activity_id:str}", guards=[teachers])
async def delete_activity(activity_id: PathKey, activities: Activities, match: NamedDependency[Match]) -> None:
    """Archives: sessions keep the activity that they were about. Twice is once."""
    activity = await activities.own(activity_id)
    match.check(activity.updated_at)
    if activity.status != ActivityStatus.ARCHIVED:
        await activities.archive(activity)


@put("/{activity_id:str}/moodle-link", guards=[teachers])
async def link_to_moodle(
    activity_id: PathKey, data: JSONBody[MoodleLinkIn], activities: Activities, match: NamedDependency[Match]
) -> ActivityOut:
    """Say where the activity stands in Moodle; a link that is there is replaced."""
    activity = await activities.own(activity_id)
    match.check(activity.updated_at)
    return ActivityOut.of(await activities.change(activity, data.changes()))


@delete("/{activity_id:str}/moodle-link", guards=[teachers])
async def unlink_from_moodle(activity_id: PathKey, activities: Activities, match: NamedDependency[Match]) -> None:
    activity = await activities.own(activity_id)
    match.check(activity.updated_at)
    await activities.change(activity, dict.fromkeys(MoodleLinkIn.__struct_fields__))


router = Router(
    "/activities",
    route_handlers=[
        list_activities,
        create_activity,
        read_activity,
        change_activity,
        publish_activity,
        archive_activity,
        delete_activity,
        link_to_moodle,
        unlink_from_moodle,
    ],
    dependencies={"activities": provide_activities},
    tags=["activities"],
)
