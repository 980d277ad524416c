"""A school day: a class of thirty uses everything in the order a class does; then all figures are worked out anew."""

import csv
import io
import json
from collections import Counter
from typing import Any

import pytest
from litestar import Litestar
from sqlalchemy import func, select

import school_figures as figures
import school_reports as reports
from cortez import tables
from factory import Make
from school import (
    COURSE,
    LESSONS,
    OTHER_COURSE,
    STUDENTS,
    Json,
    School,
    done,
    everything,
    in_groups,
    moment,
    open_school,
    prepare,
    read_material,
)
from school_lessons import MANNERS, grade_attempts, lessons_of_the_class
from school_staff import (
    analyse_everything,
    feedback,
    judge_risks,
    launches_from_the_platform,
    look_after_alerts,
    report,
    step_in,
)
from test_reports import workbook

TABLES = """
    sessions cognitive_traces trace_sequences users activities risks evaluations subjects exercises exercise_hints
    exercise_tests exercise_attempts exercise_rubric_criteria rubric_levels unidades apuntes archivos_adjuntos
    interview_sessions incident_simulations simulator_events course_reports remediation_plans risk_alerts
    teacher_interventions git_traces lti_deployments lti_sessions student_profiles student_figures
""".split()


async def rows_in(school: School) -> dict[str, int]:
    async with school.make.database.reading() as session:
        counts = {}
        for name in TABLES:
            counts[name] = await session.scalar(select(func.count()).select_from(tables.metadata.tables[name]))
        return counts


def course_sessions(school: School) -> list[Json]:
    return figures.Work(school.ledger, course_id=COURSE).sessions


def shown(answer: Json, expected: Json) -> Json:
    """Of an answer the fields that are expected."""
    return {name: answer[name] for name in expected}


async def every_table_holds_what_the_day_left_there(school: School) -> None:
    ledger, counts = school.ledger, await rows_in(school)
    assert len(TABLES) == 29
    assert [name for name, count in counts.items() if not count] == []
    expected = {
        "users": STUDENTS + 4,
        "student_profiles": STUDENTS + 1,
        "student_figures": STUDENTS + 2,
        "sessions": STUDENTS * len(LESSONS) + 2,
        "cognitive_traces": len(ledger.traces),
        "exercise_attempts": len(ledger.attempts),
        "interview_sessions": len(ledger.interviews),
        "incident_simulations": len(ledger.incidents),
        "simulator_events": len(ledger.events),
        "git_traces": len(ledger.commits),
        "risks": len(ledger.risks),
        "evaluations": len(ledger.evaluations),
        "trace_sequences": len(ledger.sequences),
        "risk_alerts": len(ledger.alerts),
        "course_reports": len(ledger.reports),
    }
    assert {name: counts[name] for name in expected} == expected


async def every_session_counts_the_traces_that_were_acknowledged(school: School) -> None:
    found = await everything(school.admin, "/sessions")
    acknowledged = Counter(trace["session_id"] for trace in school.ledger.traces)
    assert {one["id"]: one["trace_count"] for one in found} == acknowledged
    assert {one["id"]: one["status"] for one in found} == {
        id_: one["status"] for id_, one in school.ledger.sessions.items()
    }
    assert len({one["status"] for one in found}) == 3


async def every_step_is_there_as_it_was_sent(school: School) -> None:
    exported = await school.teacher.get(f"/exports/traces?course_id={COURSE}")
    found = {one["id"]: one for one in map(json.loads, exported.text.splitlines())}
    sent = [one for one in school.ledger.traces if one["course_id"] == COURSE]
    assert found.keys() == {one["id"] for one in sent}
    assert {one["id"]: one for one in await everything(school.teacher, "/traces")} == found
    names = ("session_id", "student_id", "interaction_type", "content", "cognitive_state", "ai_involvement")
    for one in sent:
        assert shown(found[one["id"]], shown(one, dict.fromkeys(names))) == shown(one, dict.fromkeys(names))
        assert found[one["id"]]["parent_trace_id"] == one.get("parent_trace_id")
        assert moment(found[one["id"]]["occurred_at"] or found[one["id"]]["created_at"]) == one["happened"]


async def every_attempt_has_the_score_that_its_result_and_its_hints_give(school: School) -> None:
    ledger = school.ledger
    revealed: dict[str, list[int]] = {}
    for hint in ledger.hints:
        revealed.setdefault(hint["student_id"], []).append(hint["penalty"])
    assert all(penalties == school.penalties[: len(penalties)] for penalties in revealed.values())
    assert ledger.graded.keys() == ledger.attempts.keys()
    for attempt in await everything(school.teacher, "/attempts"):
        penalties = revealed.get(attempt["student_id"], [])
        assert (attempt["hints_used"], attempt["penalty_applied"]) == (len(penalties), sum(penalties))
        assert attempt["score"] == figures.score_of(ledger.graded[attempt["id"]], sum(penalties))
        assert attempt == ledger.attempts[attempt["id"]]


