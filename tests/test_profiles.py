"""Student profiles: kept by the service, the same whenever they are worked out anew."""

import asyncio
from datetime import timedelta
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, update

from cortez.accounts.changes import student_changed
from cortez.accounts.models import CourseMember, User
from cortez.clock import utc_now
from cortez.core.db.engine import Database
from cortez.ops.background_jobs import Upkeep
from cortez.profiles.models import StudentFigures, StudentProfile
from cortez.profiles.updates import complete, rebuild
from cortez.risks.models import Risk
from factory import Make, Someone
from watching import statements

ANSWER = {"interaction_type": "ai_response", "content": "Because."}
STAMPS = {"created_at", "updated_at"}


async def profile(someone: Someone, student: Someone) -> dict[str, Any]:
    answer = await someone.get(f"/students/{student.student_id}/profile")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def kept(make: Make, model: type[Any] = StudentProfile, without: set[str] = STAMPS) -> list[dict[str, Any]]:
    """Every row; what is worked out again must not change them, though their stamps may move."""
    rows = [row.to_dict() for row in await make.all(model)]
    return sorted(({name: one[name] for name in one.keys() - without} for one in rows), key=str)


async def registered(make: Make, course: str | None = None) -> Someone:
    """A student whose account was made by the API."""
    admin, number = await make.admin(), make.number()
    body = {"email": f"r{number}@example.edu", "username": f"reg{number}", "student_id": f"r-{number}"}
    made = (await admin.post("/users", json=body)).json()
    if course:
        await admin.put(f"/courses/{course}/members/{made['id']}", json={"role": "student"})
    return await make.sign_in(made["id"], made["student_id"])


async def test_a_new_student_has_an_empty_profile(make: Make) -> None:
    student = await registered(make)
    found = await profile(student, student)
    assert (found["total_sessions"], found["average_competency_score"], found["preferred_language"]) == (0, None, "es")
    assert found["user_id"] == str(student.id)


async def test_the_profile_counts_when_a_session_ends_and_not_before(make: Make) -> None:
    student, key = await registered(make), await make.key()
    session = await make.session(student)
    steps = [
        ANSWER | {"ai_involvement": 0.8, "cognitive_state": "planificacion"},
        ANSWER | {"ai_involvement": 0.2, "cognitive_state": "atascado"},
        ANSWER | {"ai_involvement": 0.5},
    ]
    await key.post(f"/sessions/{session.id}/traces/batch", json=steps)
    assert (await profile(student, student))["total_interactions"] == 0
    await student.post(f"/sessions/{session.id}/complete")
    found = await profile(student, student)
    assert (found["total_sessions"], found["total_interactions"]) == (1, 3)
    assert found["average_ai_dependency"] == 0.5
    assert found["learning_patterns"] == {"states": {"atascado": 0.5, "planificacion": 0.5}}
    assert found["last_activity_date"] is not None


async def test_a_late_delivery_and_a_later_analysis_count_too(make: Make) -> None:
    student, key = await registered(make), await make.key()
    session = await make.session(student)
    await student.post(f"/sessions/{session.id}/complete")
    late = ANSWER | {"occurred_at": (utc_now() - timedelta(minutes=1)).isoformat(), "ai_involvement": 1}
    refused = await key.post(f"/sessions/{session.id}/traces", json=late | {"occurred_at": utc_now().isoformat()})
    assert refused.status_code == 409
    made = (await key.post(f"/sessions/{session.id}/traces", json=late)).json()
    assert (await profile(student, student))["average_ai_dependency"] == 1
    await key.patch(f"/traces/{made['id']}", json={"ai_involvement": 0.25})
    assert (await profile(student, student))["average_ai_dependency"] == 0.25
    admin = await make.admin()
    await admin.delete(f"/sessions/{session.id}")
    assert (await profile(student, student))["total_sessions"] == 0


async def test_a_rebuild_gives_the_same_profiles(make: Make) -> None:
    students = [await registered(make) for _ in range(3)]
    key = await make.key()
    for number, student in enumerate(students):
        for _ in range(number + 1):
            session = await make.session(student)
            steps = [ANSWER | {"ai_involvement": n / 7, "cognitive_state": "depuracion"} for n in range(number + 3)]
            await key.post(f"/sessions/{session.id}/traces/batch", json=steps)
            await student.post(f"/sessions/{session.id}/{('complete', 'abort')[number % 2]}")
    before, figures = await kept(make), await kept(make, StudentFigures)
    assert await rebuild(make.database) == len(before)
    assert (await kept(make), await kept(make, StudentFigures)) == (before, figures)
    assert [one["total_interactions"] for one in before if one["student_id"] == students[2].student_id] == [15]


