"""All that a schema consists of, as lines to compare."""

from sqlalchemy import Connection

from cortez.core.migrations.snapshot import joined, read, words


def inventory(connection: Connection) -> frozenset[str]:
    """Without Alembic's own table, which outlives every downgrade.

    SQLite keeps the words that a table was made with, quoted after it was made anew; here they are without quotes.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    found = read(connection).items()
    return frozenset(f"{thing}: {joined(words(told)) if is_sqlite else told}" for thing, told in found)
