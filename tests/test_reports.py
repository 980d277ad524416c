"""Course reports: every figure as an independent count over the rows gives it, for those who teach the course."""

import csv
import io
import random
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import httpx
import pytest
from sqlalchemy import event

from cortez.accounts.models import CourseMember
from cortez.core.db.base import Base
from cortez.core.db.engine import Database
from cortez.core.web.spreadsheets import csv_lines, disarmed
from cortez.evaluations.models import Evaluation
from cortez.reports.models import CourseReport
from cortez.reports.rules import Findings, Student, Week, recommendations, top_risks, totals, trend
from cortez.risks.models import Risk, RiskDimension, RiskLevel, RiskType
from cortez.sessions.models import LearningSession
from cortez.traces.models import CognitiveTrace
from factory import Make, Someone

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
END = START + timedelta(weeks=4)
PERIOD = {"period_start": START.isoformat(), "period_end": END.isoformat()}
SUMMARY = {"report_type": "cohort_summary", "course_id": "c", **PERIOD}
LEVELS = ["inicial", "en_desarrollo", "autonomo", "experto"]
UNKNOWN = "00000000-0000-7000-8000-000000000000"
NUMBER = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


class Class:
    """A course with rows of every kind, some of them outside of what a report on it is about."""

    def __init__(self, make: Make, seed: int) -> None:
        self.make = make
        self.random = random.Random(seed)  # noqa: S311 - the same class each time
        self.members: set[str] = set()
        self.rows: list[Base] = []

    async def fill(self, students: int) -> None:
        for course in ("c", "other"):
            await self.make.course(course)
        activities = [(await self.make.activity(course_id="c")).activity_id for _ in range(3)]
        for _ in range(students):
            student = await self.make.student(course="c")
            self.members.add(student.student_id)
            for _ in range(self.random.randrange(6)):
                self.session(student.student_id, self.random.choice(activities))
        self.session("left-the-course", activities[0], course="c", at=START)
        await self.make.add(*self.rows)

    def session(self, student_id: str, activity_id: str, course: str = "", at: datetime | None = None) -> None:
        pick = self.random
        edges = [START - timedelta(microseconds=1), START, END - timedelta(microseconds=1), END]
        moment = at or pick.choice([*edges, *(START + timedelta(hours=pick.randrange(24 * 28)) for _ in range(8))])
        status = pick.choice(["active", "completed", "completed", "abandoned"])
        session = LearningSession(
            id=UUID(int=pick.getrandbits(128)),
            student_id=student_id,
            activity_id=activity_id,
            course_id=course or pick.choice(["c", "c", "c", "other"]),
            start_time=moment,
            status=status,
        )
        own = {"session_id": session.id, "student_id": student_id, "activity_id": activity_id}
        self.rows.append(session)
        for _ in range(pick.randrange(5)):
            share = pick.choice([0.0, 0.25, 0.5, 0.9, 1.0])
            step = CognitiveTrace(interaction_type="ai_response", content="x", ai_involvement=share, **own)
            self.rows.append(step)
        for _ in range(pick.randrange(6)):
            kind = pick.choice(list(RiskType)[:7])
            dimension = list(RiskDimension)[list(RiskType).index(kind) % 5]
            judged = pick.choice([None, None, "confirmed", "unfounded"])
            level = pick.choice(list(RiskLevel)).value
            values = {"risk_type": kind.value, "dimension": dimension.value, "risk_level": level, "description": "x"}
            self.rows.append(Risk(**values, resolved=judged is not None, resolution=judged, **own))
        for _ in range(pick.randrange(3)):
            score = pick.randrange(0, 101) / 10
            level = pick.choice(LEVELS)
            self.rows.append(Evaluation(overall_score=score, overall_competency_level=level, **own))


async def make_class(make: Make, students: int = 14, seed: int = 1) -> Class:
    made = Class(make, seed)
    await made.fill(students)
    return made


