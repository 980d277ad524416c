"""The name by which landed revisions import `cortez.core.migrations.operations`; new ones import that."""

from cortez.core.migrations.operations import (
    add_column as add_column,
)
from cortez.core.migrations.operations import (
    add_foreign_key as add_foreign_key,
)
from cortez.core.migrations.operations import (
    altered as altered,
)
from cortez.core.migrations.operations import (
    backfill as backfill,
)
from cortez.core.migrations.operations import (
    briefly as briefly,
)
from cortez.core.migrations.operations import (
    create_index as create_index,
)
from cortez.core.migrations.operations import (
    drop_index as drop_index,
)
from cortez.core.migrations.operations import (
    execute as execute,
)
from cortez.core.migrations.operations import (
    is_plain as is_plain,
)
from cortez.core.migrations.operations import (
    is_sqlite as is_sqlite,
)
from cortez.core.migrations.operations import (
    without_triggers as without_triggers,
)