async def the_rules_find_what_is_in_how_somebody_worked(school: School) -> None:
    assert set(school.ledger.manner.values()) == MANNERS.keys()
    for session in school.ledger.sessions.values():
        found = Counter(
            risk["rule"]
            for risk in school.ledger.risks.values()
            if risk["session_id"] == session["id"] and risk["rule"]
        )
        assert found == figures.findings(school.ledger, session["id"]), school.ledger.manner[session["id"]]
    stored = {risk["id"]: risk for risk in await everything(school.admin, "/risks")}
    assert stored == school.ledger.risks


async def generated_evaluations_say_how_somebody_worked(school: School) -> None:
    ledger = school.ledger
    stored = await everything(school.admin, "/evaluations")
    assert {one["id"]: one for one in stored} == {one["id"]: one for one in ledger.evaluations}
    for one in ledger.evaluations:
        if one["evaluator"] != "process-rules":
            continue
        manner = MANNERS[ledger.manner[one["session_id"]]]
        work = figures.Work(ledger, id=one["session_id"])
        scores = {dimension["name"]: dimension["score"] for dimension in one["dimensions"]}
        assert (scores["planning"], scores["coherence"]) == (manner.planning, manner.coherence)
        assert scores["self_explanation"] / 10 == pytest.approx(work.justified_share, abs=6e-4)
        assert one["overall_score"] == pytest.approx(sum(scores.values()) / 3, abs=0.0051)
        assert one["overall_competency_level"] == figures.band(one["overall_score"])
        assert one["ai_dependency_score"] == figures.about(work.share)
    for sequence in ledger.sequences:
        work = figures.Work(ledger, id=sequence["session_id"])
        assert (sequence["total_traces"], sequence["avg_ai_involvement"]) == (
            len(work.traces),
            figures.about(work.share),
        )


async def every_profile_is_what_the_rows_add_up_to(school: School) -> None:
    profiles = await everything(school.teacher, f"/students?course_id={COURSE}")
    assert len(profiles) == STUDENTS
    for found in profiles:
        is_the_profile(school, found, course_id=COURSE)


def is_the_profile(school: School, found: Json, **equal: str) -> None:
    expected = figures.profile(school.ledger, found["student_id"], **equal)
    assert shown(found, expected) == expected
    points = [(one["score"], one["level"]) for one in found["competency_evolution"]]
    assert points == figures.evolution(school.ledger, found["student_id"], **equal)


async def a_student_of_two_courses_is_shown_to_each_as_they_are_there(school: School) -> None:
    ledger, id_, path = school.ledger, school.commuter.student_id, f"/students/{school.commuter.student_id}"
    for someone in (school.commuter, school.admin):
        is_the_profile(school, await done(someone.get(f"{path}/profile")))
        assert await done(someone.get(f"{path}/risks/statistics")) == figures.statistics(ledger, id_)
    for teacher, course in ((school.teacher, COURSE), (school.other_teacher, OTHER_COURSE)):
        there = {"course_id": course}
        for someone in (teacher, school.commuter, school.admin):
            is_the_profile(school, await done(someone.get(f"{path}/profile?course_id={course}")), **there)
        is_the_profile(school, await done(teacher.get(f"{path}/profile")), **there)
        listed = await everything(teacher, "/students")
        assert {one["student_id"] for one in listed} == set(figures.Work(ledger, **there).students)
        risky = {
            one["student_id"] for one in listed if calls_for_a_look(figures.profile(ledger, one["student_id"], **there))
        }
        assert {one["student_id"] for one in await everything(teacher, "/students?at_risk=true")} == risky
        for level in figures.COMPETENCY:
            found = await everything(teacher, f"/students?competency_level={level}")
            on = {one["student_id"] for one in listed if one["average_competency_level"] == level}
            assert {one["student_id"] for one in found} == on
        work = figures.Work(ledger, student_id=id_, **there)
        history = await everything(teacher, f"{path}/history")
        assert {one["id"] for one in history} == {one["id"] for one in work.sessions}
        assert await done(teacher.get(f"{path}/traceability")) == figures.traceability(ledger, student_id=id_, **there)
        assert await done(teacher.get(f"{path}/risks/statistics")) == figures.statistics(ledger, id_, **there)


def calls_for_a_look(profile: Json) -> bool:
    return bool(profile["average_ai_dependency"].expected > 0.7 or profile["critical_risks"])


