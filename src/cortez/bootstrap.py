"""Opens the database for the service and for commands, which need no routes."""

from cortez import tables  # noqa: F401 - registers every table
from cortez.core.db.audit_context import Author
from cortez.core.db.engine import Database
from cortez.profiles import updates
from cortez.settings import Settings


def open_database(settings: Settings, actor: str = "service") -> Database:
    """The database, with what a higher package keeps up to date when a lower one changes something.

    `actor` (`command:NAME`) is who the audit log names where no request says it.
    """
    return Database(settings, before_commit=updates.follow, author=Author(actor, None))
