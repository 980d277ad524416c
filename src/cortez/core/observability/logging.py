"""What workers print: a line for each thing that happened, as JSON, or as text where a person reads along.

A record may carry `fields` beside its message. What happened while a request was answered carries its request_id.
"""

import logging
import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from cortez.core.observability.request_context import CURRENT
from cortez.core.typing import JsonObject
from cortez.settings import Settings

STDERR = 2
ENCODER = msgspec.json.Encoder()


class Printer(logging.Handler):
    """Prints each line by one write, so that those of several workers do not mix. What cannot be printed is lost."""

    def __init__(self, write: Callable[[JsonObject], bytes]) -> None:
        super().__init__()
        self.write = write

    def handle(self, record: logging.LogRecord) -> bool:
        try:  # noqa: SIM105 - suppressing costs three calls, for each line
            os.write(STDERR, self.write(told(record)))
        except OSError:
            pass
        return True


def told(record: logging.LogRecord) -> JsonObject:
    moment = f"{second(int(record.created))}.{int(record.msecs):03d}Z"
    found: JsonObject = {
        "time": moment,
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
    }
    if exchange := CURRENT.get():
        found["request_id"] = exchange.request_id
    found.update(getattr(record, "fields", ()))
    if record.exc_info:
        found["exception"] = logging.Formatter().formatException(record.exc_info)
    return found


@lru_cache(maxsize=1)
def second(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))


def as_json(line: JsonObject) -> bytes:
    return ENCODER.encode(line) + b"\n"


def as_text(line: JsonObject) -> bytes:
    moment, level, logger, message, *fields = line.items()
    shown = "".join(f" {name}={value}" for name, value in fields if value is not None)
    return f"{moment[1]} {level[1]} {logger[1]}: {message[1]}{shown}\n".encode()


def configuration(settings: Settings) -> dict[str, Any]:
    """For `logging.config`: ours and the server's from CORTEZ_LOG on, those of libraries from warnings on."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # nobody reads these
    logging._srcfile = None  # nor from which line a message comes; the logging HOWTO says so to turn it off
    level, write = settings.log.upper(), as_json if settings.line_format == "json" else as_text
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"printer": {"()": Printer, "write": write}},
        "root": {"handlers": ["printer"], "level": "WARNING"},
        "loggers": {"cortez": {"level": level}, "uvicorn": {"level": level}},
    }
