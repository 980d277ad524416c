"""Exercises with hints, tests and rubrics, and students' attempts at them."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, true
from sqlalchemy.orm import Mapped, Relationship, mapped_column, relationship

from cortez.clock import utc_now
from cortez.core.db.base import Base, Duplicate, in_range, one_of
from cortez.core.db.classification import Audit, Privacy
from cortez.core.db.types import Document, Items
from cortez.enums import Choice

if TYPE_CHECKING:
    from cortez.content.models import Subject
    from cortez.sessions.models import LearningSession


class ExerciseDifficulty(Choice):
    EASY = "Easy"
    MEDIUM = "Medium"
    HARD = "Hard"


class AttemptStatus(Choice):
    PENDING = "PENDING"
    PASS = "PASS"  # noqa: S105 - a result
    FAIL = "FAIL"
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"


class LevelName(Choice):
    EXCELENTE = "Excelente"
    BUENO = "Bueno"
    REGULAR = "Regular"
    INSUFICIENTE = "Insuficiente"


def _owned(parent: str, order_by: str) -> Relationship[list]:  # type: ignore[type-arg]  # each attribute says of what
    return relationship(
        back_populates=parent, cascade="all, delete-orphan", passive_deletes=True, order_by=order_by, lazy="raise"
    )


class Exercise(Base):
    """A programming exercise. `solution_code` never reaches a student."""

    __tablename__ = "exercises"
    __table_args__ = (
        one_of("check_exercise_difficulty", "difficulty", ExerciseDifficulty),
        CheckConstraint("length(language) BETWEEN 1 AND 20", name="check_exercise_language"),
        CheckConstraint("time_min > 0", name="check_exercise_time_positive"),
        CheckConstraint("unit > 0", name="check_exercise_unit_positive"),
        CheckConstraint("max_score > 0", name="check_exercise_max_score_positive"),
        CheckConstraint("version > 0", name="check_exercise_version_positive"),
        Index("idx_exercises_subject", "subject_code"),
        Index("idx_exercises_deleted", "deleted_at"),
        Index("idx_exercises_active_deleted", "is_active", "deleted_at"),
    )
    privacy = Privacy(
        keep="""subject_code title description difficulty time_min unit language mission_markdown story_markdown
        constraints starter_code solution_code tags learning_objectives cognitive_level max_score version is_active
        deleted_at"""
    )
    audit = Audit(
        plain="subject_code title difficulty unit language max_score version is_active deleted_at",
        masked=(
            "description mission_markdown story_markdown constraints starter_code solution_code tags "
            "learning_objectives cognitive_level time_min"
        ),
    )

    subject_code: Mapped[str] = mapped_column(String(50), ForeignKey("subjects.code", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    difficulty: Mapped[str] = mapped_column(String(20))
    time_min: Mapped[int]
    unit: Mapped[int | None]
    language: Mapped[str] = mapped_column(String(20))
    mission_markdown: Mapped[str] = mapped_column(Text)
    story_markdown: Mapped[str | None] = mapped_column(Text)
    constraints: Mapped[Items] = mapped_column(default=list)
    starter_code: Mapped[str] = mapped_column(Text)
    solution_code: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[Items] = mapped_column(default=list)
    learning_objectives: Mapped[Items] = mapped_column(default=list)
    cognitive_level: Mapped[str | None] = mapped_column(String(20))
    max_score: Mapped[int] = mapped_column(default=100)
    version: Mapped[int] = mapped_column(default=1)
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())
    deleted_at: Mapped[datetime | None]

    subject: Mapped["Subject"] = relationship(back_populates="exercises", lazy="raise")
    hints: Mapped[list["ExerciseHint"]] = _owned("exercise", "ExerciseHint.hint_number")
    tests: Mapped[list["ExerciseTest"]] = _owned("exercise", "ExerciseTest.test_number")
    attempts: Mapped[list["ExerciseAttempt"]] = _owned("exercise", "ExerciseAttempt.submitted_at")
    rubric_criteria: Mapped[list["RubricCriterion"]] = _owned("exercise", "RubricCriterion.display_order")


class ExerciseHint(Base):
    """One hint, revealed in the order of its number at a cost in points."""

    __tablename__ = "exercise_hints"
    duplicates: ClassVar = {
        "exercise_id": Duplicate("HINT_NUMBER_IN_USE", "The exercise has a hint with this number already."),
    }
    __table_args__ = (
        CheckConstraint("hint_number > 0", name="check_hint_number_positive"),
        CheckConstraint("penalty_points >= 0", name="check_penalty_nonnegative"),
        UniqueConstraint("exercise_id", "hint_number", name="uq_exercise_hint_number"),
    )
    privacy = Privacy(keep="exercise_id hint_number title content penalty_points")
    audit = Audit(plain="exercise_id hint_number penalty_points", masked="title content")

    exercise_id: Mapped[UUID] = mapped_column(ForeignKey("exercises.id", ondelete="CASCADE"))
    hint_number: Mapped[int]
    title: Mapped[str | None] = mapped_column(String(200))
    content: Mapped[str] = mapped_column(Text)
    penalty_points: Mapped[int] = mapped_column(default=0)

    exercise: Mapped["Exercise"] = relationship(back_populates="hints", lazy="raise")


class HintReveal(Base):
    """That a student has seen a hint, and how many points it cost them then."""

    __tablename__ = "hint_reveals"
    __table_args__ = (
        CheckConstraint("penalty >= 0", name="ck_reveal_penalty_valid"),
        UniqueConstraint("student_id", "exercise_id", "hint_id", name="uq_hint_reveal"),
        Index("idx_reveal_exercise", "exercise_id"),
        Index("idx_reveal_hint", "hint_id"),
        Index("idx_reveal_session", "session_id"),
    )
    privacy = Privacy("student_id", keep="exercise_id hint_id session_id penalty", pseudonymise="student_id")

    student_id: Mapped[str] = mapped_column(String(100))
    exercise_id: Mapped[UUID] = mapped_column(ForeignKey("exercises.id", ondelete="CASCADE"))
    hint_id: Mapped[UUID | None] = mapped_column(ForeignKey("exercise_hints.id", ondelete="SET NULL"))
    session_id: Mapped[UUID | None] = mapped_column(ForeignKey("sessions.id", ondelete="SET NULL"))
    penalty: Mapped[int]


class ExerciseTest(Base):
    """An input and what is expected of it; a hidden one is shown to no student."""

    __tablename__ = "exercise_tests"
    duplicates: ClassVar = {
        "exercise_id": Duplicate("TEST_NUMBER_IN_USE", "The exercise has a test with this number already."),
    }
    __table_args__ = (
        CheckConstraint("test_number > 0", name="check_test_number_positive"),
        CheckConstraint("timeout_seconds > 0", name="check_timeout_positive"),
        UniqueConstraint("exercise_id", "test_number", name="uq_exercise_test_number"),
    )
    privacy = Privacy(keep="exercise_id test_number description input expected is_hidden timeout_seconds")
    audit = Audit(plain="exercise_id test_number is_hidden timeout_seconds", masked="description input expected")

    exercise_id: Mapped[UUID] = mapped_column(ForeignKey("exercises.id", ondelete="CASCADE"))
    test_number: Mapped[int]
    description: Mapped[str | None] = mapped_column(Text)
    input: Mapped[str] = mapped_column(Text)
    expected: Mapped[str] = mapped_column(Text)
    is_hidden: Mapped[bool] = mapped_column(default=False)
    timeout_seconds: Mapped[int] = mapped_column(default=5)

    exercise: Mapped["Exercise"] = relationship(back_populates="tests", lazy="raise")


class ExerciseAttempt(Base):
    """One submission of a student, and the results a runner sent. `score` is 0 to 10."""

    __tablename__ = "exercise_attempts"
    __table_args__ = (
        CheckConstraint("attempt_number > 0", name="check_attempt_number_positive"),
        one_of("check_attempt_status", "status", AttemptStatus),
        CheckConstraint("hints_used >= 0", name="check_hints_nonnegative"),
        CheckConstraint("penalty_applied >= 0", name="check_penalty_applied_nonnegative"),
        CheckConstraint("execution_time_ms >= 0", name="check_execution_time_nonnegative"),
        CheckConstraint("score IS NULL OR (score >= 0 AND score <= 10)", name="check_score_range"),
        CheckConstraint("tests_passed >= 0 AND tests_passed <= tests_total", name="check_tests_valid"),
        UniqueConstraint("student_id", "exercise_id", "attempt_number", name="uq_attempt_number"),
        Index("idx_attempts_created", "created_at", "id"),
        Index("idx_attempts_exercise", "exercise_id"),
        Index("idx_attempts_session", "session_id"),
        Index("idx_attempts_status", "status", "created_at", "id"),
        Index("idx_attempts_course", "course_id"),
    )
    privacy = Privacy(
        "student_id",
        keep="""exercise_id session_id course_id tests_passed tests_total score status execution_time_ms hints_used
        penalty_applied attempt_number submitted_at""",
        pseudonymise="student_id",
        empty="""submitted_code stdout stderr ai_feedback_summary ai_feedback_detailed ai_suggestions
        rubric_evaluation""",
    )
    audit = Audit(
        "student_id",
        people="student_id",
        plain=(
            "exercise_id session_id course_id attempt_number status tests_passed tests_total score "
            "hints_used penalty_applied"
        ),
        masked="submitted_code rubric_evaluation",
        unseen=("execution_time_ms stdout stderr ai_feedback_summary ai_feedback_detailed ai_suggestions submitted_at"),
    )

    exercise_id: Mapped[UUID] = mapped_column(ForeignKey("exercises.id", ondelete="CASCADE"))
    student_id: Mapped[str] = mapped_column(String(100))
    session_id: Mapped[UUID | None] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    course_id: Mapped[str | None] = mapped_column(String(100))  # of an attempt outside of sessions
    submitted_code: Mapped[str] = mapped_column(Text)
    tests_passed: Mapped[int] = mapped_column(default=0)
    tests_total: Mapped[int] = mapped_column(default=0)
    score: Mapped[float | None]
    status: Mapped[str] = mapped_column(String(20), default=AttemptStatus.PENDING.value)
    execution_time_ms: Mapped[int | None]
    stdout: Mapped[str | None] = mapped_column(Text)
    stderr: Mapped[str | None] = mapped_column(Text)
    ai_feedback_summary: Mapped[str | None] = mapped_column(Text)
    ai_feedback_detailed: Mapped[str | None] = mapped_column(Text)
    ai_suggestions: Mapped[Items] = mapped_column(default=list)
    rubric_evaluation: Mapped[Document] = mapped_column(default=dict)
    hints_used: Mapped[int] = mapped_column(default=0)
    penalty_applied: Mapped[int] = mapped_column(default=0)
    attempt_number: Mapped[int] = mapped_column(default=1)
    submitted_at: Mapped[datetime] = mapped_column(default=utc_now)

    exercise: Mapped["Exercise"] = relationship(back_populates="attempts", lazy="raise")
    session: Mapped["LearningSession | None"] = relationship(back_populates="exercise_attempts", lazy="raise")


class RubricCriterion(Base):
    """A criterion of an exercise's rubric; `weight` is its share, 0 to 1."""

    __tablename__ = "exercise_rubric_criteria"
    __table_args__ = (
        CheckConstraint("display_order > 0", name="check_criterion_order_positive"),
        in_range("check_criterion_weight_range", "weight", 0, 1),
        UniqueConstraint("exercise_id", "criterion_name", name="uq_exercise_criterion_name"),
        UniqueConstraint("exercise_id", "display_order", name="uq_exercise_criterion_order"),
    )
    privacy = Privacy(keep="exercise_id criterion_name description weight display_order")
    audit = Audit(plain="exercise_id criterion_name weight display_order", masked="description")

    exercise_id: Mapped[UUID] = mapped_column(ForeignKey("exercises.id", ondelete="CASCADE"))
    criterion_name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str | None] = mapped_column(Text)
    weight: Mapped[float]
    display_order: Mapped[int]

    exercise: Mapped["Exercise"] = relationship(back_populates="rubric_criteria", lazy="raise")
    levels: Mapped[list["RubricLevel"]] = _owned("criterion", "RubricLevel.min_score.desc()")


class RubricLevel(Base):
    """A band of scores (0 to 10) of a criterion, and the points (0 to 100) it earns."""

    __tablename__ = "rubric_levels"
    __table_args__ = (
        one_of("check_level_name_valid", "level_name", LevelName),
        in_range("check_level_points_range", "points", 0, 100),
        CheckConstraint("min_score < max_score", name="check_level_score_order"),
        CheckConstraint("min_score >= 0 AND max_score <= 10", name="check_level_score_range"),
        Index("idx_rubric_levels_criterion", "criterion_id"),
    )
    privacy = Privacy(keep="criterion_id level_name description min_score max_score points")
    audit = Audit(plain="criterion_id level_name min_score max_score points", masked="description")

    criterion_id: Mapped[UUID] = mapped_column(ForeignKey("exercise_rubric_criteria.id", ondelete="CASCADE"))
    level_name: Mapped[str] = mapped_column(String(50))
    description: Mapped[str] = mapped_column(Text)
    min_score: Mapped[float]
    max_score: Mapped[float]
    points: Mapped[int]

    criterion: Mapped["RubricCriterion"] = relationship(back_populates="levels", lazy="raise")
