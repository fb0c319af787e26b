"""Lines for the operator's log. Never fails; the host takes at most 1,000 lines of 4 KiB per invocation.

    log.info("read the report", file=name, bytes=1024)

Keyword arguments are the line's fields. What the standard `logging` module is given arrives in the same log.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

from ringfence import _host

Level = Literal["trace", "debug", "info", "warn", "error"]


def write(level: Level, message: str, /, **fields: Any) -> None:
    """Writes one line."""
    _host.door().log(level, str(message), [(name, str(value)) for name, value in fields.items()])


def trace(message: str, /, **fields: Any) -> None:
    """Logs at level `trace`."""
    write("trace", message, **fields)


def debug(message: str, /, **fields: Any) -> None:
    """Logs at level `debug`."""
    write("debug", message, **fields)


def info(message: str, /, **fields: Any) -> None:
    """Logs at level `info`."""
    write("info", message, **fields)


def warn(message: str, /, **fields: Any) -> None:
    """Logs at level `warn`."""
    write("warn", message, **fields)


def error(message: str, /, **fields: Any) -> None:
    """Logs at level `error`."""
    write("error", message, **fields)


class Handler(logging.Handler):
    """Hands what the standard `logging` module is given to the host. In a component it is there already."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            write(_level(record.levelno), self.format(record), logger=record.name)
        except Exception:
            self.handleError(record)


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    if number >= logging.INFO:
        return "info"
    return "debug" if number >= logging.DEBUG else "trace"
