"""M6: what each index costs a row that is written, on the tables that are written all day.

The rows that were stored last are taken out and stored again, with all indexes and without the one, in transactions
that are rolled back; foreign keys and triggers are set aside, so that the time is that of the table and its indexes.
"""

import asyncio
import time
from collections.abc import Iterator

import asyncpg
import msgspec

from bench.filling import fill
from bench.programs import ROOT
from bench.stage import Bench, Line

FIGURES = ("F7",)
PAGE = ROOT / "results" / "indexes.md"
TABLES = ("cognitive_traces", "sessions", "risks", "evaluations")
TRACES, QUICK_TRACES = 200_000, 10_000
SAMPLE, QUICK_SAMPLE = 5_000, 500
INDEXES = """
SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = $1::text::regclass AND NOT indisprimary ORDER BY 1
"""


class Cost(msgspec.Struct, frozen=True):
    """Of one index: bytes it has for each row of its table, bytes of the journal and microseconds for a new one."""

    index: str
    table: str
    size: float
    journal: float
    microseconds: float

    def __str__(self) -> str:
        return f"| `{self.index}` | {self.size:.0f} | {self.journal:.0f} | {self.microseconds:.1f} |"


def run(bench: Bench) -> Iterator[Line]:
    scene = bench.scene("indexes", 1)
    fill(scene.url, QUICK_TRACES if bench.quick else TRACES)
    found, whole = asyncio.run(measured(scene.url, QUICK_SAMPLE if bench.quick else SAMPLE, bench.rounds))
    PAGE.parent.mkdir(exist_ok=True)
    head = "| index | bytes a row | journal, bytes a row | µs a row |\n|---|---|---|---|\n"
    PAGE.write_text(head + "\n".join(map(str, found)) + "\n")
    traces = [cost for cost in found if cost.table == "cognitive_traces"]
    most = max(traces, key=lambda cost: cost.microseconds)
    spent, journal = sum(cost.microseconds for cost in traces), sum(cost.journal for cost in traces)
    told = (
        f"what the {len(traces)} indexes of a trace cost it beside its key: {spent:.0f} of {whole:.0f} µs, "
        f"{journal:,.0f} bytes of the journal ({PAGE.relative_to(ROOT)})"
    )
    yield Line(
        "F7", told, f"at most **{most.microseconds:.1f} µs** (`{most.index}`)", "measured, each with its query", None
    )


async def measured(url: str, sample: int, rounds: int) -> tuple[list[Cost], float]:
    """Each index, and the microseconds of a trace with all of them."""
    connection = await asyncpg.connect(url)
    await connection.execute("SET session_replication_role = replica")
    found = []
    whole = 0.0
    for table in TABLES:
        rows = await connection.fetchval(f"SELECT count(*) FROM {table}")
        await connection.execute(
            f"CREATE TEMP TABLE again AS SELECT * FROM {table} ORDER BY created_at DESC LIMIT {sample}"
        )
        await connection.execute(f"DELETE FROM {table} WHERE id IN (SELECT id FROM again)")
        indexes = [str(row[0]) for row in await connection.fetch(INDEXES, table)]
        taken = await in_turn(connection, table, ["", *indexes], rounds)
        everything = taken.pop("")
        whole = whole or everything[0]
        for index, (microseconds, journal) in taken.items():
            size = await connection.fetchval("SELECT pg_relation_size($1::text::regclass)", index) / rows
            found.append(Cost(index, table, size, everything[1] - journal, everything[0] - microseconds))
        await connection.execute(f"INSERT INTO {table} SELECT * FROM again; DROP TABLE again")
    await connection.close()
    return found, whole


async def in_turn(
    connection: asyncpg.Connection, table: str, without: list[str], rounds: int
) -> dict[str, tuple[float, float]]:
    """Microseconds and bytes of the journal for a row, the least of all rounds, without each of these indexes."""
    taken: dict[str, list[tuple[float, float]]] = {index: [] for index in without}
    for _ in range(rounds):
        await connection.execute(f"VACUUM {table}")
        await stored_again(connection, table, "")  # warms up
        for index, costs in taken.items():
            costs.append(await stored_again(connection, table, index))
    return {index: (min(one[0] for one in costs), min(one[1] for one in costs)) for index, costs in taken.items()}


async def stored_again(connection: asyncpg.Connection, table: str, without: str) -> tuple[float, float]:
    transaction = connection.transaction()
    await transaction.start()
    if without:
        await connection.execute(f"DROP INDEX {without}")
    begun, place = time.perf_counter(), await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
    rows = int((await connection.execute(f"INSERT INTO {table} SELECT * FROM again")).split()[-1])
    seconds = time.perf_counter() - begun
    journal = await connection.fetchval("SELECT pg_current_wal_insert_lsn() - $1", place)
    await transaction.rollback()
    return seconds / rows * 1e6, float(journal) / rows
