"""The one conversion of enumerated text: any case and known aliases in, the canonical value stored."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar, get_args

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


def listed(annotation: Any) -> str:
    """The values of the enumeration in a type, to be said after an error; an empty text where there is none."""
    kinds = (annotation, *get_args(annotation))
    choices = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Choice)]
    return f"; use one of: {', '.join(choices[0])}" if choices else ""