async def test_what_is_added_is_what_a_rebuild_works_out(make: Make) -> None:
    """Whatever counts is done in any order, by several places at once."""
    student, chance = await registered(make, await make.course("a")), Random(7)  # noqa: S311 - no secret
    key, admin = await make.key(), await make.admin()
    loose = (await make.activity()).activity_id
    sessions = [await make.session(student, **place) for place in ({"course_id": "a"}, {"activity_id": loose}) * 3]
    paths = [f"/sessions/{session.id}" for session in sessions]
    traces: list[str] = []
    risks: list[str] = []

    def step() -> dict[str, Any]:
        share, moment = chance.random(), utc_now() - timedelta(seconds=chance.randrange(1, 60))
        state = chance.choice(["depuracion", "atascado", None])
        return ANSWER | {"ai_involvement": share, "cognitive_state": state, "occurred_at": moment.isoformat()}

    async def act(path: str) -> None:
        match chance.randrange(7):
            case 0 | 1:
                batch = (await key.post(f"{path}/traces/batch", json=[step() for _ in range(5)])).json()
                traces.extend(item["id"] for item in batch["items"] if item["status"] == "created")
            case 2:
                await student.post(f"{path}/{chance.choice(['complete', 'abort', 'pause'])}")
            case 3 if traces:
                await key.patch(f"/traces/{chance.choice(traces)}", json={"ai_involvement": chance.random()})
            case 4:
                kind, level = chance.choice(["plagiarism", "lack_justification"]), chance.choice(["low", "critical"])
                risk = {"risk_type": kind, "risk_level": level, "description": "Seen."}
                risks.append((await key.post(f"{path}/risks", json=risk)).json()["id"])
            case 5 if risks:
                verdict = {"resolution": chance.choice(["confirmed", "unfounded"]), "resolution_notes": "Looked at."}
                await admin.post(f"/risks/{chance.choice(risks)}/resolve", json=verdict)
            case 6:
                said = {"overall_score": chance.random() * 10, "key_strengths": [str(chance.random())]}
                assert (await key.post(f"{path}/evaluations", json=said)).status_code == 201

    for _ in range(120):
        await act(chance.choice(paths))
    before, figures = await kept(make), await kept(make, StudentFigures)
    assert [len(one["evolution"]) > 0 and one["risks"] > 0 and one["steps"] > 0 for one in figures] == [True, True]
    await rebuild(make.database)
    assert (await kept(make), await kept(make, StudentFigures)) == (before, figures)


async def test_the_end_of_a_session_reads_no_other_one(make: Make, database: Database) -> None:
    student, key = await registered(make, await make.course("a")), await make.key()
    seen = []
    for _ in range(3):
        session = await make.session(student, course_id="a")
        await key.post(f"/sessions/{session.id}/traces/batch", json=[ANSWER] * 5)
        with statements(database) as ended:
            assert (await student.post(f"/sessions/{session.id}/complete")).status_code == 200
        late = ANSWER | {"occurred_at": session.start_time.isoformat()}
        with statements(database) as delivered:
            assert (await key.post(f"/sessions/{session.id}/traces", json=late)).status_code == 201
        seen.append((ended, delivered))
    (first, _), *others = seen
    assert any("GROUP BY sessions.student_id" in text for text in first)  # the course has no figures yet
    assert not any("GROUP BY sessions.student_id" in text for made in others for texts in made for text in texts)
    assert len(others[0][0]) == len(others[1][0]) < len(first)
    assert (await profile(student, student))["total_interactions"] == 18


async def worked(make: Make, student: Someone, steps: int, share: float, score: float, **place: str) -> None:
    """A session that has ended, with steps, a critical finding and an evaluation."""
    session = await make.session(student, **place)
    for _ in range(steps):
        await make.trace(session, ai_involvement=share, cognitive_state="depuracion")
    await make.risk(session, risk_level="critical")
    words = place.get("course_id", "nowhere")
    dimensions = [{"name": words, "score": score}]
    values = {"key_strengths": [words], "improvement_areas": [words], "dimensions": dimensions}
    await make.evaluation(session, overall_score=score, overall_competency_level="autonomo", **values)
    await student.post(f"/sessions/{session.id}/complete")


