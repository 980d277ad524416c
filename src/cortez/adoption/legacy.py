"""What the predecessor kept outside the 28 tables, as rows of them: its first exercises, and attempts at these."""

from collections.abc import Iterator

import msgspec

from cortez.adoption.source import Row
from cortez.adoption.values import Old

# Of the first mapping of `exercises`; a database may have these columns beside the others, or alone.
FIRST = ("difficulty_level", "test_cases", "hints", "time_limit_seconds")
SUBJECT = "LEGACY"
EASY, MEDIUM = 3, 7  # the highest levels of 1 to 10 that are called so
PENALTIES = (5, 10, 15, 20)
SCORE = "_score"


def exercise(row: Row) -> Row:
    """A row of the first mapping under the names of the second; what is there already stays."""
    if "difficulty_level" not in row:
        return row
    made = dict(row)
    made["subject_code"] = row.get("subject_code") or SUBJECT
    made["mission_markdown"] = row.get("mission_markdown") or row.get("description") or row.get("title")
    if not row.get("difficulty") and isinstance(level := row["difficulty_level"], int):
        made["difficulty"] = "Easy" if level <= EASY else "Medium" if level <= MEDIUM else "Hard"
    for name in ("test_cases", "hints"):
        if items(made.get(name)):
            del made[name]  # they become rows of their own
    return made


def hints(row: Row) -> Iterator[Row]:
    for number, hint in enumerate(items(row.get("hints")), start=1):
        said = hint if isinstance(hint, dict) else {"content": hint}
        yield part(row, "hint", number) | {
            "hint_number": number,
            "title": said.get("title"),
            "content": text(said.get("content", said)),
            "penalty_points": said.get("penalty_points", PENALTIES[min(number, 4) - 1]),
        }


def tests(row: Row) -> Iterator[Row]:
    for number, case in enumerate(items(row.get("test_cases")), start=1):
        said = case if isinstance(case, dict) else {"input": case}
        yield part(row, "test", number) | {
            "test_number": number,
            "description": said.get("description"),
            "input": text(said.get("input", "")),
            "expected": text(said.get("expected", said.get("expected_output", ""))),
            "is_hidden": said.get("is_hidden", number > 1),
            "timeout_seconds": row.get("time_limit_seconds") or 5,
        }


def part(row: Row, kind: str, number: int) -> Row:
    stamps = {name: row.get(name) for name in ("created_at", "updated_at")}
    return {"id": f"{row['id']}/{kind}/{number}", "exercise_id": row["id"], **stamps}


def attempt(row: Row, students: dict[str, str]) -> Row:
    """A submission as an attempt of the account's student; the scores of its quality beside the rubric's."""
    renamed = {
        "passed_tests": "tests_passed",
        "total_tests": "tests_total",
        "attempts": "attempt_number",
        "ai_score": "score",
        "ai_feedback": "ai_feedback_detailed",
    }
    qualities = {name: row[name] for name in row if name.endswith(SCORE) and name != "ai_score"}
    plain = {renamed.get(name, name): value for name, value in row.items() if name not in qualities}
    user = str(plain.pop("user_id", None))
    correct = str(plain.pop("is_correct", "")).lower() == "true"
    return plain | {
        "student_id": students.get(user, user),
        "status": "PASS" if correct else "FAIL",
        "rubric_evaluation": {"quality": qualities} if qualities else {},
    }


def items(value: Old) -> list[Old]:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return []
    return value if isinstance(value, list) else []


def text(value: Old) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
