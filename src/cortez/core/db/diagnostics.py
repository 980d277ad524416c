"""What goes wrong between us and a database, in the same words wherever it is told: one line, with what to do."""

import os
import re
import ssl

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from cortez.core.db.errors import sqlstate

# SQLSTATE, or its first two characters -> what happened, and what to do.
TOLD = {
    "08": "was lost on the way. Check that the server runs.",
    "28P01": "refused the password. Check the user and the password in the address.",
    "28": "lets this user not in from here. Check the user in the address, and pg_hba.conf on the server.",
    "3D000": "is not on that server. Make it with CREATE DATABASE, or check the name in the address.",
    "42501": "refuses what was tried. Use the role that owns the tables: DATABASE_DIRECT_URL for migrations.",
    "25006": "accepts no writes. Use the address of the primary, and look whether the disk is read-only.",
    "53300": "has no connection left. Stop what holds them, or raise max_connections.",
    "53": "has no room left. Free some on its disk.",
    "55P03": "holds a lock that was not given in time. Run it again when the transaction that holds it has ended.",
    "57014": "took too long and was stopped. Run it again when there is less to do.",
    "57": "is starting or stopping. Wait a moment.",
    "58030": "cannot be opened. Check that its folder exists and may be written.",
    "XX": "is damaged. Restore the latest backup.",
}


def name_of(url: URL) -> str:
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)


def told(error: BaseException, url: URL) -> str | None:
    """The line for such an error; None where the fault may be ours and a traceback is worth more."""
    said = happened(error, url)
    if said is None and isinstance(error, DBAPIError):
        said = f"answered: {str(error.orig).splitlines()[0].rpartition('>: ')[2]}"
    return said and f"{name_of(url)} {said}"


def happened(error: BaseException, url: URL) -> str | None:
    """The line without the address and without what the server wrote, for whoever may ask; None for the unknown."""
    state = getattr(error, "sqlstate", None) or sqlstate(error)  # asyncpg's own while connecting
    if known := TOLD.get(state) or TOLD.get(state[:2]):
        return known
    if isinstance(error, OSError) and url.get_backend_name() == "sqlite":
        return f"cannot be opened ({reason(error)}). Check its folder, and who may write there."
    if isinstance(error, OSError):  # which a timeout is too
        return f"cannot be reached ({reason(error)}). Check that the server runs, and the address."
    return TOLD["08"] if isinstance(error, DBAPIError) and error.connection_invalidated else None


def reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return error.reason.lower().replace("_", " ")
    if "rejected SSL upgrade" in str(error):
        return "it does not speak TLS"
    several = re.search(r"\[Errno (\d+)\]", str(error))  # one for each address that the name has
    number = error.errno or (int(several[1]) if several else 0)
    return os.strerror(number) if number > 0 else error.strerror or type(error).__name__  # those of names are negative
