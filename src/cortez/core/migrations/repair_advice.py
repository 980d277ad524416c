"""What to do about something in a schema that is missing, other than needed, or too much: where it can be, as SQL."""

import re

from cortez.core.migrations.snapshot import Thing

# In which things can be made again: each stands on those before it.
ORDER = (
    "table",
    "column",
    "primary key",
    "unique constraint",
    "check",
    "foreign key",
    "constraint",
    "sequence",
    "index",
    "function",
    "trigger",
)
CONSTRAINTS = ("primary key", "unique constraint", "check", "foreign key", "constraint")
LONG = ("function", "trigger")  # whose definitions are not repeated in a line
COLUMN = re.compile(r"(?P<type>.*?)(?: DEFAULT (?P<default>.*?))?(?P<required> NOT NULL)?", re.DOTALL)


def run(*statements: str) -> str:
    return f"Run: {'; '.join(' '.join(one.split()) for one in statements)};"


class Repair:
    """On PostgreSQL, where anything can be changed in place."""

    def said(self, thing: Thing, found: str | None, needed: str) -> str:
        if found is None:
            return "is missing"
        if found == f"{needed} DISABLED":
            return "is disabled"
        if thing.kind in LONG:
            return "is not as its revision made it"
        return f"is {found or 'logged'}, and must be {needed or 'logged'}"

    def advice(self, thing: Thing, found: str | None, needed: str) -> str:
        kind, table, name = thing
        drop = [] if found is None else [self.drop(thing)]
        if kind == "table" and found is not None:
            return run(f"ALTER TABLE {name} SET LOGGED")
        if kind in ("table", "function"):
            return "Restore it from a backup, or as the owner run its text in: cortez migrate --sql"
        if kind == "column":
            return run(f"ALTER TABLE {table} {column_changes(name, found, needed)}")
        if kind in CONSTRAINTS:
            first = "" if found is None else f"DROP CONSTRAINT {name}, "
            return run(f"ALTER TABLE {table} {first}ADD CONSTRAINT {name} {needed}")
        if kind == "sequence":
            return run(f"CREATE SEQUENCE {name}")
        if found == f"{needed} DISABLED":
            return run(f"ALTER TABLE {table} ENABLE TRIGGER {name}")
        return run(*drop, needed)

    def removal(self, thing: Thing) -> str:
        return f"It may refuse, or change, what is written. If nothing needs it, {run(self.drop(thing))}"

    def drop(self, thing: Thing) -> str:
        kind, table, name = thing
        if kind == "column":
            return f"ALTER TABLE {table} DROP COLUMN {name}"
        if kind in CONSTRAINTS:
            return f"ALTER TABLE {table} DROP CONSTRAINT {name}"
        return f"DROP TRIGGER {name} ON {table}" if kind == "trigger" else f"DROP INDEX {name}"


class Embedded(Repair):
    """On SQLite, which can add columns, indexes and triggers to a table, and change nothing of it."""

    remake = "SQLite cannot change that in place: restore a backup, or copy the rows to a new database (cortez migrate)"

    def advice(self, thing: Thing, found: str | None, needed: str) -> str:
        drop = [] if found is None else [self.drop(thing)]
        if thing.kind in ("index", "trigger"):
            return run(*drop, needed)
        addable = "NOT NULL" not in needed or "DEFAULT" in needed
        if thing.kind == "column" and found is None and addable:
            return run(f"ALTER TABLE {thing.table} ADD COLUMN {thing.name} {needed}")
        return self.remake

    def removal(self, thing: Thing) -> str:
        return self.remake if thing.kind in CONSTRAINTS else super().removal(thing)

    def drop(self, thing: Thing) -> str:
        return f"DROP TRIGGER {thing.name}" if thing.kind == "trigger" else super().drop(thing)


def column_changes(name: str, found: str | None, needed: str) -> str:
    """What makes a column as needed, as the clauses of one ALTER TABLE."""
    was, is_ = COLUMN.fullmatch(found or ""), COLUMN.fullmatch(needed)
    if found is None or was is None or is_ is None:
        return f"ADD COLUMN {name} {needed}"
    changes = []
    if was["type"] != is_["type"]:
        changes.append(f"TYPE {is_['type']}")
    if was["default"] != is_["default"]:
        changes.append(f"SET DEFAULT {is_['default']}" if is_["default"] else "DROP DEFAULT")
    if was["required"] != is_["required"]:
        changes.append("SET NOT NULL" if is_["required"] else "DROP NOT NULL")
    return ", ".join(f"ALTER COLUMN {name} {change}" for change in changes)
