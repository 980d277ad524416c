"""Life cycles as tables: from each action to the states it starts from and the state it ends in."""

from collections.abc import Collection, Mapping
from enum import StrEnum

from cortez.errors import Conflict

Transitions = Mapping[str, tuple[Collection[StrEnum], StrEnum]]


def after(transitions: Transitions, noun: str, status: str, action: str) -> str:
    """The state after the action. Raises Conflict (ILLEGAL_TRANSITION)."""
    starts, end = transitions[action]
    if status not in starts:
        raise Conflict("ILLEGAL_TRANSITION", f"A {noun} that is {status} cannot {action.replace('_', ' ')}.")
    return end.value
