"""Tables for spreadsheet programs: CSV and XLSX in which no text is taken for a formula.

A text cell of XLSX is never one. In CSV every text is quoted, and what a program would run has an apostrophe in front:
at the beginning of a text, and behind what some program may split cells or lines at, whatever the quotes say.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import overload

import msgspec
from msgspec import Struct

from cortez.core.db.types import ColumnValue

CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

# A cell that begins with one of these, perhaps after spaces, is a formula or a command to some program. The wide signs
# of East Asian keyboards count too. Where a comma is the decimal point, programs split cells at semicolons.
FIRST = re.compile(r"[ ]*[\t\r\n=+@＝＋－＠-]")  # noqa: RUF001
SPLIT = re.compile(r"([;\t\r\n])(?=[ ]*[=+@＝＋－＠-])")  # noqa: RUF001
MAX_CELL = 32_767  # characters in a cell of XLSX
WIDTH = 22

Cell = str | int | float


class Sheet(Struct, frozen=True):
    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[ColumnValue]]


def cell(value: ColumnValue) -> Cell:
    """A value as a cell: numbers and texts as they are, times as RFC 3339, structures as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return value
    return msgspec.json.encode(value).decode().strip('"')


@overload
def disarmed(found: str) -> str: ...


@overload
def disarmed(found: Cell) -> Cell: ...


def disarmed(found: Cell) -> Cell:
    """A cell with an apostrophe wherever a spreadsheet program would begin to run its text."""
    if not isinstance(found, str):
        return found
    inside = SPLIT.sub(r"\1'", found)
    return f"'{inside}" if FIRST.match(found) else inside


def csv_lines(rows: Iterable[Sequence[ColumnValue]]) -> bytes:
    """Lines of CSV (RFC 4180, UTF-8), every text quoted."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([disarmed(cell(value)) for value in row] for row in rows)
    return text.getvalue().encode()


def workbook(sheets: Sequence[Sheet]) -> bytes:
    """An XLSX file; its rows are written one by one, not held."""
    import xlsxwriter  # type: ignore[import-untyped]  # 6 MB that most workers never need; no type information

    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"constant_memory": True, "in_memory": False}) as book:
        bold = book.add_format({"bold": True})
        for sheet in sheets:
            page = book.add_worksheet(sheet.name)
            page.set_column(0, max(0, len(sheet.columns) - 1), WIDTH)
            page.freeze_panes(1, 0)
            for column, title in enumerate(sheet.columns):
                page.write_string(0, column, title, bold)
            for line, row in enumerate(sheet.rows, start=1):
                for column, value in enumerate(cell(value) for value in row):
                    if isinstance(value, str):
                        page.write_string(line, column, value[:MAX_CELL])
                    else:
                        page.write_number(line, column, value)
    return file.getvalue()
