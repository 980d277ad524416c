"""Batches: up to a thousand items in one request, each judged for itself, one result for every one in order.

What a body holds is counted before any of it is made: ten megabytes can be five million numbers or three million lists,
which are half a gigabyte as objects. Between items other requests get their turn.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from types import GenericAlias
from typing import Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from litestar.status_codes import HTTP_200_OK
from msgspec import Struct

from cortez.core.concurrency.worker_pools import BESIDE
from cortez.core.observability.request_context import note_batch
from cortez.core.typing import TypeForm
from cortez.core.web.decoding import decoder, explain, refuse_nul
from cortez.core.web.requests import StrictRequest
from cortez.core.web.route_options import RouteOptions, route
from cortez.errors import Conflict, CortezError, FieldError, Invalid

T = TypeVar("T")

MAX_ITEMS = 1_000
MAX_BODY = 10_000_000
MAX_LISTS, MAX_VALUES = 100_000, 500_000  # lists and objects, and values, of all items together: at most 60 MB
TURN = 500_000  # bytes that are decoded at a stretch, some 5 ms
LINE = re.compile(rb"[^\s][^\n]*")
# A text, to its end or to the body's, or what begins a list, an object or another value.
MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{,]', re.DOTALL)
NO_MARKS = bytes(set(range(256)) - set(b"[{,"))

# An array that is read no further than to the item that is too many.
Items = msgspec.defstruct(
    "Items",
    [(f"item_{index}", msgspec.Raw, msgspec.UNSET) for index in range(MAX_ITEMS)],
    array_like=True,
    forbid_unknown_fields=True,
)


def batch_of(type_: TypeForm) -> dict[str, RouteOptions]:
    """The options of a route that takes many of these as JSON or NDJSON."""
    lines = {"type": "string", "description": f"One {type_.__name__} a line, at most {MAX_ITEMS:,}."}
    bodies = {"application/json": GenericAlias(list, type_), "application/x-ndjson": lines}
    return route(bodies=bodies, max_items=MAX_ITEMS, max_body=MAX_BODY, sent_back=HTTP_200_OK)


class ItemResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one item, by its place in the batch."""

    index: int
    status: Literal["created", "duplicate", "rejected"]
    id: UUID | None = None
    code: str | None = None
    errors: list[FieldError] = []


class BatchResult(Struct, frozen=True):
    created: int
    duplicate: int
    rejected: int
    items: list[ItemResult]


class Sent(NamedTuple, Generic[T]):
    """The items of a body, or what is wrong with each, and how many bytes each was sent in."""

    items: list[T | CortezError]
    sizes: list[int]


async def items_of(request: StrictRequest, type_: type[T]) -> Sent[T]:
    """What the body holds, as JSON or NDJSON, each item decoded for itself.

    Raises MALFORMED_JSON, or Invalid (TOO_MANY_ITEMS, TOO_MANY_VALUES).
    """
    body = await request.body()
    await refuse_crowded(body)
    raws = lines_of(body) if request.content_type[0] == "application/x-ndjson" else elements_of(body)
    sent: Sent[T] = Sent([], [memoryview(raw).nbytes for raw in raws])
    decoded = 0
    for raw, size in zip(raws, sent.sizes, strict=True):
        sent.items.append(read(raw, type_))
        decoded += size
        if decoded > TURN:
            decoded = 0
            await asyncio.sleep(0)
    return sent


async def refuse_crowded(body: bytes) -> None:
    """Raises Invalid (TOO_MANY_VALUES), or Unavailable (POOL_BUSY).

    Nearly all bodies are small enough whatever stands inside of their texts. The others are read by another process.
    """
    lists = values = 0
    for start in range(0, len(body), TURN):
        marks = body[start : start + TURN].translate(None, NO_MARKS)
        commas = marks.count(b",")
        values += commas
        lists += len(marks) - commas
        await asyncio.sleep(0)
    if (lists > MAX_LISTS or values > MAX_VALUES) and await BESIDE.run(is_crowded, body):
        raise Invalid("TOO_MANY_VALUES", "The body holds too many lists, objects or values. Send it in parts.")


def is_crowded(body: bytes) -> bool:
    """Whether there are too many lists, objects or values outside of texts, or too many texts."""
    lists = values = texts = 0
    for mark in MARK.finditer(body):
        first = body[mark.start()]
        texts += first == ord('"')
        values += first == ord(",")
        lists += first in b"[{"
        if lists > MAX_LISTS or values > MAX_VALUES or texts > 2 * MAX_VALUES:
            return True
    return False


def lines_of(body: bytes) -> list[msgspec.Raw]:
    """The lines that are not blank."""
    return list(bounded(msgspec.Raw(line.group()) for line in LINE.finditer(body)))


def elements_of(body: bytes) -> list[msgspec.Raw]:
    """The items of an array, undecoded. Raises where the array itself is no JSON, or has too many."""
    try:
        found = decoder(Items).decode(body or b"[]")
    except msgspec.ValidationError as error:
        if body.lstrip().startswith(b"["):
            raise too_many() from None
        raise Invalid(None, "Send an array.", [explain(error)]) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise CortezError("MALFORMED_JSON", f"The body is not JSON: {error}.") from None
    return [item for item in msgspec.structs.astuple(found) if item is not msgspec.UNSET]


def bounded(items: Iterator[T]) -> Iterator[T]:
    """No further than to the item that is too many. Raises Invalid (TOO_MANY_ITEMS) there."""
    yield from islice(items, MAX_ITEMS)
    for _ in items:
        raise too_many()


def too_many() -> Invalid:
    return Invalid("TOO_MANY_ITEMS", f"A batch has at most {MAX_ITEMS} items.")


def read(raw: msgspec.Raw, type_: type[T]) -> T | CortezError:
    """Decode one item; what is wrong with it stays its own affair."""
    try:
        value: T = decoder(type_).decode(raw)  # type: ignore[arg-type]
        refuse_nul(bytes(raw))
    except msgspec.ValidationError as error:
        return Invalid(None, "The item is not valid.", [explain(error, type_)])
    except CortezError as error:
        return error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return CortezError("MALFORMED_JSON", f"The item is not JSON: {error}.")
    return value


def errors_of(error: CortezError) -> list[FieldError]:
    return error.errors or [FieldError("", error.detail)]


def answer_of(outcomes: Sequence[ItemResult | CortezError]) -> BatchResult:
    results = [
        ItemResult(index=index, status="rejected", code=outcome.code, errors=errors_of(outcome))
        if isinstance(outcome, CortezError)
        else outcome
        for index, outcome in enumerate(outcomes)
    ]
    count = Counter(result.status for result in results)
    answer = BatchResult(count["created"], count["duplicate"], count["rejected"], results)
    note_batch({"created": answer.created, "duplicate": answer.duplicate, "rejected": answer.rejected})
    return answer


def refuse_rejections(outcomes: Sequence[ItemResult | CortezError]) -> None:
    """Raises one error for all rejected items: 409 where any of them is a conflict, else 422."""
    rejected = [(index, outcome) for index, outcome in enumerate(outcomes) if isinstance(outcome, CortezError)]
    if not rejected:
        return
    kind = Conflict if any(isinstance(outcome, Conflict) for _, outcome in rejected) else Invalid
    errors = [FieldError(f"/{index}", f"{outcome.code}: {outcome.detail}") for index, outcome in rejected]
    raise kind("BATCH_REJECTED", f"{len(rejected)} items were rejected, so nothing was stored.", errors)
