"""Ids of requests."""

from random import getrandbits
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from litestar.types import Scope


def request_id(scope: "Scope") -> str:
    """The id of a request, always our own: it is stored for good, and a client's could name a person."""
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        state["request_id"] = f"{getrandbits(128):032x}"
    return str(state["request_id"])
