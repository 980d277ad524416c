"""The name by which landed revisions import `cortez.core.migrations.audit_triggers`; new ones import that."""

from cortez.core.migrations.audit_triggers import (
    Audited as Audited,
)
from cortez.core.migrations.audit_triggers import (
    for_postgresql as for_postgresql,
)
from cortez.core.migrations.audit_triggers import (
    for_sqlite as for_sqlite,
)