async def every_session_view_is_what_the_rows_add_up_to(school: School) -> None:
    for session in course_sessions(school)[::4]:
        id_, path = session["id"], f"/sessions/{session['id']}"
        assert await done(school.teacher.get(f"{path}/traceability")) == figures.traceability(school.ledger, id=id_)
        assert await done(school.teacher.get(f"{path}/analysis")) == figures.analysis(school.ledger, id_)
        cognitive = await done(school.teacher.get(f"{path}/cognitive-path"))
        expected = figures.cognitive_path(school.ledger, id_)
        moments = ("started_at", "ended_at")
        phases = [one | {name: moment(one[name]) for name in moments} for one in cognitive["phases"]]
        moves = {(one["from"], one["to"]): one["count"] for one in cognitive["transitions"]}
        curve = [(one["ai_involvement"], one["moving_average"]) for one in cognitive["dependency"]]
        late = cognitive["late"]
        assert {"phases": phases, "transitions": moves, "dependency": curve, "late": late} == expected


async def every_view_of_a_student_is_what_the_rows_add_up_to(school: School) -> None:
    ledger, teacher, seen = school.ledger, school.teacher, set()
    for student in school.students[::2]:
        id_, path = student.student_id, f"/students/{student.student_id}"
        assert await done(teacher.get(f"{path}/traceability")) == figures.traceability(ledger, student_id=id_)
        assert await done(teacher.get(f"{path}/risks/statistics")) == figures.statistics(ledger, id_)
        trends = await done(teacher.get(f"{path}/trends"))
        assert trends == figures.trends(ledger, id_)
        assert len(trends["weeks"]) >= len(LESSONS)
        seen.add(trends["trend"])
        history = await everything(teacher, f"{path}/history")
        assert history == [figures.past_session(ledger, one["id"]) for one in history]
        assert [one["activity_id"] for one in history] == [one.activity_id for one in reversed(LESSONS)]
    assert {"improving", "declining"} <= seen


async def the_class_side_by_side_is_what_the_rows_add_up_to(school: School) -> None:
    for lesson in LESSONS:
        found = await done(school.teacher.get(f"/students/compare?activity_id={lesson.activity_id}"))
        students = figures.Work(school.ledger, activity_id=lesson.activity_id).students
        expected = [figures.compared(school.ledger, lesson.activity_id, student_id) for student_id in students]
        assert found == {"activity_id": lesson.activity_id, "students": expected, "truncated": False}


async def alerts_are_those_that_the_rows_call_for(school: School) -> None:
    found: dict[str, dict[str, Any]] = {rule: {} for rule in school.ledger.scanned["by_rule"]}
    for alert in school.ledger.alerts.values():
        found[alert["detection_rule"]][alert["student_id"]] = alert["actual_value"]
    assert found == figures.alerts(school.ledger)
    assert school.ledger.scanned["created"] == len(school.ledger.alerts)
    expected = figures.live_alerts(school.ledger)
    live = await everything(school.teacher, "/alerts/live?acknowledged=true")
    assert {one["session_id"]: one["triggers"] for one in live} == expected
    left = {one["session_id"] for one in await everything(school.teacher, "/alerts/live")}
    assert left == expected.keys() - {school.ledger.visited}


async def every_report_is_what_the_rows_add_up_to(school: School) -> None:
    for kind in ("cohort_summary", "risk_dashboard", "competency_distribution"):
        found = await done(school.teacher.get(f"/reports/{school.ledger.reports[kind]['id']}"))
        expected = reports.report(school.ledger, kind)
        assert shown(found, expected) == expected


async def each_report_comes_in_the_format_that_it_was_exported_in(school: School) -> None:
    files = [await school.teacher.get(f"/reports/{one['id']}/download") for one in school.ledger.reports.values()]
    summary, dashboard, distribution = files
    students = [student.student_id for student in school.students]
    cells = workbook(summary.content)
    assert [row[0] for row in cells["Students"][1:]] == students
    assert ["sessions", float(len(course_sessions(school)))] in cells["Summary"]
    lines = list(csv.DictReader(io.StringIO(dashboard.text)))
    assert [line["student_id"] for line in lines] == students
    listed = [str(one["traces"]) for one in reports.report(school.ledger, "risk_dashboard")["student_summaries"]]
    assert [line["traces"] for line in lines] == listed
    assert distribution.json() == school.ledger.reports["competency_distribution"]


async def a_session_is_exported_whole(school: School) -> None:
    for session in course_sessions(school)[::10]:
        work = figures.Work(school.ledger, id=session["id"])
        found = await done(school.teacher.get(f"/exports/sessions/{session['id']}"))
        assert [one["id"] for one in found["traces"]] == [one["id"] for one in work.traces]
        assert {one["id"] for one in found["risks"]} == {one["id"] for one in work.all_risks}
        assert [one["id"] for one in found["evaluations"]] == [one["id"] for one in work.evaluations]
        assert {one["id"] for one in found["attempts"]} == {one["id"] for one in work.attempts}
        assert len(found["simulator_events"]) == len(work.events)
        rows = [one for one in school.ledger.commits if one["session_id"] == session["id"]]
        assert len(found["git_traces"]) == len(rows)