class Expected:
    """The figures of a report, counted row by row in Python."""

    def __init__(self, rows: dict[type[Base], list[Any]], members: set[str], chosen: Sequence[str] | None) -> None:
        self.sessions = {
            session.id: session
            for session in rows[LearningSession]
            if session.course_id == "c"
            and START <= session.start_time < END
            and (chosen is None or session.student_id in chosen)
        }
        self.students = sorted(
            chosen if chosen is not None else {session.student_id for session in self.sessions.values()} | members
        )
        self.traces = [trace for trace in rows[CognitiveTrace] if trace.session_id in self.sessions]
        self.evaluations = [one for one in rows[Evaluation] if one.session_id in self.sessions]
        self.risks = [
            risk for risk in rows[Risk] if risk.session_id in self.sessions and risk.resolution != "unfounded"
        ]

    def of(self, student_id: str) -> dict[str, Any]:
        sessions = [session for session in self.sessions.values() if session.student_id == student_id]
        shares = [trace.ai_involvement for trace in self.traces if trace.student_id == student_id]
        scores = [one.overall_score for one in self.evaluations if one.student_id == student_id]
        risks = [risk for risk in self.risks if risk.student_id == student_id]
        critical = sum(risk.risk_level == "critical" and not risk.resolved for risk in risks)
        mean = round(fmean(scores), 4) if scores else None
        reasons = ["critical_risk"] * (critical > 0)
        reasons += ["ai_share"] * (bool(shares) and round(fmean(shares), 4) > 0.7)
        reasons += ["few_sessions"] * (len(sessions) < 3)
        return {
            "student_id": student_id,
            "sessions": len(sessions),
            "completed_sessions": sum(session.status == "completed" for session in sessions),
            "traces": len(shares),
            "mean_ai_share": approximately(fmean(shares)) if shares else None,
            "risks": len(risks),
            "open_critical_risks": critical,
            "evaluations": len(scores),
            "mean_score": approximately(mean) if mean is not None else None,
            "competency_level": band(mean),
            "last_session_at": last(session.start_time for session in sessions),
            "at_risk": reasons,
        }


def approximately(value: float) -> Any:
    return pytest.approx(value, abs=1e-4)


def band(score: float | None) -> str | None:
    if score is None:
        return None
    return LEVELS[(score >= 5) + (score >= 7) + (score >= 8.5)]


def last(moments: Iterator[datetime]) -> str | None:
    found = max(moments, default=None)
    return found.isoformat().replace("+00:00", "Z") if found else None


async def expected(make: Make, members: set[str], chosen: Sequence[str] | None = None) -> Expected:
    models: list[type[Base]] = [LearningSession, CognitiveTrace, Evaluation, Risk]
    return Expected({model: await make.all(model) for model in models}, members, chosen)


async def report(someone: Someone, **changes: Any) -> dict[str, Any]:
    answer = await someone.post("/reports", json=SUMMARY | changes)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_figure_is_what_the_rows_say(make: Make, seed: int) -> None:
    made = await make_class(make, seed=seed)
    teacher = await make.teacher(course="c")
    found = await report(teacher)
    right = await expected(make, made.members)
    assert found["student_summaries"] == [right.of(student_id) for student_id in right.students]
    assert found["at_risk_students"] == [one for one in right.students if right.of(one)["at_risk"]]
    levels = Counter(right.of(one)["competency_level"] for one in right.students)
    assert found["competency_distribution"] == {level: levels[level] for level in LEVELS}
    counts = Counter(risk.risk_level for risk in right.risks)
    assert found["risk_distribution"] == {level.value: counts[level.value] for level in RiskLevel}
    types = Counter((risk.risk_type, risk.dimension) for risk in right.risks)
    top = sorted(types.items(), key=lambda entry: (-entry[1], entry[0]))[:5]
    assert [(one["risk_type"], one["dimension"]) for one in found["top_risks"]] == [kind for kind, _ in top]
    assert [one["count"] for one in found["top_risks"]] == [count for _, count in top]
    assert found["summary_stats"] == {
        "selection": False,
        "students": len(right.students),
        "active_students": len({session.student_id for session in right.sessions.values()}),
        "evaluated_students": len({one.student_id for one in right.evaluations}),
        "sessions": len(right.sessions),
        "completed_sessions": sum(session.status == "completed" for session in right.sessions.values()),
        "traces": len(right.traces),
        "risks": len(right.risks),
        "evaluations": len(right.evaluations),
        "mean_ai_share": approximately(fmean(trace.ai_involvement for trace in right.traces)),
        "mean_score": pytest.approx(fmean(one.overall_score for one in right.evaluations), abs=0.006),
    }
    assert "left-the-course" in right.students
    assert (found["teacher_id"], found["course_id"]) == (str(teacher.id), "c")
    assert found["institutional_recommendations"]
    assert (await teacher.get(f"/reports/{found['id']}")).json() == found


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_dashboard_adds_dimensions_weeks_and_ten_risks(make: Make, seed: int) -> None:
    made = await make_class(make, seed=seed)
    found = await report(await make.teacher(course="c"), report_type="RISK_DASHBOARD")
    right = await expected(make, made.members)
    dimensions = Counter(risk.dimension for risk in right.risks)
    shown = found["summary_stats"]
    assert shown["risks_by_dimension"] == {one.value: dimensions[one.value] for one in RiskDimension}
    assert len(found["top_risks"]) == len({risk.risk_type for risk in right.risks})
    assert 5 < len(found["top_risks"]) <= 10
    weeks: dict[str, list[UUID]] = defaultdict(list)
    for session in right.sessions.values():
        year, week, _ = session.start_time.isocalendar()
        weeks[f"{year}-W{week:02}"].append(session.id)
    for entry, (name, ids) in zip(shown["weekly"], sorted(weeks.items()), strict=True):
        shares = [trace.ai_involvement for trace in right.traces if trace.session_id in ids]
        assert entry == {
            "week": name,
            "sessions": len(ids),
            "risks": sum(risk.session_id in ids for risk in right.risks),
            "mean_ai_share": approximately(fmean(shares)) if shares else None,
        }
    assert shown["trend"] in {"rising", "falling", "stable"}


