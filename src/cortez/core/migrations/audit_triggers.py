"""The audit triggers of one table as SQL for both databases. Revision 0007 made the functions that they call.

Revision 0007 has its own copy of this, since a landed revision does not change. Revisions 0015 and 0018 use this
one: if it has to change, they get a copy too.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sqlalchemy import JSON, Boolean, LargeBinary, Uuid

from cortez.core.db.base import Base
from cortez.core.db.types import AnyType, UtcDateTime

BY_A_PERSON = {
    "sqlite": "cortez_actor_kind() = 'person'",
    "postgresql": "current_setting('cortez.actor', true) LIKE 'person:%'",
}


KINDS: dict[type[AnyType], str] = {
    Uuid: "uuid",
    JSON: "doc",
    Boolean: "bool",
    UtcDateTime: "time",
    LargeBinary: "blob",
}


class Audited(NamedTuple):
    """What the log records of a table, as `name` or `name:kind` (uuid, doc, bool, time, blob; else text or a number).

    `about` is the column whose person's key digests the `masked` values; `people` appear by alias, `plain` values as
    they are. A column that is named nowhere makes no entry when it changes. Updates are recorded where a statement sets
    one of the named columns, so that a counter costs nothing. `by_people`: the columns that are recorded of an insert,
    and of those by people alone, since machines insert too many; None records every insert with every column.
    """

    table: str
    events: str
    about: str
    people: str
    plain: str
    masked: str
    by_people: str | None = None

    @property
    def named(self) -> list[str]:
        """The names of all recorded columns."""
        return names(f"{self.people} {self.plain} {self.masked}")

    def inserted(self) -> "Audited":
        """The same with the columns that an insert records."""
        if self.by_people is None:
            return self
        kept = self.by_people.split()
        masked = " ".join(one for one in self.masked.split() if one.partition(":")[0] in kept)
        return self._replace(masked=masked)


def of_model(model: type[Base]) -> Audited:
    """What a model says of its table; kinds follow from the types of columns.

    Raises ValueError where the table is not audited.
    """
    audit = model.audit
    if audit is None:
        raise ValueError(f"{model.__tablename__} is not audited.")
    about, people, plain = (with_kinds(model, part, KINDS) for part in (audit.about, audit.people, audit.plain))
    masked = with_kinds(model, audit.masked, {LargeBinary: "blob"})  # others are digested as the column holds them
    return Audited(model.__tablename__, audit.events, about, people, plain, masked, audit.by_people)


def with_kinds(model: type[Base], columns: str, kinds: Mapping[type[AnyType], str]) -> str:
    """Each name with the kind of its column's type, where there is one."""
    found = []
    for name in columns.split():
        type_ = model.__table__.columns[name].type
        found.append(next((f"{name}:{kind}" for known, kind in kinds.items() if isinstance(type_, known)), name))
    return " ".join(found)


def names(columns: str) -> list[str]:
    """The names of columns without their kinds."""
    return [column.partition(":")[0] for column in columns.split()]


def for_postgresql(one: Audited) -> Iterator[str]:
    """Statements that make, or replace, the triggers of the table."""
    events = set(one.events.split())
    others = [*([f"UPDATE OF {', '.join(updated(one))}"] if "UPDATE" in events else [])]
    others += ["DELETE"] if "DELETE" in events else []
    if one.by_people is None and "INSERT" in events:
        others.insert(0, "INSERT")
    yield postgresql_trigger(f"trg_audit_{one.table}", " OR ".join(others), one)
    if one.by_people is not None:
        when = f"WHEN ({BY_A_PERSON['postgresql']}) "
        yield postgresql_trigger(f"trg_audit_{one.table}_insert", "INSERT", one.inserted(), when)
    yield (
        f"CREATE OR REPLACE TRIGGER trg_audit_{one.table}_truncated BEFORE TRUNCATE ON {one.table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION cortez_append_only()"
    )


def updated(one: Audited) -> list[str]:
    """The columns whose change is recorded; the key never changes."""
    return [name for name in one.named if name != "id"]


def postgresql_trigger(name: str, events: str, one: Audited, when: str = "") -> str:
    arguments = ", ".join(f"'{','.join(names(part))}'" for part in (one.about, one.people, one.plain, one.masked))
    return (
        f"CREATE OR REPLACE TRIGGER {name} AFTER {events} ON {one.table} "
        f"FOR EACH ROW {when}EXECUTE FUNCTION cortez_audit({arguments})"
    )


