"""What a body of many items may hold, and what it costs to find out."""

import asyncio
import json
import tracemalloc
from typing import Any

import pytest

from cortez.core.web.batches import MAX_ITEMS, MAX_LISTS, MAX_VALUES, elements_of, lines_of, refuse_crowded
from cortez.errors import CortezError, Invalid
from factory import Make

STEP: dict[str, Any] = {"interaction_type": "student_prompt", "content": "Why?"}
BODY = 10_000_000
MEMORY = 12_000_000  # bytes that may be taken while a body is counted: less than one object for each of its values


def refused(count: Any, body: bytes) -> str:
    """The code that a look at the body ends with, if any. Fails where it takes much memory."""
    tracemalloc.start()
    try:
        count(body)
    except CortezError as error:
        return error.code
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MEMORY, peak
    return ""


def crowded(body: bytes) -> str:
    try:
        asyncio.run(refuse_crowded(body))
    except CortezError as error:
        return error.code
    return ""


@pytest.mark.parametrize("body", [b"[" + b"1," * (BODY // 2 - 1) + b"1]", b"[" + b"[]," * (BODY // 3) + b"[]]"])
def test_an_array_is_read_no_further_than_to_the_item_that_is_too_many(body: bytes) -> None:
    assert refused(elements_of, body) == "TOO_MANY_ITEMS"


@pytest.mark.parametrize("body", [b"ab\n" * (BODY // 3), b"\n \r\n" * (BODY // 8) + b"{}\n" * (MAX_ITEMS + 1)])
def test_lines_are_read_no_further_than_to_the_one_that_is_too_many(body: bytes) -> None:
    assert refused(lines_of, body) == "TOO_MANY_ITEMS"


@pytest.mark.parametrize("inner", [b"[],", b"{},", b'"ab",', b"1,", b'{"a":"b"},'])
def test_values_are_counted_before_they_are_made(inner: bytes) -> None:
    assert crowded(b'[{"metadata":{"a":[' + inner * (BODY // len(inner)) + b"1]}}]") == "TOO_MANY_VALUES"


@pytest.mark.parametrize(
    "body",
    [
        b'["' + b"f(a, [1], {b: c});" * 500_000 + b'"]',
        b'["' + b'\\"[,' * 2_000_000 + b'"]',
        b"[" + b",".join([b'"' + b"[,{" * 900 + b'\\\\"'] * 1_000) + b"]",
        b"[" + b"1," * (MAX_VALUES - 1) + b"1]",
        b"[" * MAX_LISTS,
    ],
)
def test_what_stands_inside_of_a_text_is_no_value(body: bytes) -> None:
    assert crowded(body) == ""


@pytest.mark.parametrize("end", [b"", b"\\", b'\\"', b"\\\\"])
def test_a_text_without_an_end_is_one_text(end: bytes) -> None:
    """As a search for its end it would be read from each of its quotes anew."""
    assert crowded(b"[" + b"," * MAX_VALUES + b'"' + b'\\"' * 2_000_000 + end) == ""
    assert crowded(b"[" + b"," * MAX_VALUES + b',"' + b'\\"' * 2_000_000 + end) == "TOO_MANY_VALUES"


def test_an_array_is_taken_as_it_is() -> None:
    assert [bytes(raw) for raw in elements_of(b' [1, {"a": []} ,"x"]')] == [b"1", b'{"a": []}', b'"x"']
    assert elements_of(b"") == elements_of(b"[]") == []
    assert len(elements_of(b"[" + b"1," * (MAX_ITEMS - 1) + b"1]")) == MAX_ITEMS
    assert [bytes(raw) for raw in lines_of(b' {"a": 1}\r\n\n\t\n{}')] == [b'{"a": 1}\r', b"{}"]


@pytest.mark.parametrize(("body", "code"), [(b"{}", "VALIDATION_ERROR"), (b"[1,", "MALFORMED_JSON"), (b"[" * 2000, "")])
def test_what_is_no_array_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(CortezError) as error:
        elements_of(body)
    assert error.value.code == (code or "MALFORMED_JSON")


async def test_a_crowded_body_stores_nothing_and_a_full_one_all(make: Make) -> None:
    student = await make.student()
    session = await make.session(student)
    path = f"/sessions/{session.id}/traces/batch"
    many = [STEP | {"metadata": {"a": [[]] * 1_000}} for _ in range(MAX_LISTS // 1_000)]
    answer = await student.post(path, json=many)
    assert (answer.status_code, answer.json()["code"]) == (422, "TOO_MANY_VALUES")
    prose = [STEP | {"content": "a, [b], {c}; " * 1_000} for _ in range(100)]
    stored = await student.client.post(path, content=json.dumps(prose), headers={"content-type": "application/json"})
    assert stored.json()["created"] == 100


def test_the_error_of_too_many_is_one() -> None:
    with pytest.raises(Invalid, match="at most 1000 items"):
        elements_of(b"[" + b"1," * MAX_ITEMS + b"1]")
