"""Exercises, hints, tests, rubrics and attempts, in and out."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from cortez.content.schemas import Code, Language
from cortez.core.db.types import Document, Items
from cortez.core.web.schemas import BusinessKey, Input, LongText, Prose, Resource, Short, Title
from cortez.exercises.models import (
    AttemptStatus,
    Exercise,
    ExerciseAttempt,
    ExerciseDifficulty,
    ExerciseHint,
    ExerciseTest,
    LevelName,
    RubricCriterion,
)

Source = Annotated[str, Meta(max_length=100_000)]
Output = Annotated[str, Meta(max_length=50_000)]
Text = Annotated[str, Meta(max_length=20_000)]
Minutes = Annotated[int, Meta(ge=1, le=10_000)]
UnitNumber = Annotated[int, Meta(ge=1, le=1_000)]
Sentences = Annotated[list[Annotated[str, Meta(min_length=1, max_length=1_000)]], Meta(max_length=100)]
Tags = Annotated[list[Short], Meta(max_length=50)]
Level = Annotated[str, Meta(min_length=1, max_length=20)]
MaxScore = Annotated[int, Meta(ge=1, le=1_000)]
Place = Annotated[int, Meta(ge=1, le=1_000)]
Penalty = Annotated[int, Meta(ge=0, le=100)]
Seconds = Annotated[int, Meta(ge=1, le=600)]
Score = Annotated[float, Meta(ge=0, le=10)]
Weight = Annotated[float, Meta(ge=0, le=1)]
Points = Annotated[int, Meta(ge=0, le=100)]
Count = Annotated[int, Meta(ge=0, le=100_000)]
Milliseconds = Annotated[int, Meta(ge=0, le=86_400_000)]


class ExerciseIn(Input):
    """`unit` is the number of a unit of the subject, `time_min` how many minutes it takes."""

    subject_code: Code
    title: Title
    difficulty: ExerciseDifficulty
    time_min: Minutes
    language: Language
    mission_markdown: LongText
    starter_code: Source = ""
    description: Prose | None = None
    unit: UnitNumber | None = None
    story_markdown: Source | None = None
    constraints: Sentences = []
    solution_code: Source | None = None
    tags: Tags = []
    learning_objectives: Sentences = []
    cognitive_level: Level | None = None
    max_score: MaxScore = 100
    is_active: bool = True


class ExercisePatch(Input):
    title: Title | UnsetType = UNSET
    difficulty: ExerciseDifficulty | UnsetType = UNSET
    time_min: Minutes | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    mission_markdown: LongText | UnsetType = UNSET
    starter_code: Source | UnsetType = UNSET
    description: Prose | None | UnsetType = UNSET
    unit: UnitNumber | None | UnsetType = UNSET
    story_markdown: Source | None | UnsetType = UNSET
    constraints: Sentences | UnsetType = UNSET
    solution_code: Source | None | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    learning_objectives: Sentences | UnsetType = UNSET
    cognitive_level: Level | None | UnsetType = UNSET
    max_score: MaxScore | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class ExerciseOut(Resource, kw_only=True):
    """`version` grows with every change. `solution_code` is absent for students."""

    subject_code: str
    title: str
    description: str | None
    difficulty: ExerciseDifficulty
    time_min: int
    unit: int | None
    language: str
    mission_markdown: str
    story_markdown: str | None
    constraints: Items
    starter_code: str
    solution_code: str | None | UnsetType = UNSET
    tags: Items
    learning_objectives: Items
    cognitive_level: str | None
    max_score: int
    version: int
    is_active: bool
    deleted_at: datetime | None

    @classmethod
    def of(cls, exercise: Exercise, /, *, with_solution: bool, **more: Any) -> Self:
        values = {name: getattr(exercise, name) for name in ExerciseOut.__struct_fields__}
        hidden = {} if with_solution else {"solution_code": UNSET}
        return cls(**(values | hidden), **more)


class LanguageOut(Struct, frozen=True):
    """How many exercises there are in a language, by difficulty."""

    language: str
    exercises: int
    by_difficulty: dict[str, int]


class HintIn(Input):
    """Without a number it comes last; without a penalty it costs 5, 10, 15 or 20 points by its number."""

    content: Text
    title: Title | None = None
    hint_number: Place | None = None
    penalty_points: Penalty | None = None


class HintPatch(Input):
    content: Text | UnsetType = UNSET
    title: Title | None | UnsetType = UNSET
    hint_number: Place | UnsetType = UNSET
    penalty_points: Penalty | UnsetType = UNSET


class HintOut(Resource):
    exercise_id: UUID
    hint_number: int
    title: str | None
    content: str
    penalty_points: int

    @classmethod
    def of(cls, hint: ExerciseHint) -> Self:
        return cls(**{name: getattr(hint, name) for name in HintOut.__struct_fields__})


class RevealIn(Input):
    """The session in which the hint is asked for, if there is one."""

    session_id: UUID | None = None


class RevealOut(Struct, frozen=True):
    """The next hint, what it costs, and how many are left."""

    hint: HintOut
    penalty: int
    remaining: int


class TestIn(Input):
    """Without a number it comes last."""

    input: Text
    expected: Text
    description: Prose | None = None
    test_number: Place | None = None
    is_hidden: bool = False
    timeout_seconds: Seconds = 5


class TestPatch(Input):
    input: Text | UnsetType = UNSET
    expected: Text | UnsetType = UNSET
    description: Prose | None | UnsetType = UNSET
    test_number: Place | UnsetType = UNSET
    is_hidden: bool | UnsetType = UNSET
    timeout_seconds: Seconds | UnsetType = UNSET


class TestOut(Resource):
    exercise_id: UUID
    test_number: int
    description: str | None
    input: str
    expected: str
    is_hidden: bool
    timeout_seconds: int

    @classmethod
    def of(cls, test: ExerciseTest) -> Self:
        return cls(**{name: getattr(test, name) for name in TestOut.__struct_fields__})


class BandIn(Input):
    """Scores from `min_score`, included, to `max_score`, not included but where it is 10."""

    level_name: LevelName
    description: Prose
    min_score: Score
    max_score: Score
    points: Points

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_score >= self.max_score:
            raise ValueError("`min_score` must be less than `max_score`")


class CriterionIn(Input):
    criterion_name: Short
    weight: Weight
    levels: Annotated[list[BandIn], Meta(min_length=1, max_length=4)]
    description: Prose | None = None


class RubricIn(Input):
    """Weights sum to 1, and the levels of each criterion cover 0 to 10.

    An evaluation's total is 0 to 100: the sum over the criteria of 100 x weight x points / points of the best level.
    """

    criteria: Annotated[list[CriterionIn], Meta(min_length=1, max_length=20)]


class BandOut(Struct, frozen=True):
    level_name: LevelName
    description: str
    min_score: float
    max_score: float
    points: int


class CriterionOut(Struct, frozen=True):
    criterion_name: str
    description: str | None
    weight: float
    levels: list[BandOut]


class RubricOut(Struct, frozen=True):
    """Criteria in their order, the best level first; no criteria where the exercise has no rubric."""

    exercise_id: UUID
    criteria: list[CriterionOut]

    @classmethod
    def of(cls, exercise_id: UUID, criteria: list[RubricCriterion]) -> Self:
        return cls(exercise_id, [criterion_out(criterion) for criterion in criteria])


def criterion_out(criterion: RubricCriterion) -> CriterionOut:
    levels = [
        BandOut(LevelName(band.level_name), band.description, band.min_score, band.max_score, band.points)
        for band in criterion.levels
    ]
    return CriterionOut(criterion.criterion_name, criterion.description, criterion.weight, levels)


class ExerciseView(ExerciseOut):
    """With hints, tests and rubric: for a student the revealed hints and the visible tests."""

    hints: list[HintOut]
    tests: list[TestOut]
    rubric: RubricOut


class AttemptIn(Input):
    """`course_id`: for which of one's courses it is, outside of a session; in one it is the session's."""

    submitted_code: Annotated[str, Meta(min_length=1, max_length=100_000)]
    session_id: UUID | None = None
    course_id: BusinessKey | None = None


class CriterionScore(Input):
    criterion_name: Short
    score: Score
    feedback: Prose | None = None


class RubricScores(Input):
    criteria: Annotated[list[CriterionScore], Meta(min_length=1, max_length=20)]


class GradeIn(Input):
    """What a runner found. Points are the rubric's total where it is scored, else 100 x passed / total."""

    status: AttemptStatus
    tests_passed: Count = 0
    tests_total: Count = 0
    execution_time_ms: Milliseconds | None = None
    stdout: Output | None = None
    stderr: Output | None = None
    rubric_evaluation: RubricScores | None = None
    ai_feedback_summary: Prose | None = None
    ai_feedback_detailed: Text | None = None
    ai_suggestions: Sentences = []

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status == AttemptStatus.PENDING:
            raise ValueError("`status` of a graded attempt is PASS, FAIL, ERROR or TIMEOUT")
        if self.tests_passed > self.tests_total:
            raise ValueError("`tests_passed` is at most `tests_total`")


class AttemptOut(Resource):
    """`score` is 0 to 10, `penalty_applied` the points that the hints cost; `course_id` is null within a session."""

    exercise_id: UUID
    student_id: str
    session_id: UUID | None
    course_id: str | None
    submitted_code: str
    tests_passed: int
    tests_total: int
    score: float | None
    status: AttemptStatus
    execution_time_ms: int | None
    stdout: str | None
    stderr: str | None
    ai_feedback_summary: str | None
    ai_feedback_detailed: str | None
    ai_suggestions: Items
    rubric_evaluation: Document
    hints_used: int
    penalty_applied: int
    attempt_number: int
    submitted_at: datetime

    @classmethod
    def of(cls, attempt: ExerciseAttempt) -> Self:
        return cls(**{name: getattr(attempt, name) for name in AttemptOut.__struct_fields__})