NEW_KEY = """INSERT INTO subject_keys (id, created_at, updated_at, subject, alias, pads)
    SELECT lower(hex(randomblob(16))), {now}, {now}, person, lower(hex(randomblob(16))), cortez_new_pads()
    FROM (SELECT {person} AS person) WHERE person IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM subject_keys WHERE subject = person);"""
NOW = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
ROWS = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}
ACTING = "CASE WHEN cortez_actor_kind() = 'person' THEN cortez_actor() END"


def for_sqlite(one: Audited) -> Iterator[str]:
    """Statements that make, or replace, the triggers of the table."""
    for event in one.events.split():
        yield f"DROP TRIGGER IF EXISTS trg_audit_{one.table}_{event.lower()}"
        yield sqlite_trigger(one.inserted() if event == "INSERT" else one, event)


def sqlite_trigger(one: Audited, event: str) -> str:
    row = "NEW" if event == "INSERT" else "OLD"
    about = as_text(row, one.about) if one.about else "''"
    pads = f"(SELECT pads FROM subject_keys WHERE subject = {about})"
    people = {about, ACTING, *(as_text(seen, column) for seen in ROWS[event] for column in one.people.split())}
    keys = "\n".join(NEW_KEY.format(now=NOW, person=person) for person in sorted(people))
    before = shown("OLD", one, pads) if event != "INSERT" else "NULL"
    after = shown("NEW", one, pads) if event != "DELETE" else "NULL"
    when, of = "", ""
    if event == "UPDATE":
        before, after = f"cortez_changed({before}, {after})", f"cortez_changed({after}, {before})"
        of = f" OF {', '.join(updated(one))}"
        when = f"WHEN {' OR '.join(f'OLD.{name} IS NOT NEW.{name}' for name in one.named)}"
    elif event == "INSERT" and one.by_people is not None:
        when = f"WHEN {BY_A_PERSON['sqlite']}"
    row_id = alias_of(as_text(row, "id:uuid")) if "id:uuid" in one.people.split() else as_text(row, "id:uuid")
    return f"""CREATE TRIGGER trg_audit_{one.table}_{event.lower()} AFTER {event}{of} ON {one.table} {when} BEGIN
    {keys}
    INSERT INTO audit_log (id, created_at, updated_at, position, table_name, row_id, operation, actor_kind, actor,
        subject, request_id, "before", "after", salt)
    SELECT printf('%016x', number) || lower(hex(randomblob(8))), {NOW}, {NOW}, number,
        '{one.table}', {row_id}, '{event.lower()}', cortez_actor_kind(),
        CASE WHEN cortez_actor_kind() = 'person' THEN {alias_of("cortez_actor()")} ELSE cortez_actor() END,
        {alias_of(about) if one.about else "NULL"}, cortez_request_id(), {before}, {after}, randomblob(16)
    FROM (SELECT coalesce(max(position), 0) + 1 AS number FROM audit_log);
    END"""


def as_text(row: str, column: str) -> str:
    """The column's value as PostgreSQL would write it in a document."""
    name, _, kind = column.partition(":")
    value = f"{row}.{name}"
    if kind == "uuid":
        parts = "||'-'||".join(
            f"substr({value}, {start}, {length})" for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        )
        return f"({parts})"
    forms = {
        "doc": f"json({value})",
        "bool": f"json(CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)",
        "time": f"(replace({value}, ' ', 'T') || '+00:00')",
        "blob": f"hex({value})",
    }
    return forms.get(kind, value)


def alias_of(person: str) -> str:
    return f"(SELECT alias FROM subject_keys WHERE subject = {person})"


def shown(row: str, one: Audited, pads: str) -> str:
    """The recorded values of a row as a JSON object."""
    fields = [f"'{column.partition(':')[0]}', {as_text(row, column)}" for column in one.plain.split()]
    fields += [f"'{column.partition(':')[0]}', {alias_of(as_text(row, column))}" for column in one.people.split()]
    for column in one.masked.split():
        name, _, kind = column.partition(":")
        value = f"hex({row}.{name})" if kind == "blob" else f"{row}.{name}"
        fields.append(f"'{name}', cortez_hmac({pads}, CASE WHEN {row}.{name} IS NOT NULL THEN {value} END)")
    return f"json_object({', '.join(fields)})"