async def test_figures_are_kept_by_course_and_merged_into_the_whole(make: Make) -> None:
    student, places = await registered(make), ["a", "b"]
    for course, share in zip(places, (0.9, 0.1), strict=True):
        await worked(make, student, 2, share, 4.0, course_id=await make.course(course))
    await worked(make, student, 1, 0.4, 7.0, activity_id=(await make.activity(activity_id="loose")).activity_id)
    found = {(one.course_id, one.activity_id): one for one in await make.all(StudentFigures)}
    assert {place: (one.sessions, one.steps, one.ai_share, one.score) for place, one in found.items()} == {
        ("a", None): (1, 2, 1.8, 4.0),
        ("b", None): (1, 2, 0.2, 4.0),
        (None, "loose"): (1, 1, 0.4, 7.0),
    }
    whole = await profile(student, student)
    assert (whole["total_sessions"], whole["total_interactions"], whole["critical_risks"]) == (3, 5, 3)
    assert (whole["average_ai_dependency"], whole["average_competency_score"]) == (0.48, 5.0)
    assert [point["score"] for point in whole["competency_evolution"]] == [4.0, 4.0, 7.0]
    assert whole["strengths"] == ["nowhere"]
    newest = (await student.get("/sessions")).json()["items"][0]
    await (await make.admin()).delete(f"/sessions/{newest['id']}")
    assert {one.course_id for one in await make.all(StudentFigures)} == {"a", "b"}


class Two:
    """A student who works in two courses and in an activity without one, each with its own teacher."""

    student: Someone
    a: Someone
    b: Someone
    owner: Someone


@pytest.fixture
async def two(make: Make) -> Two:
    made = Two()
    made.student = await registered(make)
    for course in ("a", "b"):
        setattr(made, course, await make.teacher(course=await make.course(course)))
        await make.add(CourseMember(course_id=course, user_id=made.student.id, role="student"))
    made.owner = await make.teacher()
    await make.activity(activity_id="loose", teacher_id=made.owner.id)
    await worked(make, made.student, 2, 0.9, 4.0, course_id="a")
    await worked(make, made.student, 8, 0.1, 9.0, course_id="b")
    await worked(make, made.student, 1, 0.4, 6.0, activity_id="loose")
    return made


def figures(found: dict[str, Any]) -> tuple[Any, ...]:
    names = ("total_sessions", "total_interactions", "average_ai_dependency", "average_competency_score")
    return tuple(found[name] for name in (*names, "critical_risks", "course_ids"))


@pytest.mark.requirement("A1")
async def test_those_who_teach_are_shown_what_was_done_with_them_and_no_word_more(make: Make, two: Two) -> None:
    seen = {name: await profile(getattr(two, name), two.student) for name in ("a", "b", "owner", "student")}
    assert figures(seen["a"]) == (1, 2, 0.9, 4.0, 1, ["a"])
    assert figures(seen["b"]) == (1, 8, 0.1, 9.0, 1, ["b"])
    assert figures(seen["owner"]) == (1, 1, 0.4, 6.0, 1, [])
    assert figures(seen["student"]) == (3, 11, 0.272727, 6.3333, 3, ["a", "b"])
    for name, word in (("a", "a"), ("b", "b"), ("owner", "nowhere")):
        found = seen[name]
        assert (found["strengths"], found["areas_for_improvement"]) == ([word], [word])
        assert list(found["competency_levels"]) == [word]
        assert len(found["competency_evolution"]) == 1
        assert found["risk_trends"]["cognitive"] == {"open": 1, "confirmed": 0}
        assert found["learning_patterns"] == {"states": {"depuracion": 1.0}}
        listed = (await getattr(two, name).get("/students")).json()["items"]
        assert listed == [found]
    admin = await make.admin()
    assert await profile(admin, two.student) == seen["student"]


async def test_a_teacher_of_both_courses_is_shown_their_sum(make: Make, two: Two) -> None:
    await make.add(CourseMember(course_id="b", user_id=two.a.id, role="tutor"))
    found = await profile(two.a, two.student)
    assert figures(found) == (2, 10, 0.26, 6.5, 2, ["a", "b"])
    assert (found["strengths"], [one["score"] for one in found["competency_evolution"]]) == (["b"], [4.0, 9.0])


