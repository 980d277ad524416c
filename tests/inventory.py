"""All that a schema consists of, as lines to compare: what PostgreSQL's catalogue or SQLite's stored texts say."""

import re
from collections.abc import Iterator

from sqlalchemy import Connection, text

MINE = "relnamespace = current_schema()::regnamespace"
# Kind, table, and the whole definition; invalid indexes and unvalidated constraints say so.
CATALOGUE = {
    "column": f"""SELECT relname, concat_ws(' ', row_number() OVER (PARTITION BY attrelid ORDER BY attnum), attname,
        format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'not null' END,
        pg_get_expr(adbin, adrelid), nullif(attidentity, ''), nullif(attgenerated, ''), attcollation::regcollation)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE {MINE} AND relkind IN ('r', 'p', 'v') AND attnum > 0 AND NOT attisdropped""",
    "constraint": f"""SELECT relname, concat_ws(' ', conname, pg_get_constraintdef(pg_constraint.oid))
        FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid WHERE {MINE}""",
    "index": f"""SELECT relname,
        concat_ws(' ', pg_get_indexdef(indexrelid), CASE WHEN NOT indisvalid THEN 'INVALID' END)
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE {MINE}""",
    "trigger": f"""SELECT relname, concat_ws(' ', pg_get_triggerdef(pg_trigger.oid), tgenabled)
        FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE {MINE} AND NOT tgisinternal""",
    "sequence": """SELECT sequencename,
        concat_ws(' ', data_type, start_value, min_value, max_value, increment_by, cycle)
        FROM pg_sequences WHERE schemaname = current_schema()""",
    "function": """SELECT proname, pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace""",
}
STORED = "SELECT type, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
TABLE = re.compile(r"CREATE TABLE (\w+) ?\((.*)\)")


def inventory(connection: Connection) -> frozenset[str]:
    """Without Alembic's own table, which outlives every downgrade."""
    lines = embedded(connection) if connection.dialect.name == "sqlite" else catalogued(connection)
    return frozenset(line for line in lines if "alembic_version" not in line)


def catalogued(connection: Connection) -> Iterator[str]:
    for kind, query in CATALOGUE.items():
        for name, definition in connection.execute(text(query)):
            yield f"{kind} {name}: {definition}"


def embedded(connection: Connection) -> Iterator[str]:
    """Each part of a CREATE TABLE by itself: a table that was made anew has them in another order."""
    for kind, name, sql in connection.execute(text(STORED)):
        plain = " ".join(sql.replace('"', "").split()).replace("( ", "(").replace(" )", ")")
        if found := TABLE.fullmatch(plain):
            yield from (f"part of {name}: {part}" for part in parts(found[2]))
        else:
            yield f"{kind} {name}: {plain}"


def parts(body: str) -> Iterator[str]:
    """What commas divide that stand in no brackets and no text."""
    depth, quoted, start = 0, False, 0
    for place, letter in enumerate(body):
        quoted ^= letter == "'"
        depth += 0 if quoted else {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not depth and not quoted:
            yield body[start:place].strip()
            start = place + 1
    yield body[start:].strip()
