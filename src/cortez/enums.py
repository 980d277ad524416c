"""The one conversion of enumerated text: any case and known aliases in, the canonical value stored."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Literal, TypeVar, get_args, get_origin

E = TypeVar("E", bound="Choice")
_ALIASES: dict[type, dict[str, str]] = {}


class Choice(StrEnum):
    """An enumeration whose members are found in any case and by alias."""

    @classmethod
    def _missing_(cls, value: object) -> "Choice | None":
        if not isinstance(value, str):
            return None
        wanted = value.strip().casefold()
        wanted = _ALIASES.get(cls, {}).get(wanted, wanted)
        return next((member for member in cls if member.value.casefold() == wanted), None)


def aliases(**names: str) -> Callable[[type[E]], type[E]]:
    """Let a Choice also understand other names: `@aliases(ESTANCAMIENTO="atascado")`."""

    def register(choice: type[E]) -> type[E]:
        _ALIASES[choice] = {name.casefold(): value for name, value in names.items()}
        return choice

    return register


def named(choice: type[Choice]) -> dict[str, str]:
    """The other names that a Choice understands, each with the value it stands for."""
    return _ALIASES.get(choice, {})


def listed(annotation: Any) -> str:
    """The values of the enumeration in a type, to be said after an error; an empty text where there is none."""
    for kind in (annotation, *get_args(annotation)):
        if get_origin(kind) is Literal:
            return f"; use one of: {', '.join(get_args(kind))}"
        if isinstance(kind, type) and issubclass(kind, Choice):
            return f"; use one of: {', '.join(kind)}"
    return ""