@pytest.mark.requirement("A1")
async def test_the_filters_go_by_the_figures_that_are_shown(make: Make, two: Two) -> None:
    quiet = await registered(make, "b")

    async def listed(someone: Someone, query: str) -> list[str]:
        answer = (await someone.get(f"/students?count=true&{query}")).json()
        assert answer["total"] == len(answer["items"])
        return [item["student_id"] for item in answer["items"]]

    async with make.database.unit() as session:
        await session.execute(update(Risk).values(risk_level="low"))
        student_changed(session, two.student.student_id)
    student, admin = two.student.student_id, await make.admin()
    for someone, query, expected in (
        (two.a, "at_risk=true", [student]),
        (two.a, "at_risk=false", []),
        (two.a, "competency_level=inicial", [student]),
        (two.a, "competency_level=experto", []),
        (two.b, "at_risk=true", []),
        (two.b, "at_risk=false", [student, quiet.student_id]),
        (two.b, "competency_level=experto", [student]),
        (two.b, "competency_level=inicial", []),
        (two.owner, "competency_level=en_desarrollo", [student]),
        (two.owner, "competency_level=autonomo", []),
        (admin, "competency_level=en_desarrollo", [student]),
        (admin, "competency_level=experto&course_id=b", [student]),
        (admin, "at_risk=true&course_id=a", [student]),
        (admin, "at_risk=true", []),
    ):
        assert await listed(someone, query) == expected, query


async def test_a_course_narrows_what_is_shown(make: Make, two: Two) -> None:
    await make.add(CourseMember(course_id="b", user_id=two.a.id, role="teacher"))
    path = f"/students/{two.student.student_id}/profile"
    for someone in (two.a, two.student, await make.admin()):
        found = (await someone.get(f"{path}?course_id=b")).json()
        assert figures(found) == (1, 8, 0.1, 9.0, 1, ["b"])
    assert [figures(one) for one in (await two.a.get("/students?course_id=b")).json()["items"]] == [figures(found)]
    await make.course("c")
    for someone, course in ((two.b, "a"), (two.owner, "a"), (two.student, "c"), (two.a, "c"), (two.a, "nowhere")):
        refused = await someone.get(f"{path}?course_id={course}")
        assert (refused.status_code, refused.json()["code"]) == (404, "COURSE_NOT_FOUND"), course
    assert (await two.b.get("/students?course_id=a")).status_code == 404


async def test_what_is_done_elsewhere_does_not_even_move_the_stamp(make: Make, two: Two) -> None:
    before = await two.a.get(f"/students/{two.student.student_id}/profile")
    whole = (await two.student.get(f"/students/{two.student.student_id}/profile")).headers["etag"]
    await worked(make, two.student, 1, 0.5, 1.0, course_id="b")
    after = await two.a.get(f"/students/{two.student.student_id}/profile")
    assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
    language = {"preferred_language": "pt"}
    path = f"/students/{two.student.student_id}/profile"
    assert (await two.student.patch(path, json=language, headers={"If-Match": whole})).status_code == 412
    now = (await two.student.get(path)).headers["etag"]
    assert (await two.student.patch(path, json=language, headers={"If-Match": now})).status_code == 200
    assert (await profile(two.a, two.student))["preferred_language"] == "pt"


@pytest.mark.requirement("A1")
async def test_who_enrols_a_student_of_others_is_shown_nothing_of_before(make: Make, two: Two) -> None:
    stranger = await make.teacher(course=await make.course("trap"))
    path = f"/students/{two.student.student_id}/profile"
    assert (await stranger.get(path)).status_code == 404
    await make.add(CourseMember(course_id="trap", user_id=two.student.id, role="student"))
    found = await profile(stranger, two.student)
    assert figures(found) == (0, 0, 0.0, None, 0, [])
    empty = (found["strengths"], found["areas_for_improvement"], found["competency_evolution"], found["risk_trends"])
    assert empty == ([], [], [], {})
    assert (found["last_activity_date"], found["updated_at"]) == (None, found["created_at"])
    assert (await stranger.get("/students?at_risk=true")).json()["items"] == []


async def test_who_does_not_lead_the_course_of_an_activity_is_shown_nothing_of_it(make: Make, two: Two) -> None:
    course = await make.course("theirs")
    await make.activity(activity_id="given", teacher_id=two.owner.id, course_id=course)
    other = await registered(make)
    await worked(make, other, 1, 0.9, 1.0, activity_id="given")
    assert (await two.owner.get(f"/students/{other.student_id}/profile")).status_code == 404
    await make.add(CourseMember(course_id=course, user_id=two.owner.id, role="teacher"))
    assert figures(await profile(two.owner, other)) == (1, 1, 0.9, 1.0, 1, [])


