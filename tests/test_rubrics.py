"""The rubric of an exercise: one document, and what an evaluation by it comes to."""

from decimal import Decimal
from typing import Any

import pytest

from cortez.errors import Invalid
from cortez.exercises.rules import Band, Criterion, band_of, check_bands, evaluate, penalty_of, score_of
from cortez.exercises.schemas import CriterionScore
from factory import Make

LEVELS = (("Excelente", 9, 10, 1.0), ("Bueno", 7, 9, 0.75), ("Regular", 5, 7, 0.5), ("Insuficiente", 0, 5, 0.0))


def criterion(name: str, weight: float) -> dict[str, Any]:
    levels = [
        {
            "level_name": level,
            "description": level,
            "min_score": low,
            "max_score": high,
            "points": round(100 * weight * share),
        }
        for level, low, high, share in LEVELS
    ]
    return {"criterion_name": name, "weight": weight, "levels": levels}


RUBRIC = {"criteria": [criterion("Works", 0.4), criterion("Reads well", 0.4), criterion("Robust", 0.2)]}
BANDS = [Band("low", 0, 5, 0), Band("middle", 5, 7, 20), Band("high", 7, 10, 40)]


def scored(*scores: float) -> list[CriterionScore]:
    names = ("Works", "Reads well", "Robust")
    return [CriterionScore(criterion_name=name, score=score) for name, score in zip(names, scores, strict=True)]


def rubric(scale: float = 1.0) -> dict[str, Criterion]:
    return {
        one["criterion_name"]: Criterion(
            one["weight"],
            [
                Band(level["level_name"], level["min_score"], level["max_score"], round(level["points"] * scale))
                for level in one["levels"]
            ],
        )
        for one in RUBRIC["criteria"]
    }


@pytest.mark.parametrize(
    ("score", "name"), [(0, "low"), (4.999, "low"), (5, "middle"), (6.999, "middle"), (7, "high"), (10, "high")]
)
def test_bands_are_half_open_and_the_highest_is_closed(score: float, name: str) -> None:
    assert band_of(BANDS, score).name == name
    assert band_of(BANDS[::-1], score).name == name


@pytest.mark.parametrize(
    "bands",
    [
        BANDS[:2],
        BANDS[1:],
        [BANDS[0], BANDS[2]],
        [*BANDS, Band("twice", 5, 7, 1)],
        [Band("low", 0, 6, 0), Band("high", 5, 10, 1)],
    ],
)
def test_bands_with_a_gap_or_an_overlap_are_refused(bands: list[Band]) -> None:
    with pytest.raises(Invalid):
        check_bands("/levels", bands)


def test_the_total_is_the_sum_of_the_points_where_the_best_levels_give_100() -> None:
    judged, total = evaluate(rubric(), scored(9.5, 7, 4))
    assert [one["level_achieved"] for one in judged] == ["Excelente", "Bueno", "Insuficiente"]
    assert [one["points"] for one in judged] == [40, 30, 0]
    assert total == Decimal(70)


def test_the_total_is_0_to_100_whatever_scale_the_points_have() -> None:
    assert evaluate(rubric(scale=0.5), scored(9.5, 7, 4))[1] == Decimal(70)
    assert evaluate(rubric(), scored(10, 10, 10))[1] == Decimal(100)
    assert evaluate(rubric(), scored(0, 0, 0))[1] == Decimal(0)


@pytest.mark.parametrize("scores", [scored(1, 1, 1)[:2], [*scored(1, 1, 1), scored(1, 1, 1)[0]], []])
def test_scores_are_of_exactly_the_criteria(scores: list[CriterionScore]) -> None:
    with pytest.raises(Invalid):
        evaluate(rubric(), scores)


def test_penalties_and_rounding() -> None:
    assert [penalty_of(number) for number in range(1, 7)] == [5, 10, 15, 20, 20, 20]
    assert score_of(Decimal(100) / 3, 0) == 3.33
    assert score_of(Decimal("66.65"), 0) == 6.67
    assert score_of(Decimal(40), 50) == 0.0
    assert score_of(Decimal(100), 5) == 9.5


async def test_a_rubric_is_replaced_as_a_whole(make: Make) -> None:
    student, exercise = await make.student(), await make.exercise()
    teacher = await make.subject_teacher(exercise.subject_code)
    path = f"/exercises/{exercise.id}/rubric"
    assert (await teacher.get(path)).json() == {"exercise_id": str(exercise.id), "criteria": []}
    put = await teacher.put(path, json=RUBRIC)
    assert put.status_code == 200, put.text
    names = [one["criterion_name"] for one in put.json()["criteria"]]
    assert names == ["Works", "Reads well", "Robust"]
    assert [level["level_name"] for level in put.json()["criteria"][0]["levels"]] == [level[0] for level in LEVELS]
    assert (await student.get(path)).json() == put.json()
    assert (await teacher.get(f"/exercises/{exercise.id}")).json()["rubric"] == put.json()
    again = await teacher.put(path, json={"criteria": [criterion("Only this", 1.0)]})
    assert [one["criterion_name"] for one in again.json()["criteria"]] == ["Only this"]
    assert (await teacher.get(path)).json() == again.json()


@pytest.mark.parametrize(
    "criteria",
    [
        [],
        [criterion("a", 0.5), criterion("b", 0.4)],
        [criterion("a", 0.5), criterion("a", 0.5)],
        [criterion("a", 1.0) | {"levels": criterion("a", 1.0)["levels"][:3]}],
        [criterion("a", 1.0) | {"levels": []}],
        [criterion("a", 1.0) | {"levels": [level | {"points": 0} for level in criterion("a", 1.0)["levels"]]}],
        [criterion("a", 1.0) | {"levels": [level | {"min_score": 10} for level in criterion("a", 1.0)["levels"]]}],
        [
            criterion("a", 1.0)
            | {"levels": [level | {"level_name": "So-so"} for level in criterion("a", 1.0)["levels"]]}
        ],
    ],
)
async def test_a_wrong_rubric_leaves_the_old_one(make: Make, criteria: list[Any]) -> None:
    exercise = await make.exercise()
    teacher = await make.subject_teacher(exercise.subject_code)
    path = f"/exercises/{exercise.id}/rubric"
    before = (await teacher.put(path, json=RUBRIC)).json()
    refused = await teacher.put(path, json={"criteria": criteria})
    assert refused.status_code == 422, refused.text
    assert (await teacher.get(path)).json() == before
