"""What the caller may be shown while the tool works. Never fails; faces that cannot show it drop it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from ringfence import _host

T = TypeVar("T")


def report(done: int, total: int | None = None, message: str | None = None) -> None:
    """Says how much is done, out of `total` where that is known, in a unit of the tool's choice.

    The host takes at most 10,000 reports per invocation.
    """
    _host.door().report(done, total, message)


def say(message: str) -> None:
    """Says what is going on where no amount is known."""
    report(0, None, message)


def emit(text: str) -> None:
    """Gives a part of the answer that is ready now. The outcome must hold the whole text again. At most 4 MiB per invocation."""
    if text:
        _host.door().emit(text)


def track(items: Iterable[T], message: str | None = None, total: int | None = None) -> Iterator[T]:
    """Goes through the items and reports each that is done: `for part in progress.track(parts, "reading"):`."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    report(0, total, message)
    for done, item in enumerate(items, 1):
        yield item
        report(done, total, message)
