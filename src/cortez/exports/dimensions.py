"""What the six dimensions of a trace say in a number."""

from typing import Any

from sqlalchemy import ColumnElement, Float, String, func, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from cortez.traces.repository import TRACES

# A figure of a research row: the dimension and the key it is the mean of.
MEASURED = {
    "understanding_level": ("semantic_understanding", "understanding_level"),
    "alternatives_explored": ("algorithmic_evolution", "alternatives_explored"),
    "metacognitive_awareness": ("cognitive_reasoning", "metacognitive_awareness"),
    "prompt_quality": ("interactional_data", "prompt_quality_score"),
    "academic_integrity": ("ethical_risk_data", "academic_integrity_score"),
    "process_efficiency": ("process_data", "process_efficiency"),
}


class measure(FunctionElement[float]):  # noqa: N801 - reads as a function of SQL
    """A member of a document as a number: one of 0 to 1 as it is, a truth as 0 or 1, a list as its length.

    Anything else is NULL: agents write these documents, and no row of theirs may break the export.
    """

    type = Float()
    inherit_cache = True
    name = "measure"

    def __init__(self, column: Any, key: str) -> None:
        super().__init__(column, literal(key, String()))


@compiles(measure, "postgresql")
def _measure_postgresql(element: measure, compiler: Any, **options: Any) -> str:
    column, key = (compiler.process(clause, **options) for clause in element.clauses)
    found, text = f"({column} -> {key})", f"({column} ->> {key})"
    return (
        f"CASE jsonb_typeof({found}) "
        f"WHEN 'number' THEN CASE WHEN {text}::numeric BETWEEN 0 AND 1 THEN {text}::numeric END "
        f"WHEN 'boolean' THEN {text}::boolean::int WHEN 'array' THEN jsonb_array_length({found}) END"
    )


@compiles(measure, "sqlite")
def _measure_sqlite(element: measure, compiler: Any, **options: Any) -> str:
    column, key = (compiler.process(clause, **options) for clause in element.clauses)
    place = f"{column}, '$.' || {key}"
    number = f"CASE WHEN json_extract({place}) BETWEEN 0 AND 1 THEN json_extract({place}) END"
    return (
        f"CASE json_type({place}) WHEN 'integer' THEN {number} WHEN 'real' THEN {number} "
        f"WHEN 'true' THEN 1 WHEN 'false' THEN 0 WHEN 'array' THEN json_array_length({place}) END"
    )


def means() -> list[ColumnElement[Any]]:
    return [func.avg(measure(TRACES.c[column], key)).label(name) for name, (column, key) in MEASURED.items()]
