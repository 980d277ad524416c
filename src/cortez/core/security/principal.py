"""Who asks: a person with roles, or a key with scopes."""

from functools import lru_cache
from typing import Literal
from uuid import UUID

import msgspec


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: a person with roles, or a key with scopes (`course_ids` None: every course)."""

    id: UUID
    kind: Literal["person", "key"] = "person"
    student_id: str | None = None
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    course_ids: frozenset[str] | None = None
    family_id: UUID | None = None

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles

    @property
    def is_teaching(self) -> bool:
        return bool(self.roles & {"teacher", "tutor", "admin"})

    @property
    def is_key(self) -> bool:
        return self.kind == "key"

    @property
    def user_id(self) -> UUID | None:
        return None if self.is_key else self.id

    def may(self, *roles: str) -> bool:
        """Whether one of the roles is held; an admin holds every one. `key:SCOPE` names a key's scope."""
        if self.is_key:
            return not self.scopes.isdisjoint(scopes_in(roles))
        return self.is_admin or not self.roles.isdisjoint(roles)


@lru_cache
def scopes_in(roles: tuple[str, ...]) -> frozenset[str]:
    return frozenset(role.removeprefix("key:") for role in roles if role.startswith("key:"))


# The service itself, where nobody has signed in yet.
SYSTEM = Principal(id=UUID(int=0), roles=frozenset({"admin"}))
