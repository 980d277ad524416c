"""What happens to the class's work afterwards: analysis, evaluation, and what the teacher does about it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from school import COURSE, PROJECT, Json, School, at, done, everything, in_groups, made
from school_figures import Work

REPORTS = ("cohort_summary", "risk_dashboard", "competency_distribution")
FORMATS = {"cohort_summary": "xlsx", "risk_dashboard": "csv", "competency_distribution": "json"}


async def launches_from_the_platform(school: School) -> None:
    """Some of the projects began in the institution's own platform."""
    urls = dict.fromkeys(("auth_login_url", "auth_token_url", "public_keyset_url"), "https://lms.example.edu/x")
    names = {"platform_name": "Moodle", "issuer": "https://lms.example.edu", "client_id": "c", "deployment_id": "1"}
    platform: dict[str, object] = {**names, **urls, "course_ids": [COURSE]}
    deployment = await made(school.admin.post("/lti/deployments", json=platform))
    machine = school.keys["lti"]
    for student in school.students[:4]:
        who = {"lti_user_id": student.student_id, "resource_link_id": "r"}
        launch = await made(machine.post("/lti/sessions", json=who | {"deployment_id": deployment["id"]}))
        link = {"session_id": session_of(school, student.student_id, PROJECT.activity_id)["id"]}
        linked = await done(machine.put(f"/lti/sessions/{launch['id']}/session", json=link))
        assert linked["session_id"] == link["session_id"]


def session_of(school: School, student_id: str, activity_id: str) -> Json:
    wanted = (student_id, activity_id)
    return next(one for one in school.ledger.sessions.values() if (one["student_id"], one["activity_id"]) == wanted)


async def feedback(school: School) -> None:
    """The teacher writes into some of the sessions, also where they have ended."""
    for student in school.students[::5]:
        session = session_of(school, student.student_id, "loops")
        said = {"interaction_type": "teacher_feedback", "content": "Well done.", "occurred_at": at(school, PROJECT, 0)}
        found = await made(school.teacher.post(f"/sessions/{session['id']}/traces", json=said))
        school.ledger.note_trace(session, said | {"id": found["id"]}, said["occurred_at"])


async def analyse_everything(school: School) -> None:
    await in_groups(analyse(school, session) for session in school.ledger.sessions.values())


async def analyse(school: School, session: Json) -> None:
    """Rules, a generated evaluation, and of some sessions what a language model and a person saw in it."""
    agent, path = school.keys["analysis"], f"/sessions/{session['id']}"
    luck = school.luck("analysis", session["student_id"], session["activity_id"])
    found = await done(agent.post(f"{path}/risks/analyze"))
    assert found["new"] == len(found["items"])
    risks: list[Json] = found["items"]
    if luck.random() < 0.2 and session["course_id"] == COURSE:
        seen = {"risk_type": "conceptual_error", "risk_level": "medium", "description": "A mean is no median."}
        risks.append(await made(school.teacher.post(f"{path}/risks", json=seen)))
    school.ledger.risks |= {risk["id"]: risk for risk in risks}
    school.ledger.evaluations.append(await made(agent.post(f"{path}/evaluations/generate")))
    if luck.random() < 0.4:
        school.ledger.evaluations.append(await made(agent.post(f"{path}/evaluations", json=opinion(luck))))
    if session["activity_id"] == PROJECT.activity_id:
        school.ledger.sequences.append(await made(agent.post(f"{path}/trace-sequences")))


def opinion(luck: Any) -> Json:
    """What a language model says of a session."""
    score = round(luck.uniform(0, 10), 1)
    dimension = {"name": "planning", "score": round(luck.uniform(0, 10), 1)}
    said = {"key_strengths": ["Asks first."], "improvement_areas": ["Test more."]}
    return {"overall_score": score, "dimensions": [dimension], "evaluator": "a model", **said}


async def judge_risks(school: School) -> None:
    """The teacher talks with some students, and closes what they confirm or explain."""
    await in_groups(judge(school, risk) for risk in Work(school.ledger, course_id=COURSE).all_risks)


async def judge(school: School, risk: Json) -> None:
    luck = school.luck("judge", risk["student_id"], risk["activity_id"], risk["rule"], risk["subject"] == "session")
    if luck.random() < 0.08:
        verdict = {"resolution": luck.choice(["confirmed", "unfounded"]), "resolution_notes": "We talked."}
        path = f"/risks/{risk['id']}/resolve"
        school.ledger.risks[risk["id"]] = await done(school.teacher.post(path, json=verdict))


async def look_after_alerts(school: School) -> None:
    """A scan; one alert goes all the way to a plan, one is dismissed, the others wait."""
    teacher, ledger = school.teacher, school.ledger
    ledger.scanned = await done(teacher.post("/alerts/scan", json={"course_id": COURSE}))
    first, second, *_ = sorted(await everything(teacher, f"/alerts?course_id={COURSE}"), key=lambda one: one["id"])
    path = f"/alerts/{first['id']}"
    await done(teacher.post(f"{path}/assign", json={"user_id": str(teacher.id)}))
    await done(teacher.post(f"{path}/acknowledge"))
    plan = await support(school, first["student_id"])
    closing = {"resolution_notes": "A plan.", "remediation_plan_id": plan["id"]}
    resolved = await done(teacher.post(f"{path}/resolve", json=closing))
    assert (resolved["status"], resolved["assigned_to"]) == ("resolved", str(teacher.id))
    dismissal = {"resolution_notes": "Prepared at home."}
    await done(teacher.post(f"/alerts/{second['id']}/false-positive", json=dismissal))
    ledger.alerts = {one["id"]: one for one in await everything(teacher, f"/alerts?course_id={COURSE}")}


async def support(school: School, student_id: str) -> Json:
    """A plan from its beginning to its end."""
    risks = [one["id"] for one in Work(school.ledger, course_id=COURSE, student_id=student_id).all_risks]
    body = {
        "student_id": student_id,
        "course_id": COURSE,
        "plan_type": "tutoring",
        "description": "Talk.",
        "trigger_risks": risks[:3],
    }
    plan = await made(school.teacher.post("/remediation-plans", json=body))
    await done(school.teacher.post(f"/remediation-plans/{plan['id']}/start"))
    ending = {"outcome_evaluation": "Better.", "success_metrics": {"risks_resolved": 1}}
    completed: Json = await done(school.teacher.post(f"/remediation-plans/{plan['id']}/complete", json=ending))
    assert completed["status"] == "completed"
    return completed


async def step_in(school: School) -> None:
    """The teacher looks at who is at work now, and goes to one of them."""
    live = await everything(school.teacher, "/alerts/live")
    first = min(live, key=lambda one: str(one["student_id"]))
    school.ledger.visited = first["session_id"]
    body = {"student_id": first["student_id"], "alert_id": first["id"], "intervention_type": "direct_message"}
    found = await made(school.teacher.post("/interventions", json=body))
    assert found["alert_context"]["triggers"] == first["triggers"]
    await done(school.teacher.patch(f"/interventions/{found['id']}", json={"status": "in_progress"}))


async def report(school: School) -> None:
    """Reports of every type, each offered in another format."""
    now = datetime.now(UTC)
    period = {
        "period_start": (now - timedelta(days=1)).isoformat(),
        "period_end": (now + timedelta(days=1)).isoformat(),
    }
    for kind in REPORTS:
        body = {"report_type": kind, "course_id": COURSE, **period}
        found = await made(school.teacher.post("/reports", json=body))
        export = {"format": FORMATS[kind]}
        school.ledger.reports[kind] = await done(school.teacher.post(f"/reports/{found['id']}/export", json=export))
