"""About the invocation. A tool's parameter of type `Context` is given it, and is no input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Caller = Literal["user", "client", "model", "skill"]
"""Who asked: a person at the command line, a program, a model in a tool loop, another skill."""


@dataclass(frozen=True)
class Context:
    """About this invocation."""

    invocation: str
    """Its identifier, as in the journal."""
    caller: Caller
    deadline_ms: int
    """Milliseconds left when the call began. When they are over the instance is discarded, wherever it is."""
    locale: str | None = None
    """The caller's language as a BCP 47 tag, where it is known."""