async def test_the_distribution_of_competency_adds_the_activities(make: Make) -> None:
    made = await make_class(make)
    found = await report(await make.teacher(course="c"), report_type="competency_distribution")
    right = await expected(make, made.members)
    by_activity: dict[str, list[Evaluation]] = defaultdict(list)
    for one in right.evaluations:
        by_activity[one.activity_id].append(one)
    assert found["summary_stats"]["by_activity"] == [
        {
            "activity_id": activity_id,
            "evaluations": len(found),
            "mean_score": approximately(fmean(one.overall_score for one in found)),
            "levels": {level: sum(one.overall_competency_level == level for one in found) for level in LEVELS},
        }
        for activity_id, found in sorted(by_activity.items())
    ]


async def test_a_report_on_some_students_counts_those_only(make: Make) -> None:
    made = await make_class(make)
    chosen = [*sorted(made.members)[:3], "left-the-course"]
    found = await report(await make.teacher(course="c"), student_ids=chosen)
    right = await expected(make, made.members, chosen)
    assert found["student_summaries"] == [right.of(student_id) for student_id in sorted(chosen)]
    assert found["summary_stats"]["selection"] is True
    assert found["summary_stats"]["sessions"] == len(right.sessions)
    assert sum(found["risk_distribution"].values()) == len(right.risks)


async def test_students_who_are_not_of_the_course_are_refused_by_their_place(make: Make) -> None:
    made = await make_class(make, students=2)
    stranger, teacher = await make.student(course="other"), await make.teacher(course="c")
    one = next(iter(made.members))
    chosen = [one, stranger.student_id, "nobody"]
    answer = await teacher.post("/reports", json=SUMMARY | {"student_ids": chosen})
    assert (answer.status_code, answer.json()["code"]) == (422, "STUDENT_NOT_IN_COURSE")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/student_ids/1", "/student_ids/2"]
    assert await make.all(CourseReport) == []


async def test_an_empty_course_gives_an_empty_report(make: Make) -> None:
    await make.course("c")
    for kind in ("cohort_summary", "risk_dashboard", "competency_distribution"):
        found = await report(await make.admin(), report_type=kind)
        assert found["summary_stats"]["mean_ai_share"] is None
        assert found["student_summaries"] == found["top_risks"] == found["at_risk_students"] == []
        assert found["institutional_recommendations"] == [
            "Nobody worked in this period, so there is nothing to recommend."
        ]


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


@pytest.mark.requirement("P5")
async def test_a_report_takes_as_many_statements_for_two_students_as_for_twenty(make: Make, database: Database) -> None:
    await make_class(make, students=2)
    admin = await make.admin()
    counts = []
    for _ in range(2):
        with statements(database) as seen:
            await report(admin, report_type="risk_dashboard")
        counts.append(len(seen))
        for _ in range(18):
            await make.session(await make.student(course="c"), course_id="c", start_time=START)
    assert counts[0] == counts[1]


