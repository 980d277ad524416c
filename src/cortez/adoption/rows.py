"""One row of the predecessor on its way into a table here."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from msgspec import Struct, field
from sqlalchemy import LargeBinary, String

from cortez.adoption.checks import Checks
from cortez.adoption.keys import Register, new_id, new_key
from cortez.adoption.rules import BUSINESS, Row, Rule
from cortez.adoption.values import Fit, Old, Unfit, choices, converter, plain
from cortez.clock import utc_now
from cortez.core.db.types import TableColumn, default_of

OF_THE_SERVICE = {"trace_count"}  # what the service works out itself, whatever the predecessor had counted


class Loss(Struct, frozen=True):
    """What is kept in the quarantine: of one column, or of the whole row."""

    column: str | None
    reason: str
    original: Old


class Making(Struct):
    """The row as it was, the values that it has here so far, and what was done to it."""

    old_id: str
    old: Row
    values: Row = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    refusal: str = ""
    student_id: str | None = None  # whose row it is, where no column says it

    def put(self, column: str, made: Fit) -> None:
        """Give a column its value, and remember what had to be done to it."""
        before = self.values.get(column)
        self.values[column] = made.value
        if made.change:
            self.changes.append(f"{column}: {made.change}")
        if made.is_loss:
            self.losses.append(Loss(column, made.change, self.old.get(column) if before is None else before))

    def lose(self, column: str, reason: str, value: Old, original: Old) -> None:
        """Give a column a value instead of the one that cannot be kept."""
        self.values[column] = value
        self.changes.append(f"{column}: {reason}")
        self.losses.append(Loss(column, reason, original))

    def refuse(self, reason: str) -> None:
        self.refusal = self.refusal or reason

    def owner(self) -> str | None:
        found: str | None = self.values.get("student_id") or self.student_id
        return found

    def kept(self) -> Iterator[Loss]:
        """What the quarantine is given of it."""
        if self.refusal:
            yield Loss(None, self.refusal, self.old)
        else:
            yield from self.losses


class Fitter:
    """Fits the rows of one table, each for itself."""

    def __init__(self, rule: Rule, register: Register) -> None:
        self.rule = rule
        self.register = register
        self.table = rule.model.metadata.tables[rule.model.__tablename__]
        self.checks = Checks(self.table)
        self.columns = [column for column in self.table.columns if is_adopted(column)]
        self.takers = [(column.name, self.taker(column)) for column in self.columns if column.name != "id"]
        self.needed = [column for column in self.columns if not column.nullable]

    def begin(self, old_id: str, old: Row) -> Making:
        making = Making(old_id, old)
        for name, take in self.takers:
            raw = old.get(name)
            making.values[name] = None
            if raw is not None:
                take(making, raw)
        self.stamp(making)
        raw = old.get("id", old_id)
        making.values["id"] = new_id(self.table.name, raw)
        if self.register.note(f"{self.table.name}.id", raw, making.values["id"], making.owner()):
            making.changes.append("id: a new key, the old one is in legacy_ids")
        self.keep_unknown(making)
        return making

    def taker(self, column: TableColumn) -> Callable[[Making, Old], None]:
        """What gives a row its value of the column."""
        if column.name in BUSINESS:
            return partial(self.take_key, column)
        if target := referred(column):
            return partial(take_reference, column.name, target)
        return partial(take_value, column.name, converter(column))

    def take_key(self, column: TableColumn, making: Making, raw: Old) -> None:
        length = getattr(column.type, "length", None) or 100
        key = new_key(raw, length)
        making.values[column.name] = key
        if column.name == "student_id":
            making.student_id = key
        if self.register.note(BUSINESS[column.name] or column.name, raw, key, making.student_id):
            making.changes.append(f"{column.name}: a new key, the old one is in legacy_ids")

    def stamp(self, making: Making) -> None:
        """When a row was made is known from its other times where it does not say so itself."""
        values = making.values
        times = sorted(value for value in values.values() if isinstance(value, datetime))
        for name in ("created_at", "updated_at"):
            if values.get(name) is None:
                values[name] = values.get("created_at") or (times[0] if times else utc_now())
                making.changes.append(f"{name}: not known, taken from the row's other times")

    def keep_unknown(self, making: Making) -> None:
        """Columns that there are none of here go to the quarantine as they are."""
        known = {*self.table.columns.keys(), *OF_THE_SERVICE}
        unknown = {name: value for name, value in making.old.items() if name not in known and value is not None}
        if unknown:
            making.losses.append(Loss(None, "columns that Cortez does not have", unknown))
            making.changes.append(f"{', '.join(sorted(unknown))}: no such column, kept in the quarantine")

    def complete(self, making: Making) -> None:
        """Fill what may not be absent, do what is particular about the table, and ask the checks."""
        self.fill(making)
        if not making.refusal:
            self.rule.alter(making.values, making.put)
            self.pass_checks(making)

    def fill(self, making: Making) -> None:
        for column in self.needed:
            if making.values[column.name] is not None:
                continue
            value = self.substitute(making, column)
            if value is None:
                said = {loss.column: loss.reason for loss in making.losses}.get(column.name, "is missing")
                making.refuse(f"{column.name} {said}, and the row cannot do without")
                return
            making.values[column.name] = value
            if column.name in making.old and not any(loss.column == column.name for loss in making.losses):
                making.changes.append(f"{column.name}: nothing there, {plain(value)!r} instead")

    def substitute(self, making: Making, column: TableColumn) -> Old:
        """What stands where there is nothing: no key and no enumeration is made up."""
        if column.name in self.rule.missing:
            return self.rule.missing[column.name](making.values)
        known: Old = default_of(column)
        if known is not None or not isinstance(column.type, String):
            return known
        is_key = column.unique or column.name in BUSINESS or column.name in choices(self.table)
        return None if is_key else ""

    def pass_checks(self, making: Making) -> None:
        """A value that breaks a check goes to the quarantine, and its column gets what stands for nothing."""
        broken = self.checks.broken(making.values)
        for check in broken:
            for name in check.columns:
                making.lose(name, f"breaks {check.name}", None, making.values[name])
            self.fill(making)
        if broken and not making.refusal and (still := self.checks.broken(making.values)):
            making.refuse(f"breaks {still[0].name}")


def is_adopted(column: TableColumn) -> bool:
    """Digests are the service's own."""
    return column.name not in OF_THE_SERVICE and not isinstance(column.type, LargeBinary)


def take_reference(name: str, target: str, making: Making, raw: Old) -> None:
    making.values[name] = new_id(target, raw)


def take_value(name: str, convert: Callable[[Old], Fit], making: Making, raw: Old) -> None:
    try:
        made = convert(raw)
    except Unfit as unfit:
        making.lose(name, str(unfit), None, raw)
        return
    making.put(name, made)


def referred(column: TableColumn) -> str | None:
    """The table that a column with an id refers to."""
    return next((key.column.table.name for key in column.foreign_keys if key.column.name == "id"), None)