async def test_the_filter_is_as_exact_as_what_is_shown(make: Make) -> None:
    teacher = await make.teacher(course=await make.course("a"))
    student = await registered(make, "a")
    session = await make.session(student, course_id="a")
    for _ in range(3):
        await make.trace(session, ai_involvement=0.7)
    await student.post(f"/sessions/{session.id}/complete")
    assert (await profile(teacher, student))["average_ai_dependency"] == 0.7
    assert (await teacher.get("/students?at_risk=true")).json()["items"] == []


async def test_a_page_of_students_takes_as_many_statements_for_many_as_for_few(make: Make, two: Two) -> None:
    few = await counted(make, two.b, "/students?at_risk=false")
    for number in range(5):
        await worked(make, await registered(make, "b"), number, 0.1, 5.0, course_id="b")
    assert await counted(make, two.b, "/students?at_risk=false") == few


async def counted(make: Make, someone: Someone, path: str) -> int:
    """How many statements a request takes."""
    with statements(make.database) as seen:
        assert (await someone.get(path)).status_code == 200
    return len(seen)


async def test_figures_of_an_older_database_are_made_without_anybody_doing_something(make: Make) -> None:
    for number in range(3):
        await worked(make, await registered(make), number + 1, 0.5, 6.0, course_id=await make.course())
    before = await kept(make), await kept(make, StudentFigures, STAMPS | {"id"})
    async with make.database.unit() as session:
        await session.execute(delete(StudentFigures))
        old = StudentProfile(student_id="erased-0", total_sessions=2)  # such as retention made them
        session.add(old)
    upkeep = Upkeep(make.database, make.app.state.upkeep.journal)
    await upkeep.attempt(seal=False)
    assert (await kept(make), await kept(make, StudentFigures, STAMPS | {"id"})) == before
    assert "figures by course" in upkeep.unfinished
    await upkeep.attempt(seal=False)
    assert "figures by course" not in upkeep.unfinished
    assert await complete(make.database) is False


async def test_findings_and_evaluations_are_summed_up(make: Make) -> None:
    student = await registered(make)
    first, second = await make.session(student), await make.session(student)
    await make.risk(first, risk_level="critical")
    await make.risk(first, risk_level="critical", resolved=True, resolution="unfounded")
    await make.risk(second, dimension="ethical", resolved=True, resolution="confirmed")
    await make.evaluation(first, overall_score=4.0, overall_competency_level="inicial")
    dimensions = [{"name": "planning", "score": 9}, {"name": "coherence", "score": 5.0}, {"name": "?"}]
    await make.evaluation(
        second, overall_score=8.0, dimensions=dimensions, key_strengths=["plans"], improvement_areas=["tests"]
    )
    await student.post(f"/sessions/{second.id}/complete")
    found = await profile(student, student)
    assert (found["total_risks"], found["critical_risks"]) == (2, 1)
    assert found["risk_trends"] == {"cognitive": {"open": 1, "confirmed": 0}, "ethical": {"open": 0, "confirmed": 1}}
    assert (found["average_competency_score"], found["average_competency_level"]) == (6.0, "en_desarrollo")
    assert [point["score"] for point in found["competency_evolution"]] == [4.0, 8.0]
    assert all(point["evaluated_at"].endswith("Z") for point in found["competency_evolution"])
    assert found["competency_levels"] == {"planning": "experto", "coherence": "en_desarrollo"}
    assert (found["strengths"], found["areas_for_improvement"]) == (["plans"], ["tests"])


async def test_sessions_that_end_at_once_are_all_counted(make: Make) -> None:
    student = await registered(make)
    sessions = [await make.session(student) for _ in range(6)]
    await asyncio.gather(*[student.get("/sessions") for _ in range(6)])  # so that each has a connection at hand
    answers = await asyncio.gather(*[student.post(f"/sessions/{session.id}/complete") for session in sessions])
    assert {answer.status_code for answer in answers} == {200}
    assert (await profile(student, student))["total_sessions"] == 6


