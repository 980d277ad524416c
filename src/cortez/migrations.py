"""Alembic, as the command line and the health checks use it."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config

from cortez.settings import Settings

logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)  # it greets at every look

PACKAGED = Path(__file__).parent
CHECKOUT = Path(__file__).parents[2]


def configuration(settings: Settings) -> Config:
    """The revisions beside this module in a wheel, or at the top of the checkout."""
    home = PACKAGED if (PACKAGED / "alembic.ini").exists() else CHECKOUT
    config = Config(home / "alembic.ini")
    config.attributes["url"] = settings.migration_url
    return config


def upgrade(settings: Settings, *, sql: bool = False) -> None:
    """To the newest revision; with `sql`, print the statements instead. Not from within a running event loop."""
    command.upgrade(configuration(settings), "head", sql=sql)
