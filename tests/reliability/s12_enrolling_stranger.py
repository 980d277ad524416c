"""Who enrols the students of another course, or once taught there, is shown and changes nothing of it."""

from collections.abc import Sequence
from typing import Any

from factory import Make
from matrix import Matrix, Probe, undone
from matrix_bodies import ALERT, PLAN
from matrix_world import world_of
from mutations import EXCUSED, KINDS, Hunt, Mutant, seen, silence
from reliability.stage import Outcome, Stage
from running import client_of
from strangers import MATERIAL, STAFF, Strangers, estrange

FIGURE = "S12"
CLAIM = "every call by a stranger who enrols the students of another course, and by their helpers; then as S1"
TARGET = "nothing of home shown or changed; no view touched by work on the other side; every mutant seen"
HOME = ("teacher", "tutor", "key")
APART = ("cortez.content.", "cortez.exercises.repository.")  # material: the short form of S1 tries these
PLANTED = "planted-by-the-stranger"


async def run(stage: Stage) -> Outcome:
    kinds = {"filter"} if stage.quick else KINDS
    async with stage.app() as app, Make(app, client_of) as make:
        world = await world_of(app, make)
        strangers = Strangers(app, make, world, await estrange(make, world))
        await strangers.look()
        hunt = Hunt(strangers, kinds)
        if stage.quick:
            hunt.mutants = [one for one in hunt.mutants if not one.name.startswith(APART)]
        with undone():
            wrong = await hunt.matrix_holds()
            survivors, tried = await hunt.survivors(kinds)
            unseen = [str(one) for one in await unseen_by(Matrix(app, make, world), hunt, survivors)]
        crossed = await across(strangers, quick=stage.quick)
    alive = [name for name in unseen if name not in EXCUSED]
    for line in (*wrong, *crossed, *alive):
        print(line)  # noqa: T201
    said = f"{hunt.asked:,} probes on {len(hunt.by_call)} calls, {len(wrong)} wrong; {len(crossed)} views touched"
    more = f"{tried - len(alive)} of {tried} mutants seen"
    return Outcome(f"{said}; {more}", kept=not (wrong or crossed or alive))


async def unseen_by(matrix: Matrix, hunt: Hunt, survivors: Sequence[Mutant]) -> list[Mutant]:
    """Of what may let strangers through, that which nobody of the table sees either, by the same calls or like ones."""
    calls: dict[object, list[Probe]] = {}
    for probe in matrix.probes():
        for place in (probe.call, area(probe)):
            calls.setdefault(place, []).append(probe)
    alive = []
    with silence():
        for mutant in survivors:
            past = hunt.past(mutant)
            same, near = {("", ""), *(probe.call for probe in past)}, {area(probe) for probe in past}
            for places in (same, near):
                found = await seen(mutant, [probe for place in places for probe in calls.get(place, [])])
                if found and not await found.ask():
                    break
            else:
                alive.append(mutant)
    return alive


def area(probe: Probe) -> str:
    path = probe.call[1]
    return "material" if path.startswith(MATERIAL) else path.lstrip("/").partition("/")[0]


async def across(strangers: Strangers, *, quick: bool) -> list[str]:
    """Views that change though only the other side was at work: the strangers', then those of home's people."""
    away, home = (STAFF[::2], HOME[:1]) if quick else (STAFF, HOME)
    before = await strangers.views(*away)
    await work_in_home(strangers)
    after = await strangers.views(*away)
    touched = [f"{view}: {after[view][:200]}" for view in before if before[view] != after[view]]
    before = await strangers.views(*home)
    await work_of_stranger(strangers)
    after = await strangers.views(*home)
    return touched + [
        f"{view}: {after[view][:200]}" for view in before if before[view] != after[view] or PLANTED in after[view]
    ]


async def work_in_home(strangers: Strangers) -> None:
    """The student goes on in home: another session, judged."""
    make, owner = strangers.make, strangers.world.who["owner"]
    session = await make.session(owner, activity_id="home", course_id="home", status="active")
    teacher, student = strangers.world.who["teacher"], owner.client
    for number in range(6):
        step = {"interaction_type": "student_prompt", "content": f"Why {number}?"}
        assert (await student.post(f"/sessions/{session.id}/traces", json=step)).status_code == 201
    assert (await student.post(f"/sessions/{session.id}/complete")).status_code == 200
    risk = {"risk_type": "plagiarism", "risk_level": "critical", "description": "x"}
    assert (await teacher.post(f"/sessions/{session.id}/risks", json=risk)).status_code == 201
    judged = {"overall_score": 1.5, "improvement_areas": ["elsewhere"]}
    assert (await teacher.post(f"/sessions/{session.id}/evaluations", json=judged)).status_code == 201


async def work_of_stranger(strangers: Strangers) -> None:
    """The worst that the stranger and their key may write of the student in their own course."""
    who, student = strangers.world.who, strangers.world.at["{student_id}"]
    begun = await who["own_key"].post("/sessions", json={"activity_id": "own", "student_id": student})
    rows: dict[str, Any] = {}
    if begun.status_code == 201:
        path = f"/sessions/{begun.json()['id']}"
        step = {"interaction_type": "ai_response", "content": PLANTED, "ai_involvement": 1.0}
        await who["own_key"].post(f"{path}/traces", json=step)
        await who["own_key"].post(f"{path}/complete")
        rows[f"{path}/risks"] = {"risk_type": "plagiarism", "risk_level": "critical", "description": PLANTED}
        rows[f"{path}/evaluations"] = {"overall_score": 0, "improvement_areas": [PLANTED], "key_strengths": [PLANTED]}
    about = {"student_id": student, "course_id": "own", "description": PLANTED}
    rows |= {
        "/remediation-plans": PLAN | about,
        "/alerts": ALERT | about | {"scope": "student", "title": PLANTED},
        "/interventions": {"student_id": student, "notes": PLANTED},
    }
    for path, body in rows.items():
        await who["stranger"].post(path, json=body)