async def test_a_profile_follows_its_account(make: Make) -> None:
    admin, student = await make.admin(), await registered(make)
    with statements(make.database) as sent:
        await student.patch("/auth/me", json={"full_name": "Eva Soto"})
    assert not any("student_figures" in one or "cognitive_traces" in one for one in sent)  # a name is no work
    assert sum("student_profiles" in one and not one.startswith("SELECT") for one in sent) == 1
    path = f"/students/{student.student_id}/profile"
    before = await admin.get(path)
    assert before.json()["name"] == "Eva Soto"
    await admin.patch(f"/users/{student.id}", json={"username": "eva"})
    assert (await admin.get(path)).headers["etag"] == before.headers["etag"]  # nothing that it says has changed
    await admin.patch(f"/users/{student.id}", json={"student_id": "al-9"})
    assert (await admin.get("/students/al-9/profile")).json()["email"].startswith("r")
    assert (await admin.get(f"/students/{student.student_id}/profile")).status_code == 404
    await admin.delete(f"/users/{student.id}")
    assert (await admin.get("/students/al-9/profile")).status_code == 404


async def test_a_profile_without_an_account_stays_while_sessions_carry_it(make: Make) -> None:
    admin, student = await make.admin(), await registered(make)
    session = await make.session(student)
    await student.post(f"/sessions/{session.id}/complete")
    assert (await admin.delete(f"/users/{student.id}")).json()["code"] == "ACCOUNT_HAS_RECORDS"
    async with make.database.unit() as unit:  # as it was done before that was refused
        await unit.execute(delete(User).where(User.id == student.id))
        student_changed(unit, student.student_id)
    found = await profile(admin, student)
    assert (found["user_id"], found["name"], found["email"], found["total_sessions"]) == (None, None, None, 1)


async def test_one_s_language_is_one_s_own_to_choose(make: Make) -> None:
    student, other = await registered(make), await registered(make)
    me = (await student.patch("/auth/me", json={"preferred_language": "en-GB"})).json()
    assert me["preferred_language"] == "en-GB"
    path = f"/students/{student.student_id}/profile"
    assert (await student.patch(path, json={"preferred_language": "pt"})).json()["preferred_language"] == "pt"
    assert (await student.get("/auth/me")).json()["preferred_language"] == "pt"
    assert (await other.patch(path, json={"preferred_language": "fr"})).status_code == 404
    assert (await student.patch(path, json={"cognitive_preferences": {}})).status_code == 403
    assert (await student.patch(path, json={"total_sessions": 9})).status_code == 422
    assert (await student.patch(path, json={"preferred_language": "klingon!"})).status_code == 422
    admin = await make.admin()
    changed = await admin.patch(path, json={"cognitive_preferences": {"pace": "slow"}})
    assert changed.json()["cognitive_preferences"] == {"pace": "slow"}
    assert (await admin.patch("/auth/me", json={"preferred_language": "es"})).status_code == 422


async def test_students_are_listed_for_those_who_teach_them(make: Make) -> None:
    course = await make.course()
    teacher, stranger, key = await make.teacher(course=course), await make.teacher(), await make.key("read")
    mine, other = await registered(make, course), await registered(make)

    async def listed(query: str) -> list[str]:
        answer = (await teacher.get(f"/students?count=true&{query}")).json()
        assert answer["total"] == len(answer["items"])
        return [item["student_id"] for item in answer["items"]]

    assert await listed("") == await listed(f"course_id={course}") == [mine.student_id]
    assert await listed("at_risk=true") == []
    assert (await teacher.get("/students?course_id=nowhere")).status_code == 404
    assert await listed("at_risk=false") == [mine.student_id]
    session = await make.session(mine, course_id=course)
    await make.risk(session, risk_level="critical")
    await make.evaluation(session, overall_score=9.0)
    await mine.post(f"/sessions/{session.id}/complete")
    assert await listed("at_risk=true") == await listed("competency_level=EXPERTO") == [mine.student_id]
    assert await listed("competency_level=inicial") == []
    assert (await stranger.get("/students")).json()["items"] == []
    assert (await stranger.get(f"/students/{mine.student_id}/profile")).status_code == 404
    assert (await teacher.get(f"/students/{other.student_id}/profile")).status_code == 404
    assert (await mine.get("/students")).status_code == 403
    assert (await key.get(f"/students/{mine.student_id}/profile")).status_code == 403
    assert (await teacher.get(f"/students/{uuid4()}/profile")).status_code == 404
    assert (await teacher.patch(f"/students/{mine.student_id}/profile", json={})).status_code == 403
