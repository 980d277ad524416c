"""What hangs on a session of the demo class beside its traces: commits, attempts, findings, an evaluation, and a roll-up of the last one's traces."""

import hashlib
import random
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from cortez.core.security.principal import SYSTEM, Principal
from cortez.demo.classroom import exercise_id
from cortez.demo.model import SESSIONS_EACH, Session
from cortez.evaluations.repository import EvaluationRepository
from cortez.evaluations.rules import evaluate
from cortez.exercises.models import AttemptStatus
from cortez.exercises.repository import AttemptRepository, ExerciseRepository, HintRepository
from cortez.exercises.schemas import GradeIn
from cortez.git.importing import GitIngest
from cortez.git.repository import GitSessionRepository
from cortez.git.schemas import FileChangeIn, GitTraceIn
from cortez.risks.analysis import analyse
from cortez.risks.repository import RiskRepository
from cortez.sequences.repository import TraceSequenceRepository
from cortez.sessions.models import LearningSession

COMMITS = 3  # of a session


async def work(session: AsyncSession, student: Principal, learning: LearningSession, one: Session) -> None:
    """An attempt and, where the session has ended, what was made of it, in the unit that stores the session."""
    chance = random.Random(str(one.id))
    await attempt(session, student, learning, one, chance)
    if one.end_time is not None:
        await judge(session, learning)
    if one.number == SESSIONS_EACH - 1:
        await TraceSequenceRepository(session, SYSTEM).roll_up(learning.id)


async def commit(session: AsyncSession, one: Session) -> None:
    """The first pieces of code of the session, each as a commit of that moment."""
    codes = [trace for trace in one.traces if trace["interaction_type"] == "code_commit"][:COMMITS]
    commits = [
        GitTraceIn(
            commit_hash=hashlib.sha1(trace["id"].encode(), usedforsecurity=False).hexdigest(),
            commit_message=f"{one.assignment.title}: {one.assignment.step}",
            author_name=one.student.name,
            author_email=f"{one.student.student_id}@example.edu",
            timestamp=datetime.fromisoformat(trace["occurred_at"]),
            files_changed=[
                FileChangeIn(
                    file_path=f"{one.assignment.activity_id}.py", lines_added=len(trace["content"].splitlines())
                )
            ],
            diff="\n".join(f"+{line}" for line in trace["content"].splitlines()),
        )
        for trace in codes
    ]
    if commits:
        await GitIngest(GitSessionRepository(session, SYSTEM)).batch(one.id, commits, atomic=True)


async def attempt(
    session: AsyncSession, student: Principal, learning: LearningSession, one: Session, chance: random.Random
) -> None:
    """One attempt at the assignment's exercise, sometimes after a hint; graded where the session has ended."""
    exercise = await ExerciseRepository(session, student).get(exercise_id(one.assignment), lock=True)
    leaning = one.student.archetype.leaning
    if chance.random() < leaning / 8:
        await HintRepository(session, student).reveal(exercise, learning.id)
    code = chance.choice(one.assignment.snippets)
    made = await AttemptRepository(session, student).submit(exercise, code, learning)
    if one.end_time is not None:
        total = len(one.assignment.cases)
        passed = sum(chance.random() < 0.9 - leaning / 2 for _ in range(total))
        status = AttemptStatus.PASS if passed == total else AttemptStatus.FAIL
        found = GradeIn(status=status, tests_passed=passed, tests_total=total, execution_time_ms=chance.randint(9, 90))
        await AttemptRepository(session, SYSTEM).grade(made, found, regrade=False)


async def judge(session: AsyncSession, learning: LearningSession) -> None:
    """What the rules find, and their evaluation."""
    await analyse(RiskRepository(session, SYSTEM), learning)
    evaluations = EvaluationRepository(session, SYSTEM)
    await evaluations.store(learning, evaluate(await evaluations.steps(learning.id)))
