"""Read, modify, write: whoever changes a row has locked it before (requirement P4)."""

import re
from collections.abc import Iterator

import pytest
from litestar import Litestar

from factory import Make
from matrix import Matrix, undone
from matrix_world import world_of
from reliability.r10_nth_statement import calls
from watching import statements

CHANGES = re.compile(r"^(?:UPDATE|DELETE FROM) (\w+)")
LOCKS = re.compile(r"\bFROM (\w+)\b.* FOR (?:NO KEY )?UPDATE", re.DOTALL)
# What changes under the lock of its parent.
PARENTS = {
    "apuntes": {"unidades"},
    "archivos_adjuntos": {"apuntes", "unidades"},
    "exercise_rubric_criteria": {"exercises"},
    "rubric_levels": {"exercises"},
    "student_figures": {"student_profiles"},
    "student_profiles": {"users"},  # the name and the address
    "subject_teachers": {"subjects"},
}
# What one statement changes, without having read it: there is nothing to lose.
AT_ONCE = {"refresh_tokens", "login_attempts"}
# Erasure takes a student's sessions, and then changes by statements that name the student.
ERASURE = "DELETE /students/{student_id}/data"


@pytest.mark.requirement("P4")
async def test_what_is_changed_was_locked_before(app: Litestar, make: Make) -> None:
    matrix = Matrix(app, make, await world_of(app, make))
    unlocked = set()
    for call in calls(matrix):
        with undone(), statements(make.database) as sent:
            await call.send()
        seen = begun_late if make.database.is_sqlite else changed_unlocked
        unlocked |= {(call.name, table) for table in seen(sent)}
    assert {(name, table) for name, table in unlocked if name != ERASURE} == set()
    assert make.database.is_sqlite or len(unlocked) > 10  # erasure: the test sees what is not locked


def begun_late(sent: list[str]) -> Iterator[str]:
    """Tables that a statement changes before the write lock of the database is taken."""
    holding = False
    for statement in sent:
        holding = holding or statement == "BEGIN IMMEDIATE"
        if (found := CHANGES.match(statement)) and not holding:
            yield found[1]


def changed_unlocked(sent: list[str]) -> Iterator[str]:
    locked: set[str] = set()
    for statement in sent:
        locked.update(LOCKS.findall(statement))
        found = CHANGES.match(statement)
        if found and found[1] not in AT_ONCE and not locked & {found[1], *PARENTS.get(found[1], set())}:
            yield found[1]
