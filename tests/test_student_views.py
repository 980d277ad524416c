"""Views over sessions: each is compared with a plain recomputation of the same rows."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import event

from cortez.analysis.student_rules import Week, process_score, trend_of
from cortez.content.models import Subject
from cortez.evaluations.models import Evaluation
from cortez.exercises.models import Exercise, ExerciseAttempt
from cortez.git.models import GitTrace
from cortez.risks.models import Risk
from cortez.sessions.models import LearningSession
from cortez.traces.models import CognitiveTrace
from factory import Make, Someone

START = datetime(2025, 12, 22, 22, 30, tzinfo=UTC)  # so that weeks cross a year, and sessions cross midnight
STATES = ["exploracion", "planificacion", "implementacion", "depuracion", "atascado", None]
TYPES = ["student_prompt", "ai_response", "code_commit", "self_correction", "tutor_intervention"]
STUDENTS_OWN = {"student_prompt", "code_commit", "self_correction"}
REASON = "because the list may be empty"


class School:
    """Two students on one activity of a course, one of them also elsewhere; every figure drawn by a seed."""

    def __init__(self, make: Make) -> None:
        self.make = make
        self.random = Random(7)  # noqa: S311 - the same rows every time

    async def build(self) -> "School":
        make = self.make
        self.course = await make.course()
        self.teacher = await make.teacher(course=self.course)
        self.ana, self.luis = await make.student(course=self.course), await make.student(course=self.course)
        self.idle = await make.student(course=self.course)
        self.activity = (await make.activity(course_id=self.course)).activity_id
        self.elsewhere = (await make.activity()).activity_id
        await make.add(Subject(code="PY", name="Python", language="python"))
        self.exercise = Exercise(
            subject_code="PY",
            title="x",
            difficulty="Easy",
            time_min=1,
            language="python",
            mission_markdown="x",
            starter_code="x",
        )
        await make.add(self.exercise)
        self.sessions: list[LearningSession] = []
        for weeks, student, activity in (
            (0, self.ana, self.activity),
            (1, self.ana, self.activity),
            (3, self.ana, self.activity),
            (2, self.luis, self.activity),
            (2, self.ana, self.elsewhere),
        ):
            await self.session(START + timedelta(weeks=weeks), student, activity)
        return self

    async def session(self, start: datetime, student: Someone, activity: str) -> None:
        values = {"activity_id": activity, "course_id": self.course if activity == self.activity else None}
        status = self.random.choice(["completed", "active", "aborted"])
        made = await self.make.session(student, start_time=start, created_at=start, status=status, **values)
        self.sessions.append(made)
        own = {"session_id": made.id, "student_id": made.student_id, "activity_id": activity}
        rows: list[Any] = [
            self.trace(start + timedelta(minutes=10 * n), own) for n in range(self.random.randint(10, 20))
        ]
        for n in range(self.random.randint(1, 4)):
            rows.append(self.commit(n, start, own))
            rows.append(self.risk(own))
            rows.append(self.attempt(made, n))
            rows.append(self.evaluation(start + timedelta(hours=n), own))
        await self.make.add(*rows)

    def trace(self, moment: datetime, own: dict[str, Any]) -> CognitiveTrace:
        timed = self.random.random() < 0.5
        return CognitiveTrace(
            **own,
            content="x",
            interaction_type=self.random.choice(TYPES),
            cognitive_state=self.random.choice(STATES),
            cognitive_intent=self.random.choice(["UNDERSTANDING", "DEBUGGING", None]),
            decision_justification=self.random.choice([None, "so", REASON, "  so                     "]),
            ai_involvement=self.random.randint(0, 10) / 10,
            occurred_at=moment if timed else None,
            created_at=START + timedelta(weeks=20) if timed else moment,
        )

    def commit(self, n: int, start: datetime, own: dict[str, Any]) -> GitTrace:
        paths = self.random.sample(["a.py", "b.py", "c.py", "d.py"], 2)
        return GitTrace(
            **own,
            event_type="tag" if n == 3 else "commit",
            commit_hash=f"{n:040x}",
            commit_message="x",
            author_name="x",
            author_email="x",
            timestamp=start,
            branch_name="main",
            files_changed=[{"file_path": path} for path in paths],
        )

    def risk(self, own: dict[str, Any]) -> Risk:
        resolution = self.random.choice([None, "confirmed", "unfounded"])
        values = {"risk_type": "ai_dependency", "risk_level": "high", "dimension": "cognitive", "description": "x"}
        return Risk(**own, **values, resolved=resolution is not None, resolution=resolution)

    def attempt(self, session: LearningSession, n: int) -> ExerciseAttempt:
        passed = self.random.randint(0, 5)
        self.attempts = getattr(self, "attempts", 0) + 1
        return ExerciseAttempt(
            exercise_id=self.exercise.id,
            student_id=session.student_id,
            session_id=session.id,
            submitted_code="x",
            attempt_number=self.attempts,
            tests_total=5,
            tests_passed=passed,
        )

    def evaluation(self, moment: datetime, own: dict[str, Any]) -> Evaluation:
        score = self.random.randint(0, 100) / 10
        return Evaluation(**own, overall_competency_level="autonomo", overall_score=score, created_at=moment)

    async def rows(self, model: type[Any], *sessions: LearningSession) -> list[Any]:
        ids = {session.id for session in sessions}
        return [row for row in await self.make.all(model) if row.session_id in ids]

    def of(self, student: Someone, activity: str | None = None) -> list[LearningSession]:
        mine = [session for session in self.sessions if session.student_id == student.student_id]
        return [session for session in mine if activity in (None, session.activity_id)]


@pytest.fixture
async def school(make: Make) -> School:
    return await School(make).build()


def counted(values: Any) -> dict[str, int]:
    return dict(Counter(value for value in values if value is not None))


def justified(trace: Any) -> bool:
    return trace.interaction_type in STUDENTS_OWN and len((trace.decision_justification or "").strip()) >= 20


async def expected_traceability(school: School, *sessions: LearningSession) -> dict[str, Any]:
    traces = await school.rows(CognitiveTrace, *sessions)
    attempts = await school.rows(ExerciseAttempt, *sessions)
    commits = await school.rows(GitTrace, *sessions)
    own = [trace for trace in traces if trace.interaction_type in STUDENTS_OWN]
    types = Counter(trace.interaction_type for trace in traces)
    return {
        "n1": {
            "attempts": len(attempts),
            "files": len({file["file_path"] for commit in commits for file in commit.files_changed}),
        },
        "n2": {
            "commits": sum(commit.event_type == "commit" for commit in commits),
            "tests": 5 * len(attempts),
            "tests_passed": sum(attempt.tests_passed for attempt in attempts),
        },
        "n3": {
            "prompts": types["student_prompt"],
            "responses": types["ai_response"],
            "ai_share": pytest.approx(sum(trace.ai_involvement for trace in traces) / len(traces), abs=1e-4),
        },
        "n4": {
            "states": counted(trace.cognitive_state for trace in traces),
            "intents": counted(trace.cognitive_intent for trace in traces),
            "justified_share": pytest.approx(sum(map(justified, traces)) / len(own), abs=1e-4),
        },
        "late": {"steps": sum(trace.late for trace in traces), "commits": sum(commit.late for commit in commits)},
    }


async def test_the_traceability_of_a_session_is_what_its_rows_hold(school: School) -> None:
    for session in school.of(school.ana):
        shown = (await school.ana.get(f"/sessions/{session.id}/traceability")).json()
        assert shown == await expected_traceability(school, session)


async def test_the_traceability_of_a_student_is_over_the_sessions_one_may_see(school: School) -> None:
    path = f"/students/{school.ana.student_id}/traceability"
    assert (await school.ana.get(path)).json() == await expected_traceability(school, *school.of(school.ana))
    taught = school.of(school.ana, school.activity)
    assert (await school.teacher.get(path)).json() == await expected_traceability(school, *taught)


async def test_an_empty_session_has_an_empty_traceability(make: Make) -> None:
    session = await make.session()
    shown = (await (await make.admin()).get(f"/sessions/{session.id}/traceability")).json()
    assert shown == {
        "n1": {"attempts": 0, "files": 0},
        "n2": {"commits": 0, "tests": 0, "tests_passed": 0},
        "n3": {"prompts": 0, "responses": 0, "ai_share": None},
        "n4": {"states": {}, "intents": {}, "justified_share": None},
        "late": {"steps": 0, "commits": 0},
    }


async def test_a_history_lists_the_sessions_with_what_hangs_on_them(school: School) -> None:
    path = f"/students/{school.ana.student_id}/history"
    listed = (await school.ana.get(f"{path}?count=true")).json()
    sessions = sorted(school.of(school.ana), key=lambda session: session.created_at, reverse=True)
    assert listed["total"] == 4
    for shown, session in zip(listed["items"], sessions, strict=True):
        traces = await school.rows(CognitiveTrace, session)
        risks = [risk for risk in await school.rows(Risk, session) if risk.resolution != "unfounded"]
        evaluations = sorted(await school.rows(Evaluation, session), key=lambda evaluation: evaluation.created_at)
        commits = await school.rows(GitTrace, session)
        assert (shown["id"], shown["status"], shown["traces"]) == (str(session.id), session.status, len(traces))
        assert shown["ai_involvement"] == pytest.approx(sum(t.ai_involvement for t in traces) / len(traces))
        assert (shown["risks"], shown["unresolved_risks"]) == (len(risks), sum(not risk.resolved for risk in risks))
        assert (shown["last_score"], shown["last_level"]) == (evaluations[-1].overall_score, "autonomo")
        assert shown["commits"] == sum(commit.event_type == "commit" for commit in commits)
        assert shown["attempts"] == len(await school.rows(ExerciseAttempt, session))
    taught = (await school.teacher.get(path)).json()["items"]
    assert [item["activity_id"] for item in taught] == [school.activity] * 3
    first = (await school.ana.get(f"{path}?limit=3")).json()
    rest = (await school.ana.get(f"{path}?cursor={first['next_cursor']}")).json()
    assert first["items"] + rest["items"] == listed["items"]


async def expected_weeks(school: School, *sessions: LearningSession) -> list[dict[str, Any]]:
    by_week: dict[str, list[Any]] = defaultdict(list)
    for trace in await school.rows(CognitiveTrace, *sessions):
        year, week, _ = (trace.occurred_at or trace.created_at).isocalendar()
        by_week[f"{year}-W{week:02}"].append(trace)
    risks = Counter(risk.session_id for risk in await school.rows(Risk, *sessions) if risk.resolution != "unfounded")
    weeks = []
    for week, traces in sorted(by_week.items()):
        ids = {trace.session_id for trace in traces}
        share = sum(trace.ai_involvement for trace in traces) / len(traces)
        states = [trace.cognitive_state for trace in traces if trace.cognitive_state]
        stuck = states.count("atascado") / len(states)
        avoided = max(0.0, 1 - sum(risks[id_] for id_ in ids) / len(ids) / 3)
        score = 40 * (1 - share) + 20 * len(set(states)) / 9 + 20 * max(0.0, 1 - 2 * stuck) + 20 * avoided
        shown = {"week": week, "sessions": len(ids), "ai_involvement": pytest.approx(share, abs=1e-4)}
        weeks.append(shown | {"process_score": pytest.approx(score, abs=0.06)})
    return weeks


async def test_trends_are_the_weeks_of_the_steps(school: School) -> None:
    path = f"/students/{school.ana.student_id}/trends"
    own = (await school.ana.get(path)).json()
    assert own["weeks"] == await expected_weeks(school, *school.of(school.ana))
    assert [week["week"] for week in own["weeks"]] == ["2025-W52", "2026-W01", "2026-W02", "2026-W03"]
    taught = (await school.teacher.get(path)).json()
    assert taught["weeks"] == await expected_weeks(school, *school.of(school.ana, school.activity))
    assert [week["week"] for week in taught["weeks"]] == ["2025-W52", "2026-W01", "2026-W03"]


async def test_a_week_begins_on_monday_at_midnight_in_utc(make: Make) -> None:
    session = await make.session()
    sunday = datetime(2027, 1, 3, 23, 59, 59, 999_999, tzinfo=UTC)
    for moment in (sunday, sunday + timedelta(microseconds=1)):
        await make.trace(session, occurred_at=moment)
    shown = (await (await make.admin()).get(f"/students/{session.student_id}/trends")).json()
    assert [week["week"] for week in shown["weeks"]] == ["2026-W53", "2027-W01"]
    assert [week["sessions"] for week in shown["weeks"]] == [1, 1]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([], "insufficient_data"),
        ([0.5], "insufficient_data"),
        ([0.5, 0.45], "stable"),
        ([0.5, 0.55], "stable"),
        ([0.5, 0.44], "improving"),
        ([0.5, 0.56], "declining"),
        ([0.2, 0.2, 0.4], "declining"),
        ([0.6, 0.4, 0.8], "stable"),
        ([0.9, 0.7, 0.1, 0.3], "improving"),
    ],
)
def test_the_trend_compares_the_halves(shares: list[float], expected: str) -> None:
    assert trend_of([Week(f"2026-W{n:02}", 1, share, 50.0) for n, share in enumerate(shares)]) == expected


@pytest.mark.parametrize(
    ("share", "states", "risks", "expected"),
    [
        (0.0, {}, 0.0, 80.0),
        (1.0, {"atascado": 4}, 3.0, 2.2),
        (1.0, {"atascado": 4}, 30.0, 2.2),
        (0.5, {"exploracion": 3, "atascado": 1}, 1.5, 20 + 4.4 + 10 + 10),
        (0.0, dict.fromkeys("abcdefghi", 1), 0.0, 100.0),
    ],
)
def test_the_process_score_lies_between_0_and_100(
    share: float, states: dict[str, int], risks: float, expected: float
) -> None:
    assert process_score(share, states, risks) == pytest.approx(expected)


async def test_the_statistics_of_risks_are_of_the_sessions_one_may_see(school: School) -> None:
    make, path = school.make, f"/students/{school.ana.student_id}/risks/statistics"
    kinds = [("cognitive_delegation", "critical", "cognitive"), ("policy_violation", "low", "governance")]
    for session in school.of(school.ana):
        for type_, level, dimension in kinds:
            await make.risk(session, risk_type=type_, risk_level=level, dimension=dimension)
    for someone, sessions in (
        (school.ana, school.of(school.ana)),
        (school.teacher, school.of(school.ana, school.activity)),
    ):
        risks = await school.rows(Risk, *sessions)
        shown = (await someone.get(path)).json()
        assert shown.pop("student_id") == school.ana.student_id
        assert {name: count for name, count in shown.pop("by_dimension").items() if count} == counted(
            risk.dimension for risk in risks
        )
        assert {name: count for name, count in shown.pop("by_level").items() if count} == counted(
            risk.risk_level for risk in risks
        )
        assert shown.pop("by_type") == counted(risk.risk_type for risk in risks)
        assert shown == {
            "total": len(risks),
            "unresolved": sum(not risk.resolved for risk in risks),
            "confirmed": sum(risk.resolution == "confirmed" for risk in risks),
            "unfounded": sum(risk.resolution == "unfounded" for risk in risks),
        }
    nothing = (await school.idle.get(f"/students/{school.idle.student_id}/risks/statistics")).json()
    assert (nothing["total"], nothing["by_type"], nothing["by_level"]["critical"]) == (0, {}, 0)


async def test_the_students_of_an_activity_are_compared(school: School) -> None:
    view = (await school.teacher.get(f"/students/compare?activity_id={school.activity}")).json()
    assert (view["activity_id"], view["truncated"]) == (school.activity, False)
    students = sorted((school.ana, school.luis), key=lambda student: student.student_id)
    for shown, student in zip(view["students"], students, strict=True):
        sessions = school.of(student, school.activity)
        traces = await school.rows(CognitiveTrace, *sessions)
        expected = await expected_traceability(school, *sessions)
        risks = [risk for risk in await school.rows(Risk, *sessions) if risk.resolution != "unfounded"]
        scores = [evaluation.overall_score for evaluation in await school.rows(Evaluation, *sessions)]
        assert (shown["student_id"], shown["sessions"]) == (student.student_id, len(sessions))
        assert shown["completed"] == sum(session.status == "completed" for session in sessions)
        assert datetime.fromisoformat(shown["first_started"]) == min(session.start_time for session in sessions)
        assert datetime.fromisoformat(shown["last_started"]) == max(session.start_time for session in sessions)
        assert (shown["traces"], shown["risks"]) == (len(traces), len(risks))
        assert shown["ai_involvement"] == expected["n3"]["ai_share"]
        assert (shown["states"], shown["justified_share"]) == (
            expected["n4"]["states"],
            expected["n4"]["justified_share"],
        )
        assert (shown["commits"], shown["attempts"]) == (expected["n2"]["commits"], expected["n1"]["attempts"])
        assert (shown["evaluations"], shown["average_score"]) == (len(scores), pytest.approx(sum(scores) / len(scores)))
        mean = sum(trace.ai_involvement for trace in traces) / len(traces)
        assert shown["process_score"] == process_score(mean, shown["states"], len(risks) / len(sessions))


async def test_a_comparison_shows_only_sessions_one_may_see(school: School) -> None:
    make = school.make
    stranger = await make.teacher()
    view = (await stranger.get(f"/students/compare?activity_id={school.activity}")).json()
    assert view["students"] == []
    assert (await school.ana.get(f"/students/compare?activity_id={school.activity}")).status_code == 403
    assert (await school.teacher.get("/students/compare?activity_id=nowhere")).status_code == 404
    assert (await school.teacher.get("/students/compare")).status_code == 422
    assert (await school.teacher.get("/students/compare?activity_id=a/b")).status_code == 422
    draft = await make.activity(status="draft")
    assert (await stranger.get(f"/students/compare?activity_id={draft.activity_id}")).status_code == 404
    key = await make.key("read", course_ids=[school.course])
    assert len((await key.get(f"/students/compare?activity_id={school.activity}")).json()["students"]) == 2


VIEWS = ("traceability", "history", "trends", "risks/statistics")


@pytest.mark.parametrize("view", VIEWS)
async def test_a_student_one_may_not_see_is_not_there(school: School, view: str) -> None:
    make = school.make
    path = f"/students/{school.ana.student_id}/{view}"
    stranger, limited = await make.teacher(), await make.key("read", course_ids=["other"])
    for someone, status in (
        (school.ana, 200),
        (school.teacher, 200),
        (await make.key("read"), 200),
        (await make.key("git"), 403),
        (school.luis, 404),
        (stranger, 404),
        (limited, 404),
    ):
        assert (await someone.get(path)).status_code == status
    assert (await (await make.admin()).get(f"/students/nobody/{view}")).status_code == 404
    assert (await school.teacher.get(f"/students/a%20b/{view}")).status_code == 404


@pytest.mark.parametrize("view", VIEWS)
async def test_a_student_without_a_session_is_seen_by_those_who_know_them(school: School, view: str) -> None:
    path = f"/students/{school.idle.student_id}/{view}"
    admin, stranger = await school.make.admin(), await school.make.teacher()
    for someone, status in ((school.idle, 200), (school.teacher, 200), (admin, 200), (stranger, 404)):
        assert (await someone.get(path)).status_code == status
    shown = (await school.idle.get(path)).json()
    if view == "history":
        assert shown == {"items": [], "next_cursor": None}
    if view == "trends":
        assert shown == {"student_id": school.idle.student_id, "weeks": [], "trend": "insufficient_data"}


async def test_a_session_one_may_not_see_has_no_traceability(school: School) -> None:
    path = f"/sessions/{school.sessions[0].id}/traceability"
    assert (await school.teacher.get(path)).status_code == 200
    assert (await school.luis.get(path)).status_code == 404
    assert (await (await school.make.key("git")).get(path)).status_code == 403


@pytest.mark.requirement("P3")
async def test_the_number_of_queries_does_not_grow_with_the_sessions(school: School) -> None:
    engine = school.make.database.engine.sync_engine
    paths = [f"/students/{school.ana.student_id}/{view}" for view in VIEWS]
    paths.append(f"/students/compare?activity_id={school.activity}")
    counts: list[list[int]] = []
    for extra in (0, 12):
        for n in range(extra):
            await school.session(START + timedelta(weeks=n), (school.ana, school.luis)[n % 2], school.activity)
        counts.append([])
        for path in paths:
            seen: list[str] = []

            def note(*given: Any, seen: list[str] = seen) -> None:
                seen.append(given[2])

            event.listen(engine, "before_cursor_execute", note)
            assert (await school.teacher.get(path)).status_code == 200
            event.remove(engine, "before_cursor_execute", note)
            counts[-1].append(len(seen))
    assert counts[0] == counts[1]
