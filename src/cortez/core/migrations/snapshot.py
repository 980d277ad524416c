"""What a database's schema consists of, each thing under its name with its definition, as its engine has it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, text


class Thing(NamedTuple):
    """Something in a schema. `table` is empty for what belongs to none."""

    kind: str
    table: str
    name: str

    def __str__(self) -> str:
        if self.kind in ("table", "function", "sequence"):
            return f"{self.kind} {self.name}"
        if self.kind == "column":
            return f"column {self.table}.{self.name}"
        return f"{self.kind} {self.name} on {self.table}"


Inventory = dict[Thing, str]

IGNORED = ("alembic_version",)  # alembic's own


def read(connection: Connection) -> Inventory:
    """Of the schema in which unqualified names are made."""
    found = from_sqlite(connection) if connection.dialect.name == "sqlite" else from_postgresql(connection)
    return {thing: definition for thing, definition in found if thing.table not in IGNORED}


# PostgreSQL writes every definition out itself, and so in one form, whoever made it and however it was written.
CATALOG = """
WITH home AS (SELECT current_schema()::regnamespace AS id),
tables AS (SELECT c.* FROM pg_class c, home WHERE c.relnamespace = home.id AND c.relkind IN ('r', 'p'))
SELECT 'table', relname, relname, CASE relpersistence WHEN 'u' THEN 'unlogged' ELSE '' END FROM tables
UNION ALL
SELECT 'column', t.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    || CASE WHEN d.oid IS NULL THEN '' ELSE ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid, true) END
    || CASE WHEN a.attidentity <> '' THEN ' GENERATED AS IDENTITY' WHEN a.attgenerated <> '' THEN ' STORED' ELSE '' END
    || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
UNION ALL
SELECT CASE c.contype WHEN 'c' THEN 'check' WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique constraint'
    WHEN 'f' THEN 'foreign key' ELSE 'constraint' END, t.relname, c.conname, pg_get_constraintdef(c.oid, true)
FROM tables t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype IN ('c', 'p', 'u', 'f', 'x')
UNION ALL
SELECT 'index', t.relname, i.relname,
    pg_get_indexdef(i.oid, 0, true) || CASE WHEN x.indisvalid THEN '' ELSE ' INVALID' END
FROM tables t JOIN pg_index x ON x.indrelid = t.oid JOIN pg_class i ON i.oid = x.indexrelid
WHERE NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.oid AND c.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'trigger', t.relname, g.tgname,
    pg_get_triggerdef(g.oid, true) || CASE WHEN g.tgenabled IN ('O', 'A') THEN '' ELSE ' DISABLED' END
FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
UNION ALL
SELECT 'sequence', '', c.relname, '' FROM pg_class c, home WHERE c.relnamespace = home.id AND c.relkind = 'S'
UNION ALL
SELECT 'function', '', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', pg_get_functiondef(p.oid)
FROM pg_proc p, home WHERE p.pronamespace = home.id AND p.prokind = 'f'
AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.objid = p.oid AND e.deptype = 'e')
"""


TYPE = r"(?:character varying|double precision|timestamp with(?:out)? time zone|\w+)(?:\([\d,]+\))?(?:\[\])?"
CAST = re.compile(rf"('(?:[^']|'')*')|::{TYPE}")


def from_postgresql(connection: Connection) -> Iterator[tuple[Thing, str]]:
    names = connection.execute(text("SELECT quote_ident(current_schema()), quote_literal(current_schema())")).one()
    home, literal = map(re.escape, names)
    qualified = re.compile(rf'(?<![\w.$"])(?:{home}|pg_temp(?:_\d+)?)\.')
    for kind, table, name, definition in connection.execute(text(CATALOG)):
        plain = qualified.sub("", definition)
        if kind == "function":  # one may say in which schema it looks: in its own
            plain = re.sub(literal, "current_schema", plain)
        yield Thing(kind, table, name), plain


# SQLite keeps what it was told, word for word; so words are compared, not how they were set.
KEPT = """SELECT type, tbl_name, name, sql FROM sqlite_master
WHERE type IN ('table', 'index', 'trigger') AND sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"""
WORD = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*` | \[[^]]*\] | [\w$.]+ | <> | [<>!=|]=|\|\| | \S""", re.VERBOSE
)
COMMENT = re.compile(r"('(?:[^']|'')*')|--[^\n]*|/\*.*?\*/", re.DOTALL)
CONSTRAINTS = {"CHECK": "check", "PRIMARY": "primary key", "UNIQUE": "unique constraint", "FOREIGN": "foreign key"}


def from_sqlite(connection: Connection) -> Iterator[tuple[Thing, str]]:
    for kind, table, name, told in connection.execute(text(KEPT)):
        yield Thing(kind, table, name), "" if kind == "table" else told
        if kind == "table":
            yield from parts_of(table, words(told))


def is_same(one: str, other: str, *, embedded: bool) -> bool:
    """Whether two definitions mean the same to the engine, however they came to be written."""
    fold = folded if embedded else uncast
    return one == other or fold(one) == fold(other)


def folded(sql: str) -> list[str]:
    """SQLite's are as somebody happened to set them."""
    return [word if word.startswith("'") else word.lower() for word in words(sql)]


def uncast(sql: str) -> str:
    """PostgreSQL's list other casts once they went through a dump, or were written by hand."""
    return CAST.sub(lambda found: found[1] or "", sql)


def words(sql: str) -> list[str]:
    """The words of a statement, without comments and without quotes around names."""
    bare = COMMENT.sub(lambda found: found[1] or " ", sql)
    return [word if word.startswith("'") else word.strip('"`[]') or word for word in WORD.findall(bare)]


def parts_of(table: str, said: list[str]) -> Iterator[tuple[Thing, str]]:
    """Columns and constraints of a CREATE TABLE."""
    for part in split(said[said.index("(") + 1 :]):
        named = part[0].upper() == "CONSTRAINT"
        name, rest = (part[1], part[2:]) if named else (part[0], part[1:])
        if named or part[0].upper() in CONSTRAINTS:
            rest = rest if named else part
            definition = joined(rest)
            yield Thing(CONSTRAINTS[rest[0].upper()], table, name if named else definition), definition
        else:
            definition = joined(rest)
            bare = definition.replace("NOT NULL", "").replace("  ", " ").strip()
            yield Thing("column", table, name), bare + " NOT NULL" * ("NOT NULL" in definition)


def joined(said: list[str]) -> str:
    spaced = ("" if word in "(),." or before in "(." else " " for before, word in zip(["(", *said], said, strict=False))
    return "".join(space + word for space, word in zip(spaced, said, strict=True))


def split(said: list[str]) -> Iterator[list[str]]:
    """What stands between the commas outside of brackets, up to the bracket that closes."""
    part: list[str] = []
    depth = 0
    for word in said:
        depth += (word == "(") - (word == ")")
        if depth < 0:
            break
        if word == "," and not depth:
            yield part
            part = []
        else:
            part.append(word)
    yield part