async def research_gets_the_groups_that_enough_students_share(school: School) -> None:
    asked = {"study": "A day", "k": reports.K, "course_id": COURSE}
    found = await done(school.teacher.post("/exports/research", json=asked))
    assert (found["released"], found["suppressed"]) == reports.research(school.ledger)
    assert len(found["items"]) == found["released"]["rows"]
    assert min(found["released"]["rows"], found["suppressed"]["rows"]) > 0


async def what_was_found_is_not_found_again(school: School) -> None:
    before = await rows_in(school)
    again = await done(school.teacher.post("/alerts/scan", json={"course_id": COURSE}))
    assert (again["created"], again["known"]) == (0, school.ledger.scanned["created"])
    for session in course_sessions(school)[::6]:
        repeated = await done(school.keys["analysis"].post(f"/sessions/{session['id']}/risks/analyze"))
        assert (repeated["new"], repeated["updated"]) == (0, 0)
    assert await rows_in(school) == before


async def nobody_of_another_course_sees_any_of_it(school: School) -> None:
    mine = course_sessions(school)[0]
    hanging = ("", "/traces", "/risks", "/evaluations", "/git-traces", "/traceability", "/analysis", "/cognitive-path")
    absent = [f"/sessions/{mine['id']}{part}" for part in hanging]
    absent += [f"/students/{mine['student_id']}/{part}" for part in ("profile", "history", "trends", "traceability")]
    absent += [f"/risks/{next(iter(school.ledger.risks))}", f"/exports/sessions/{mine['id']}"]
    absent += [f"/attempts/{next(iter(school.ledger.attempts))}", f"/traces/{school.ledger.traces[0]['id']}"]
    theirs = {one["id"] for one in figures.Work(school.ledger, course_id=OTHER_COURSE).sessions}
    for someone in (school.outsider, school.other_teacher):
        for path in absent:
            assert (await someone.get(path)).status_code == 404, path
        for path in ("/sessions", "/traces", "/risks", "/evaluations", "/attempts"):
            assert await everything(someone, f"{path}?student_id={mine['student_id']}") == []
            found = {one.get("session_id", one["id"]) for one in await everything(someone, path)}
            assert found <= theirs
    for path in ("/alerts", "/alerts/live", "/reports", "/interventions", "/remediation-plans"):
        assert await everything(school.other_teacher, path) == []
    refused = {"report_type": "cohort_summary", "course_id": COURSE}
    period = {"period_start": "2026-01-01T00:00:00Z", "period_end": "2027-01-01T00:00:00Z"}
    assert (await school.other_teacher.post("/reports", json=refused | period)).status_code == 404
    elsewhere = await everything(school.teacher, f"/sessions?course_id={OTHER_COURSE}")
    assert elsewhere == []


CHECKS = (
    every_table_holds_what_the_day_left_there,
    every_session_counts_the_traces_that_were_acknowledged,
    every_step_is_there_as_it_was_sent,
    every_attempt_has_the_score_that_its_result_and_its_hints_give,
    the_rules_find_what_is_in_how_somebody_worked,
    generated_evaluations_say_how_somebody_worked,
    every_profile_is_what_the_rows_add_up_to,
    a_student_of_two_courses_is_shown_to_each_as_they_are_there,
    every_session_view_is_what_the_rows_add_up_to,
    every_view_of_a_student_is_what_the_rows_add_up_to,
    the_class_side_by_side_is_what_the_rows_add_up_to,
    alerts_are_those_that_the_rows_call_for,
    every_report_is_what_the_rows_add_up_to,
    each_report_comes_in_the_format_that_it_was_exported_in,
    a_session_is_exported_whole,
    research_gets_the_groups_that_enough_students_share,
    what_was_found_is_not_found_again,
    nobody_of_another_course_sees_any_of_it,
)


async def live_the_day(app: Litestar, make: Make) -> School:
    school = await open_school(app, make)
    await prepare(school)
    await in_groups(read_material(school, student) for student in school.students[::3])
    await lessons_of_the_class(school)
    await grade_attempts(school)
    await launches_from_the_platform(school)
    await feedback(school)
    await analyse_everything(school)
    await judge_risks(school)
    await look_after_alerts(school)
    await step_in(school)
    await report(school)
    return school


async def test_a_school_day(app: Litestar, make: Make, subtests: pytest.Subtests) -> None:
    """One day, lived once on each database; every check of it is reported by its name."""
    school = await live_the_day(app, make)
    for check in CHECKS:
        with subtests.test(check.__name__):
            await check(school)