async def test_students_tutors_and_keys_make_no_reports(make: Make) -> None:
    await make.course("c")
    found = await report(await make.admin())
    for someone in (await make.student(course="c"), await make.key()):
        assert (await someone.post("/reports", json=SUMMARY)).status_code == 403
        for path in ("/reports", f"/reports/{found['id']}", f"/reports/{found['id']}/download"):
            assert (await someone.get(path)).status_code == 403
    tutor = await make.tutor(course="c")
    assert (await tutor.post("/reports", json=SUMMARY)).status_code == 403
    assert (await tutor.post(f"/reports/{found['id']}/export", json={"format": "csv"})).status_code == 403
    assert (await tutor.get(f"/reports/{found['id']}")).status_code == 200


async def test_the_reports_of_another_course_do_not_exist(make: Make) -> None:
    await make.course("c")
    await make.course("mine")
    admin, stranger = await make.admin(), await make.teacher(course="mine")
    found = await report(admin)
    assert (await stranger.post("/reports", json=SUMMARY)).status_code == 404
    assert (await stranger.get("/reports?count=true")).json()["total"] == 0
    assert (await stranger.get("/reports?course_id=c")).json()["items"] == []
    for answer in (
        await stranger.get(f"/reports/{found['id']}"),
        await stranger.get(f"/reports/{found['id']}/download"),
        await stranger.post(f"/reports/{found['id']}/export", json={"format": "json"}),
        await admin.get(f"/reports/{UNKNOWN}"),
        await admin.post("/reports", json=SUMMARY | {"course_id": "none"}),
    ):
        assert answer.status_code == 404


async def test_a_report_does_not_show_what_its_teacher_may_not_see(make: Make) -> None:
    """The sessions of a student in another course count for nobody here."""
    await make.course("c")
    await make.course("other")
    student = await make.student(course="c")
    await make.add(CourseMember(course_id="other", user_id=student.id, role="student"))
    await make.session(student, course_id="other", start_time=START)
    found = await report(await make.teacher(course="c"))
    assert [(one["student_id"], one["sessions"]) for one in found["student_summaries"]] == [(student.student_id, 0)]


@pytest.mark.parametrize(
    "changes",
    [
        {"period_end": PERIOD["period_start"]},
        {"period_start": "2026-05-01T00:00:00Z"},
        {"period_start": "2026-03-02"},
        {"report_type": "everything"},
        {"student_ids": []},
        {"course_id": "a b"},
        {"course_id": None},
    ],
)
async def test_a_bad_report_is_refused(make: Make, changes: dict[str, Any]) -> None:
    await make.course("c")
    admin = await make.admin()
    answer = await admin.post("/reports", json=SUMMARY | changes)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"]
    assert await make.all(CourseReport) == []


async def test_lists_are_filtered_and_leave_single_students_out(make: Make) -> None:
    await make_class(make, students=2)
    teacher, admin = await make.teacher(course="c"), await make.admin()
    first = await report(teacher)
    second = await report(admin, report_type="risk_dashboard")
    other = await report(admin, course_id="other")
    listed = (await admin.get("/reports")).json()["items"]
    assert [one["id"] for one in listed] == [other["id"], second["id"], first["id"]]
    assert listed[2] == {name: value for name, value in first.items() if name != "student_summaries"}
    for query, ids in (
        ("course_id=other", [other["id"]]),
        (f"teacher_id={teacher.id}", [first["id"]]),
        ("report_type=risk_dashboard", [second["id"]]),
        ("course_id=c", [second["id"], first["id"]]),
    ):
        assert [one["id"] for one in (await admin.get(f"/reports?{query}")).json()["items"]] == ids
    assert (await admin.get("/reports?report_type=none")).status_code == 422
    assert (await admin.get("/reports?teacher_id=none")).status_code == 422


async def exported(someone: Someone, report_id: str, format_: str) -> httpx.Response:
    answer = await someone.post(f"/reports/{report_id}/export", json={"format": format_})
    assert answer.status_code == 200, answer.text
    assert answer.json()["format"] == format_.lower().replace("excel", "xlsx")
    assert answer.json()["exported_at"]
    found = await someone.get(f"/reports/{report_id}/download")
    assert found.status_code == 200, found.text
    assert found.headers["content-disposition"] == f'attachment; filename="{answer.json()["file_path"]}"'
    return found


