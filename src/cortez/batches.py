"""Batches: up to a thousand items in one request, each judged for itself, one result for every one in order."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec
from litestar.status_codes import HTTP_200_OK
from msgspec import Struct

from cortez.errors import Conflict, CortezError, FieldError, Invalid
from cortez.exchanges import note_batch
from cortez.responses import SENT_BACK
from cortez.schemas import StrictRequest, decoder, explain, refuse_nul

T = TypeVar("T")

MAX_ITEMS = 1_000
MAX_BODY = 10_000_000


def batch_of(type_: Any) -> dict[str, Any]:
    """The options of a route that takes many of these as JSON or NDJSON."""
    lines = {"type": "string", "description": f"One {type_.__name__} a line, at most {MAX_ITEMS:,}."}
    bodies = {"application/json": list[type_], "application/x-ndjson": lines}
    return {"bodies": bodies, "max_items": MAX_ITEMS, "max_body": MAX_BODY, SENT_BACK: HTTP_200_OK}


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


def is_ndjson(request: StrictRequest) -> bool:
    return request.content_type[0] == "application/x-ndjson"


def split(body: bytes, *, ndjson: bool = False) -> list[msgspec.Raw]:
    """The items of a body, undecoded. Raises where the array itself is no JSON, or has too many items."""
    if ndjson:
        items = [msgspec.Raw(line) for line in body.split(b"\n") if line.strip()]
    else:
        try:
            items = msgspec.json.decode(body or b"[]", type=list[msgspec.Raw])
        except msgspec.ValidationError as error:
            raise Invalid(None, "Send an array.", [explain(error)]) from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise CortezError("MALFORMED_JSON", f"The body is not JSON: {error}.") from None
    return bounded(items)


def bounded(items: list[T]) -> list[T]:
    if len(items) > MAX_ITEMS:
        raise Invalid("TOO_MANY_ITEMS", f"A batch has at most {MAX_ITEMS} items.")
    return items


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
    note_batch(answer)
    return answer


def refuse_rejections(outcomes: Sequence[Any]) -> None:
    """Raises one error for all rejected items: 409 where any of them is a conflict, else 422."""
    rejected = [(index, outcome) for index, outcome in enumerate(outcomes) if isinstance(outcome, CortezError)]
    if not rejected:
        return
    kind = Conflict if any(isinstance(outcome, Conflict) for _, outcome in rejected) else Invalid
    errors = [FieldError(f"/{index}", f"{outcome.code}: {outcome.detail}") for index, outcome in rejected]
    raise kind("BATCH_REJECTED", f"{len(rejected)} items were rejected, so nothing was stored.", errors)
