"""What the commands share."""

import asyncio
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from cortez.bootstrap import open_database
from cortez.core.db.engine import Database
from cortez.settings import Settings


def coroutine(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(command(*args, **kwargs))

    return run


def connect(settings: Settings) -> Database:
    """The database, as this command."""
    return open_database(settings, f"command:{click.get_current_context().info_name}")