async def test_a_report_is_downloaded_in_the_format_it_was_exported_in(make: Make) -> None:
    await make_class(make)
    teacher = await make.teacher(course="c")
    found = await report(teacher)
    before = await teacher.get(f"/reports/{found['id']}/download")
    assert (before.status_code, before.json()["code"]) == (409, "NOT_EXPORTED")
    table = await exported(teacher, found["id"], "CSV")
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["student_id"] for row in rows] == [one["student_id"] for one in found["student_summaries"]]
    assert [int(row["sessions"]) for row in rows] == [one["sessions"] for one in found["student_summaries"]]
    assert [row["at_risk"] for row in rows] == [", ".join(one["at_risk"]) for one in found["student_summaries"]]
    whole = await exported(teacher, found["id"], "json")
    assert whole.headers["content-type"] == "application/json"
    assert whole.json() == (await teacher.get(f"/reports/{found['id']}")).json()
    book = await exported(teacher, found["id"], "excel")
    assert book.headers["content-type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert "c-cohort_summary-2026-03-02.xlsx" in book.headers["content-disposition"]
    sheets = workbook(book.content)
    assert sheets["Students"][0] == list(Student(student_id="").summary())
    assert [row[0] for row in sheets["Students"][1:]] == [one["student_id"] for one in found["student_summaries"]]
    assert ["sessions", float(found["summary_stats"]["sessions"])] in sheets["Summary"]
    assert [row[0] for row in sheets["Recommendations"][1:]] == found["institutional_recommendations"]
    assert [row[2] for row in sheets["Findings"][1:]] == [one["count"] for one in found["top_risks"]]


def workbook(content: bytes) -> dict[str, list[list[Any]]]:
    """The cells of each sheet, read from the parts of the file."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        book = ElementTree.fromstring(file.read("xl/workbook.xml"))  # noqa: S314 - our own file
        names = [sheet.attrib["name"] for sheet in book.iter(f"{NUMBER}sheet")]
        pages = [ElementTree.fromstring(file.read(f"xl/worksheets/sheet{n}.xml")) for n in range(1, len(names) + 1)]  # noqa: S314
    for page in pages:
        assert not list(page.iter(f"{NUMBER}f"))  # no formula anywhere
    return {
        name: [[value_of(cell) for cell in row] for row in page.iter(f"{NUMBER}row")]
        for name, page in zip(names, pages, strict=True)
    }


def value_of(cell: Any) -> Any:
    if cell.attrib.get("t") == "inlineStr":
        return "".join(part.text or "" for part in cell.iter(f"{NUMBER}t"))
    value = cell.find(f"{NUMBER}v")
    return None if value is None else float(value.text)


async def test_no_cell_is_taken_for_a_formula(make: Make) -> None:
    """What a client can put into a report that ends up in a cell: the key of a student."""
    await make.course("c")
    names = ["-2+3", "@SUM", "-1"]
    for name in names:
        await make.session(await make.student(student_id=name), course_id="c", start_time=START)
    admin = await make.admin()
    found = await report(admin)
    text = (await exported(admin, found["id"], "csv")).text
    assert [row[0] for row in csv.reader(io.StringIO(text))][1:] == sorted(f"'{name}" for name in names)
    sheets = workbook((await exported(admin, found["id"], "xlsx")).content)
    assert [row[0] for row in sheets["Students"][1:]] == sorted(names)  # a text cell, which is no formula


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "＠x"])  # noqa: RUF001
def test_texts_that_a_spreadsheet_would_run_are_marked(text: str) -> None:
    assert disarmed(text).startswith("'")
    assert disarmed(text).replace("'", "") == text


def test_so_are_those_that_begin_where_some_program_splits() -> None:
    """A Spanish Excel opened `hola;=cmd|'/C calc'!A0` as two cells, the second of them a formula."""
    assert csv_lines([["hola;=cmd|' /C calc'!A0;fin", 1, None]]) == b'"hola;\'=cmd|\' /C calc\'!A0;fin",1,""\r\n'
    assert disarmed("a\n=1\r\n +1\t-1") == "a\n'=1\r\n' +1\t'-1"


@pytest.mark.parametrize("text", ["", "a=1", "1-2", "'=1", "x@y", "a\r\nb", "a;b", "def f():\n\treturn 1\n\n"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert disarmed(text) == text


async def test_a_bad_export_is_refused(make: Make) -> None:
    await make.course("c")
    admin = await make.admin()
    found = await report(admin)
    path = f"/reports/{found['id']}/export"
    for body in ({"format": "pdf"}, {}, {"format": "csv", "to": "/etc"}):
        assert (await admin.post(path, json=body)).status_code == 422
    tag = (await admin.get(f"/reports/{found['id']}")).headers["etag"]
    assert (await admin.post(path, json={"format": "csv"}, headers={"If-Match": tag})).status_code == 200
    assert (await admin.post(path, json={"format": "json"}, headers={"If-Match": tag})).status_code == 412
    assert (await admin.post(f"/reports/{UNKNOWN}/export", json={"format": "csv"})).status_code == 404


async def test_a_report_stays_as_it_was_computed(make: Make) -> None:
    await make_class(make, students=2)
    admin = await make.admin()
    found = await report(admin)
    await make.session(course_id="c", start_time=START)
    await exported(admin, found["id"], "json")
    later = (await admin.get(f"/reports/{found['id']}")).json()
    assert later["summary_stats"] == found["summary_stats"]
    assert (await report(admin))["summary_stats"]["sessions"] == found["summary_stats"]["sessions"] + 1


async def test_a_report_of_the_predecessor_is_shown_and_downloaded(make: Make) -> None:
    await make.course("c")
    old = CourseReport(
        **{name: SUMMARY[name] for name in ("course_id", "report_type")},
        period_start=START,
        period_end=END,
        summary_stats={"total_students": 2},
        competency_distribution={"BASICO": 2},
        risk_distribution={},
        student_summaries=[{"student_id": "s", "nested": {"a": 1}}, {"other": True}],
        top_risks=["=cmd"],
        format="xlsx",
        file_path='reports/"report".xlsx',
        exported_at=END,
    )
    await make.add(old)
    answer = await (await make.admin()).get(f"/reports/{old.id}/download")
    assert answer.headers["content-disposition"] == 'attachment; filename="c-cohort_summary-2026-03-02.xlsx"'
    sheets = workbook(answer.content)
    assert sheets["Students"][:2] == [["student_id", "nested", "other"], ["s", '{"a":1}', ""]]
    assert sheets["Findings"][1] == ["=cmd"]


def student(number: int, **values: Any) -> Student:
    return Student(student_id=f"s{number}", **({"sessions": 3} | values))


def said(*students: Student, top: Sequence[dict[str, Any]] = ()) -> list[str]:
    """The first words of each recommendation."""
    mean = totals(students, [])["mean_ai_share"]
    return [" ".join(sentence.split()[:3]) for sentence in recommendations(students, mean, top)]


def test_each_rule_recommends_above_its_threshold_and_not_at_it() -> None:
    fine = "Nothing in these"
    assert said(student(1, traces=10, share=6.0)) == [fine]
    assert said(student(1, traces=10, share=6.1)) == ["The AI's mean"]
    assert said(student(1, sessions=4), student(2, sessions=2)) == [fine]
    assert said(student(1, sessions=4), student(2, sessions=1)) == ["There are 2.5"]
    assert said(student(1, open_critical_risks=2)) == ["Unresolved critical findings:"]
    beginners = [student(n, competency_level="inicial" if n < 2 else "autonomo") for n in range(5)]
    assert said(*beginners) == [fine]
    assert said(*beginners, student(9, competency_level="inicial")) == ["3 of 6"]
    assert said(student(1), top=[{"risk_type": "plagiarism", "dimension": "ethical", "count": 3}]) == [
        "The most frequent"
    ]


def test_who_may_need_a_look() -> None:
    assert student(1, traces=10, share=7.0).reasons() == []
    assert student(1, traces=10, share=7.1).reasons() == ["ai_share"]
    assert student(1, sessions=2).reasons() == ["few_sessions"]
    assert student(1, sessions=0, open_critical_risks=1).reasons() == ["critical_risk", "few_sessions"]


def test_a_trend_takes_a_fifth() -> None:
    def weeks(*risks: int) -> list[Week]:
        return [Week(week=f"2026-W{n}", sessions=10, risks=one, mean_ai_share=None) for n, one in enumerate(risks)]

    assert trend(weeks(10)) == "insufficient_data"
    assert trend(weeks(10, 12)) == "stable"
    assert trend(weeks(10, 13)) == "rising"
    assert trend(weeks(10, 8)) == "stable"
    assert trend(weeks(10, 99, 7)) == "falling"
    assert trend(weeks(0, 0)) == "stable"


def test_the_dashboard_names_ten_risks_and_other_reports_five() -> None:
    found = [Findings(f"type-{n:02}", "cognitive", level, n) for n in range(12) for level in ("low", "high")]
    assert [one["count"] for one in top_risks(found, "cohort_summary")] == [22, 20, 18, 16, 14]
    assert len(top_risks(found, "risk_dashboard")) == 10
