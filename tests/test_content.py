"""Subjects, units and notes: published step by step, ordered without gaps, deleted and restored as a whole."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from cortez.content.models import Apuntes, Subject, Unidad
from cortez.exercises.models import Exercise, ExerciseAttempt
from factory import Make, Someone

PYTHON = {"code": "PYTHON", "name": "Python", "language": "python"}


@pytest.fixture
async def teacher(make: Make) -> Someone:
    made = await make.teacher()
    assert (await made.post("/subjects", json=PYTHON)).status_code == 201
    return made


async def unit(teacher: Someone, numero: int = 1, **values: Any) -> str:
    body = {"numero": numero, "titulo": f"Unit {numero}", **values}
    made = await teacher.post("/subjects/PYTHON/unidades", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def note(teacher: Someone, unidad: str, titulo: str, **values: Any) -> str:
    body = {"titulo": titulo, "contenido_markdown": "# Text", **values}
    made = await teacher.post(f"/unidades/{unidad}/apuntes", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def order(make: Make) -> list[tuple[int, str]]:
    """Places and titles of the living notes."""
    return sorted((one.orden, one.titulo) for one in await make.all(Apuntes) if one.deleted_at is None)


async def units(someone: Someone, query: str = "") -> list[int]:
    answer = await someone.get(f"/subjects/PYTHON/unidades?count=true&{query}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["items"])
    return [item["numero"] for item in answer.json()["items"]]


async def test_a_subject_is_made_read_changed_and_retired(make: Make, teacher: Someone) -> None:
    student = await make.student()
    again = await teacher.post("/subjects", json=PYTHON)
    assert (again.status_code, again.json()["code"]) == (409, "SUBJECT_ALREADY_EXISTS")
    assert (await student.get("/subjects/PYTHON")).json()["name"] == "Python"
    changed = await teacher.patch("/subjects/PYTHON", json={"name": "Python 3", "is_active": False})
    assert (changed.json()["name"], changed.json()["is_active"]) == ("Python 3", False)
    assert (await student.get("/subjects/PYTHON")).status_code == 404
    assert (await student.get("/subjects")).json()["items"] == []
    assert len((await teacher.get("/subjects")).json()["items"]) == 1
    for wrong in ({"language": "Not One"}, {"code": "C"}, {"total_units": 9}):
        assert (await teacher.patch("/subjects/PYTHON", json=wrong)).status_code == 422
    for someone in (student, await make.tutor(), await make.key("read")):
        assert (await someone.post("/subjects", json=PYTHON | {"code": "X"})).status_code == 403
        assert (await someone.patch("/subjects/PYTHON", json={})).status_code == 403


async def test_only_an_admin_deletes_a_subject_and_only_before_anybody_tried_it(make: Make, teacher: Someone) -> None:
    admin, student = await make.admin(), await make.student()
    await unit(teacher)
    exercise = await make.exercise(subject_code="PYTHON")
    attempt = ExerciseAttempt(
        exercise_id=exercise.id, student_id=student.student_id, submitted_code="x", attempt_number=1
    )
    await make.add(attempt)
    assert (await teacher.delete("/subjects/PYTHON")).status_code == 403
    used = await admin.delete("/subjects/PYTHON")
    assert (used.status_code, used.json()["code"]) == (409, "SUBJECT_IN_USE")
    async with make.database.unit() as session:
        await session.delete(await session.get(ExerciseAttempt, attempt.id))
    assert (await admin.delete("/subjects/PYTHON")).status_code == 204
    assert (await make.all(Subject), await make.all(Unidad), await make.all(Exercise)) == ([], [], [])
    assert (await admin.delete("/subjects/PYTHON")).status_code == 404


async def test_students_see_units_as_their_turn_comes(make: Make, teacher: Someone) -> None:
    student, key = await make.student(), await make.key("read")
    first, second, third = await unit(teacher, 1), await unit(teacher, 2), await unit(teacher, 4)
    free = await unit(teacher, 5, requiere_unidad_anterior=False)
    assert await units(student) == []
    await teacher.post(f"/unidades/{second}/publish")
    await teacher.post(f"/unidades/{third}/publish")
    await teacher.post(f"/unidades/{free}/publish")
    assert await units(student) == await units(key) == [4, 5]
    assert (await student.get(f"/unidades/{second}")).status_code == 404
    await teacher.post(f"/unidades/{first}/publish")
    assert await units(student) == [1, 2, 4, 5]
    await teacher.post(f"/unidades/{second}/unpublish")
    assert await units(student) == [1, 5]
    await teacher.delete(f"/unidades/{second}")
    assert await units(student) == [1, 4, 5]
    await teacher.patch("/subjects/PYTHON", json={"is_active": False})
    assert (await student.get("/subjects/PYTHON/unidades")).status_code == 404
    assert (await student.get(f"/unidades/{first}")).status_code == 404


async def test_publishing_twice_is_a_conflict(make: Make, teacher: Someone) -> None:
    id_ = await unit(teacher)
    published = (await teacher.post(f"/unidades/{id_}/publish")).json()
    assert (published["esta_publicada"], published["published_at"] is None) == (True, False)
    assert (await teacher.post(f"/unidades/{id_}/publish")).status_code == 409
    taken_back = (await teacher.post(f"/unidades/{id_}/unpublish")).json()
    assert (taken_back["esta_publicada"], taken_back["published_at"]) == (False, None)
    for someone in (await make.student(), await make.tutor()):
        assert (await someone.post(f"/unidades/{id_}/publish")).status_code == 403


async def test_a_number_is_taken_once_among_the_living(make: Make, teacher: Someone) -> None:
    first, second = await unit(teacher, 1), await unit(teacher, 2)
    taken = await teacher.patch(f"/unidades/{second}", json={"numero": 1})
    assert (taken.status_code, taken.json()["code"]) == (409, "UNIT_NUMBER_IN_USE")
    assert (await teacher.patch(f"/unidades/{second}", json={"numero": 3})).json()["orden"] == 3
    await teacher.delete(f"/unidades/{first}")
    await unit(teacher, 1)
    restored = await teacher.post(f"/unidades/{first}/restore")
    assert (restored.status_code, restored.json()["code"]) == (409, "UNIT_NUMBER_IN_USE")
    assert (await teacher.get("/subjects/PYTHON")).json()["total_units"] == 2
    assert (await teacher.post("/subjects/NONE/unidades", json={"numero": 1, "titulo": "x"})).status_code == 404


@pytest.mark.requirement("M7")
async def test_restoring_a_unit_takes_back_exactly_what_was_deleted_with_it(make: Make, teacher: Someone) -> None:
    id_ = await unit(teacher)
    kept, gone = await note(teacher, id_, "kept"), await note(teacher, id_, "gone before")
    await teacher.delete(f"/apuntes/{gone}")
    assert (await teacher.delete(f"/unidades/{id_}")).status_code == 204
    stamps = {one.deleted_at for one in (*await make.all(Unidad), *await make.all(Apuntes)) if str(one.id) != gone}
    assert len(stamps) == 1
    assert None not in stamps
    for path in (f"/unidades/{id_}", f"/apuntes/{kept}", f"/unidades/{id_}/apuntes"):
        assert (await teacher.get(path)).status_code == 404
    assert await units(teacher) == []
    assert await units(teacher, "deleted=true") == [1]
    assert (await (await make.student()).get("/subjects/PYTHON/unidades?deleted=true")).status_code == 403
    assert (await teacher.post(f"/apuntes/{kept}/restore")).status_code == 404
    assert (await teacher.post(f"/unidades/{id_}/restore")).json()["deleted_at"] is None
    assert (await teacher.get(f"/apuntes/{kept}")).status_code == 200
    assert (await teacher.get(f"/apuntes/{gone}")).status_code == 404
    listed = (await teacher.get(f"/unidades/{id_}/apuntes?deleted=true")).json()["items"]
    assert [one["id"] for one in listed] == [gone]
    assert (await teacher.post(f"/unidades/{id_}/restore")).status_code == 404


async def test_notes_are_seen_with_their_unit(make: Make, teacher: Someone) -> None:
    student = await make.student()
    id_ = await unit(teacher)
    shown, hidden = await note(teacher, id_, "shown"), await note(teacher, id_, "hidden")
    await teacher.post(f"/apuntes/{shown}/publish")
    assert (await student.get(f"/apuntes/{shown}")).status_code == 404
    await teacher.post(f"/unidades/{id_}/publish")
    assert (await student.get(f"/apuntes/{shown}")).json()["contenido_markdown"] == "# Text"
    assert (await student.get(f"/apuntes/{hidden}")).status_code == 404
    view = (await student.get(f"/unidades/{id_}")).json()
    assert [one["titulo"] for one in view["apuntes"]] == ["shown"]
    assert [one["titulo"] for one in (await teacher.get(f"/unidades/{id_}")).json()["apuntes"]] == ["shown", "hidden"]
    assert [one["titulo"] for one in (await student.get(f"/unidades/{id_}/apuntes")).json()["items"]] == ["shown"]
    assert (await student.patch(f"/apuntes/{shown}", json={"titulo": "x"})).status_code == 403
    changed = await teacher.patch(f"/apuntes/{shown}", json={"nivel_dificultad": "AVANZADO", "titulo": "Better"})
    assert (changed.json()["nivel_dificultad"], changed.json()["titulo"]) == ("avanzado", "Better")
    await teacher.post(f"/apuntes/{shown}/unpublish")
    assert (await student.get(f"/apuntes/{shown}")).status_code == 404


async def test_notes_keep_their_places_without_gaps(make: Make, teacher: Someone) -> None:
    id_ = await unit(teacher)
    a, b, c = [await note(teacher, id_, title) for title in "abc"]
    d = await note(teacher, id_, "d", orden=2)
    assert await order(make) == [(1, "a"), (2, "d"), (3, "b"), (4, "c")]
    moved = await teacher.put(f"/unidades/{id_}/apuntes/order", json=[c, d, b, a])
    assert [one["titulo"] for one in moved.json()] == ["c", "d", "b", "a"]
    await teacher.delete(f"/apuntes/{d}")
    assert await order(make) == [(1, "c"), (2, "b"), (3, "a")]
    assert (await teacher.post(f"/apuntes/{d}/restore")).json()["orden"] == 2
    assert await order(make) == [(1, "c"), (2, "d"), (3, "b"), (4, "a")]
    for wrong in ([a, b, c], [a, b, c, d, d], [a, b, c, str(uuid4())], []):
        refused = await teacher.put(f"/unidades/{id_}/apuntes/order", json=wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "ORDER_INCOMPLETE")
    assert (await teacher.put(f"/unidades/{uuid4()}/apuntes/order", json=[])).status_code == 404
    assert (await (await make.student()).put(f"/unidades/{id_}/apuntes/order", json=[])).status_code == 403


@pytest.mark.requirement("P4")
async def test_parallel_changes_leave_no_gap_and_no_double(make: Make, teacher: Someone) -> None:
    id_ = await unit(teacher)
    ids = [await note(teacher, id_, f"old {number}") for number in range(6)]
    path = f"/unidades/{id_}/apuntes"
    body = {"titulo": "new", "contenido_markdown": "x"}
    work = [teacher.post(path, json=body | {"orden": place % 4 + 1}) for place in range(12)]
    work += [teacher.delete(f"/apuntes/{one}") for one in ids[:3]]
    work += [teacher.put(f"{path}/order", json=ids[::-1]) for _ in range(2)]
    answers = await asyncio.gather(*work)
    assert {answer.status_code for answer in answers} <= {200, 201, 204, 422}
    assert [place for place, _ in await order(make)] == list(range(1, 16))


async def test_what_is_not_there(make: Make, teacher: Someone) -> None:
    for path in ("/subjects/NONE", f"/unidades/{uuid4()}", f"/apuntes/{uuid4()}"):
        assert (await teacher.get(path)).status_code == 404
        assert (await teacher.patch(path, json={})).status_code == 404
    for path in (f"/unidades/{uuid4()}", f"/apuntes/{uuid4()}"):
        for action in ("publish", "unpublish", "restore"):
            assert (await teacher.post(f"{path}/{action}")).status_code == 404
    id_ = await unit(teacher)
    for wrong in (
        {"titulo": ""},
        {"contenido_markdown": None},
        {"orden": 0},
        {"recursos_externos": [{"url": "ftp://x"}]},
    ):
        refused = await teacher.post(f"/unidades/{id_}/apuntes", json={"titulo": "x", "contenido_markdown": ""} | wrong)
        assert refused.status_code == 422, wrong


async def test_units_that_come_and_go_at_once_are_all_counted(make: Make) -> None:
    teacher = await make.teacher()
    await make.add(Subject(code="MANY", name="Subject", language="python"))
    units = [Unidad(materia_code="MANY", numero=number, titulo="Unit") for number in range(1, 13)]
    await make.add(*units)
    gone = [teacher.delete(f"/unidades/{unit.id}") for unit in units[:8]]
    come = [teacher.post("/subjects/MANY/unidades", json={"numero": n, "titulo": "Unit"}) for n in range(20, 24)]
    answers = await asyncio.gather(*gone, *come)
    assert {answer.status_code for answer in answers} == {201, 204}, [answer.text for answer in answers]
    assert (await teacher.get("/subjects/MANY")).json()["total_units"] == 8
