"""What the commands share."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import ParamSpec, TypeVar

import click

from cortez.bootstrap import open_database
from cortez.core.db.engine import Database
from cortez.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")


def coroutine(command: Callable[P, Coroutine[None, None, T]]) -> Callable[P, T]:
    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return asyncio.run(command(*args, **kwargs))

    return run


def connect(settings: Settings) -> Database:
    """The database, as this command."""
    return open_database(settings, f"command:{click.get_current_context().info_name}")
