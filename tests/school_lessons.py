"""How the students of a class work: three manners, and what each of them does in a lesson."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from uuid import UUID

from dulwich.bundle import create_bundle_from_repo, write_bundle
from dulwich.repo import Repo

from factory import Someone
from school import LESSONS, LISTS, LOOPS, OTHER_COURSE, PROJECT, Json, Lesson, School, at, done, in_groups, made, moment
from test_rubrics import RUBRIC

PROMPT, ANSWER, CODE = "student_prompt", "ai_response", "code_commit"
HYPOTHESIS, CORRECTION = "hypothesis_formulation", "self_correction"
REASON = "Because the list may be empty, and then there is no mean."

# Second of the lesson, kind of step, state, what is said, a reason, the AI's share from and to.
Row = tuple[float, str, str | None, str, str | None, float, float]


@dataclass(frozen=True)
class Manner:
    """How somebody works, what the rules are to find in it, and two figures of the evaluation."""

    weight: int
    rows: Sequence[Row]
    findings: dict[str, int]
    planning: float
    coherence: float


MANNERS = {
    "careful": Manner(
        weight=5,
        rows=[
            (0, PROMPT, "exploracion", "How does one find a mean?", None, 0.0, 0.2),
            (20, ANSWER, None, "What would you do with two numbers?", None, 0.2, 0.5),
            (90, HYPOTHESIS, "planificacion", "Sum, then divide.", REASON, 0.0, 0.1),
            (300, CODE, "implementacion", "def mean(items):\n    return sum(items) / len(items)", REASON, 0.0, 0.2),
            (500, CORRECTION, "depuracion", "The empty list fails.", REASON, 0.0, 0.1),
            (700, CODE, "validacion", "assert mean([1, 3]) == 2", REASON, 0.0, 0.1),
            (900, PROMPT, "reflexion", "Is there a better way to say it?", REASON, 0.0, 0.2),
        ],
        findings={},
        planning=10.0,
        coherence=10.0,
    ),
    "hurried": Manner(
        weight=3,
        rows=[
            (0, PROMPT, "exploracion", "Next comes a loop over names.", None, 0.9, 1.0),
            (20, ANSWER, None, "Here is a loop.", None, 0.95, 1.0),
            (60, CODE, "implementacion", "for name in names: print(name)", None, 0.9, 1.0),
            (80, ANSWER, None, "Good, go on.", None, 0.95, 1.0),
            (120, PROMPT, "depuracion", "It prints nothing at all.", None, 0.9, 1.0),
            (140, ANSWER, None, "The list is empty.", None, 0.95, 1.0),
            (200, CODE, "implementacion", "names = ['Ana', 'Eva']", None, 0.9, 1.0),
            (220, ANSWER, None, "That is it.", None, 0.95, 1.0),
            (300, PROMPT, "atascado", "Still wrong for the numbers.", None, 0.9, 1.0),
            (320, ANSWER, None, "Turn them into text.", None, 0.95, 1.0),
            (400, PROMPT, None, "Then all of it together.", None, 0.9, 1.0),
            (420, ANSWER, None, "Here it is.", None, 0.95, 1.0),
        ],
        findings={
            "ai_share": 6,
            "no_alternatives": 6,
            "no_reason": 4,
            "ai_dependency": 1,
            "few_reasons": 1,
            "unquestioned_answers": 1,
        },
        planning=0.0,
        coherence=6.67,
    ),
    "delegating": Manner(
        weight=2,
        rows=[
            (0, PROMPT, "exploracion", "Give me the whole code for part one.", None, 0.2, 0.4),
            (15, ANSWER, None, "Which part do you know already?", None, 0.9, 1.0),
            (60, PROMPT, "atascado", "Give me the code, all of it, please, now.", None, 0.2, 0.4),
            (90, ANSWER, None, "Let us begin with the sum.", None, 0.9, 1.0),
            (120, PROMPT, "confusion", "No. Solve it for me.", None, 0.2, 0.4),
            (122, CODE, "implementacion", f"total = eval('1 + 2')\n{'print(total)  # done' * 6}", None, 0.8, 0.95),
        ],
        findings={
            "delegation": 3,
            "repeated_delegation": 1,
            "no_reason": 3,
            "ai_share": 1,
            "no_alternatives": 1,
            "code_after_prompt": 1,
            "insecure_code": 1,
            "few_reasons": 1,
        },
        planning=0.0,
        coherence=0.0,
    ),
}


def steps_of(school: School, lesson: Lesson, manner: str, luck: Random) -> list[Json]:
    """What the tutor agent has recorded of the lesson; an answer names the prompt it answers."""
    steps: list[Json] = []
    for seconds, kind, state, content, reason, low, high in MANNERS[manner].rows:
        step: Json = {
            "id": str(UUID(int=luck.getrandbits(128), version=4)),
            "interaction_type": kind,
            "content": content,
        }
        step |= {"occurred_at": at(school, lesson, seconds), "ai_involvement": round(luck.uniform(low, high), 3)}
        step |= {"cognitive_state": state} if state else {}
        step |= {"decision_justification": reason} if reason else {}
        step |= {"cognitive_intent": luck.choice(["understand", "solve", "check"])} if kind == PROMPT else {}
        step |= {"parent_trace_id": steps[-1]["id"], "trace_level": "N3_INTERACCIONAL"} if kind == ANSWER else {}
        steps.append(step)
    return steps


async def lessons_of_the_class(school: School) -> None:
    await in_groups(lessons_of(school, student) for student in school.students)
    for student in (school.outsider, school.commuter):
        await lesson_elsewhere(school, student)


async def lessons_of(school: School, student: Someone) -> None:
    """Three lessons, the last of them with exercise, simulator and repository, some of it at the same time."""
    for lesson in LESSONS:
        luck = school.luck(student.student_id, lesson.activity_id)
        session = await begin(school, student, lesson)
        manner = luck.choices(list(MANNERS), [one.weight for one in MANNERS.values()])[0]
        school.ledger.manner[session["id"]] = manner
        steps = steps_of(school, lesson, manner, luck)
        work = [record(school, lesson, session, steps), write_own(school, student, lesson, session)]
        if lesson is LOOPS:
            work.append(practise(school, student, session, luck))
        if lesson is PROJECT:  # two that draw at the same time have each a luck of their own
            work.append(simulate(school, student, session, school.luck("simulate", student.student_id)))
            work.append(commit(school, student, session, luck))
        await asyncio.gather(*work)
        await leave(school, student, lesson, session, luck)


async def begin(school: School, student: Someone, lesson: Lesson) -> Json:
    """Students start their lessons; the tutor agent starts that of the loops for them."""
    body: Json = {"activity_id": lesson.activity_id}
    starter = student
    if lesson is LOOPS:
        body["student_id"], starter = student.student_id, school.keys["traces"]
    if lesson is PROJECT:
        body |= {"mode": "simulator", "simulator_type": "devsecops"}
    session: Json = await made(starter.post("/sessions", json=body))
    if lesson is LISTS and school.luck("pause", student.student_id).random() < 0.3:
        await done(student.post(f"/sessions/{session['id']}/pause"))
        await done(student.post(f"/sessions/{session['id']}/resume"))
    return session


async def record(school: School, lesson: Lesson, session: Json, steps: list[Json]) -> None:
    """The tutor agent sends its batch, once as an array and once as lines, and repeats it where nobody answered."""
    agent = school.keys["traces"]
    if lesson is LISTS:
        lines = "\n".join(json.dumps(step | {"session_id": session["id"]}) for step in steps)
        lines += "\n" + json.dumps(steps[0] | {"session_id": str(UUID(int=0)), "id": str(UUID(int=1))})
        headers = {"content-type": "application/x-ndjson"}
        answer = await done(agent.post("/traces/batch", content=lines, headers=headers))
        assert answer["items"][-1]["code"] == "SESSION_NOT_FOUND"
    else:
        answer = await done(agent.post(f"/sessions/{session['id']}/traces/batch", json=steps))
    if lesson is LOOPS and school.luck("again", session["student_id"]).random() < 0.3:
        again = await done(agent.post(f"/sessions/{session['id']}/traces/batch", json=steps))
        assert (again["created"], again["duplicate"]) == (0, len(steps))
    for step, item in zip(steps, answer["items"], strict=False):
        assert item["status"] == "created", item
        school.ledger.note_trace(session, step, step["occurred_at"])


async def write_own(school: School, student: Someone, lesson: Lesson, session: Json) -> None:
    """Steps that students write themselves, as they happen: their session began today."""
    steps: list[Json] = [{"interaction_type": "strategy_change", "content": "Again."}]
    if lesson is PROJECT:
        steps.append({"interaction_type": PROMPT, "content": "Am I done?"})
    for step in steps:
        found = await made(student.post(f"/sessions/{session['id']}/traces", json=step))
        school.ledger.note_trace(session, step | {"id": found["id"]}, found["created_at"])


async def practise(school: School, student: Someone, session: Json, luck: Random) -> None:
    """Some hints, then some attempts; a runner grades them later."""
    for _ in range(luck.randrange(3)):
        revealed = await done(student.post(f"{school.exercise}/hints/reveal", json={"session_id": session["id"]}))
        school.ledger.hints.append({"student_id": student.student_id, "penalty": revealed["penalty"]})
    for number in range(luck.randrange(1, 4)):
        body = {"submitted_code": "def mean(items): return 0", "session_id": session["id"]}
        attempt = await made(student.post(f"{school.exercise}/attempts", json=body))
        assert (attempt["attempt_number"], attempt["status"]) == (number + 1, "PENDING")
        school.ledger.attempts[attempt["id"]] = attempt


async def grade_attempts(school: School) -> None:
    """A runner takes its queue until it is empty: tests for most of them, the rubric for some."""
    runner = school.keys["grading"]
    while queue := (await done(runner.get("/attempts?status=PENDING&limit=40")))["items"]:
        await in_groups(grade(school, runner, attempt) for attempt in queue)


async def grade(school: School, runner: Someone, attempt: Json) -> None:
    luck = school.luck(attempt["student_id"], attempt["attempt_number"])
    total = luck.randrange(2, 8)
    passed = luck.randrange(total + 1)
    result: Json = {"status": "PASS" if passed == total else "FAIL", "tests_passed": passed, "tests_total": total}
    if luck.random() < 0.3:
        scores = [
            {"criterion_name": one["criterion_name"], "score": luck.choice([4, 6, 8, 9.5])}
            for one in RUBRIC["criteria"]
        ]
        result["rubric_evaluation"] = {"criteria": scores}
    school.ledger.graded[attempt["id"]] = result
    school.ledger.attempts[attempt["id"]] = await done(runner.patch(f"/attempts/{attempt['id']}", json=result))


async def simulate(school: School, student: Someone, session: Json, luck: Random) -> None:
    """An interview for some, an incident for others, and events for everybody."""
    machine, path = school.keys["simulators"], f"/sessions/{session['id']}"
    if luck.random() < 0.5:
        interview = (await made(machine.post(f"{path}/interviews", json={"interview_type": "design"})))["id"]
        await done(machine.post(f"/interviews/{interview}/questions", json={"question": "Why a queue?"}))
        await done(student.post(f"/interviews/{interview}/responses", json={"response": "It decouples."}))
        end = {"evaluation_score": round(luck.random(), 2)}
        school.ledger.interviews.append(await done(machine.post(f"/interviews/{interview}/complete", json=end)))
    else:
        body = {"incident_type": "database", "incident_description": "It is slow."}
        incident = (await made(machine.post(f"{path}/incidents", json=body)))["id"]
        await done(student.post(f"/incidents/{incident}/diagnosis-steps", json={"action": "Read the log"}))
        solved = {"solution_proposed": "An index", "root_cause_identified": "A scan"}
        school.ledger.incidents.append(await done(machine.post(f"/incidents/{incident}/complete", json=solved)))
    events: list[Json] = [{"event_type": "deployment_completed", "event_data": {"tests_run": 12}}]
    for _ in range(luck.randrange(3)):
        weakness = {"severity": luck.choice(["critical", "critical", "low"])}
        events.append({"event_type": "security_scan_complete", "event_data": {"vulnerabilities": [weakness]}})
    if luck.random() < 0.5:
        events.append({"event_type": "backlog_created", "event_data": {"items": 3}})
    answer = await done(machine.post(f"{path}/simulator-events/batch", json=events))
    assert answer["created"] == len(events), answer
    school.ledger.events += [event | {"session_id": session["id"]} for event in events]


async def commit(school: School, student: Someone, session: Json, luck: Random) -> None:
    """A plugin sends commits one batch at a time; some students hand in their repository as a bundle."""
    path = f"/sessions/{session['id']}/git-traces"
    found: list[Json] = []
    for number in range(luck.randrange(1, 5)):
        name = luck.choice(["mean.py", "main.py", "test_mean.py"])
        change = {"file_path": name, "lines_added": luck.randrange(1, 60), "lines_deleted": luck.randrange(5)}
        when = (school.morning + timedelta(seconds=number)).isoformat()
        who = {"author_name": "Student", "author_email": "student@example.edu", "timestamp": when}
        kind = luck.choice(["commit", "commit", "tag"])
        hash_ = f"{luck.getrandbits(160):040x}"
        found.append(
            {"commit_hash": hash_, "commit_message": "A step", "event_type": kind, "files_changed": [change], **who}
        )
    answer = await done(school.keys["git"].post(f"{path}/batch", json=found))
    assert answer["created"] == len(found), answer
    if luck.random() < 0.3:
        content = await asyncio.to_thread(bundle, student.student_id, session["start_time"])
        headers = {"content-type": "application/x-git-bundle"}
        imported = await done(student.post(f"{path}/import", content=content, headers=headers))
        assert imported == {"created": 2, "duplicate": 0, "outside": 0}
        found += [{"event_type": "commit", "files_changed": [{"file_path": name}]} for name in ("a.py", "b.py")]
    school.ledger.commits += [one | {"session_id": session["id"]} for one in found]


def bundle(student_id: str, started: str) -> bytes:
    """A repository with two commits, made as the session began."""
    content = BytesIO()
    author = f"{student_id} <{student_id}@example.edu>".encode()
    with TemporaryDirectory() as folder, Repo.init(folder) as repo:
        for name in ("a.py", "b.py"):
            (Path(folder) / name).write_text("total = 0\n")
            worktree = repo.get_worktree()
            worktree.stage([name])
            seconds = int(moment(started).timestamp())
            worktree.commit(name.encode(), author, author, commit_timestamp=seconds, commit_timezone=0)
        with create_bundle_from_repo(repo) as made_bundle:
            write_bundle(content, made_bundle)
    return content.getvalue()


async def leave(school: School, student: Someone, lesson: Lesson, session: Json, luck: Random) -> None:
    """Most complete a lesson, few abort it, and at the end of the day some are still at the project.

    Of some lessons the tutor's last word arrives when they are over.
    """
    path = f"/sessions/{session['id']}"
    end = luck.choices(["complete", "abort", ""], [8, 1, 3 if lesson is PROJECT else 0])[0]
    if end:
        session |= await done(student.post(f"{path}/{end}"))
    if luck.random() < 0.3:
        last: Json = {"interaction_type": ANSWER, "content": "Well then.", "occurred_at": at(school, lesson, 1_200)}
        last["ai_involvement"] = 1.0
        found = await made(school.keys["traces"].post(f"{path}/traces", json=last))
        school.ledger.note_trace(session, last | {"id": found["id"]}, last["occurred_at"])
    school.ledger.sessions[session["id"]] = session


async def lesson_elsewhere(school: School, student: Someone) -> None:
    """Who learns in the other course delegates, so that it would show where it does not belong."""
    session = await made(student.post("/sessions", json={"activity_id": "elsewhere"}))
    school.ledger.sessions[session["id"]] = session
    school.ledger.manner[session["id"]] = "delegating"
    assert session["course_id"] == OTHER_COURSE
    await record(
        school, PROJECT, session, steps_of(school, PROJECT, "delegating", school.luck("elsewhere", student.student_id))
    )
    await write_own(school, student, PROJECT, session)
    school.ledger.sessions[session["id"]] |= await done(student.post(f"/sessions/{session['id']}/complete"))
