"""Tools of other skills that are installed on the host.

A call runs with what both skills may do and no more, on the budget and the deadline of this invocation.

    summary = tools.call("summarize/summarize", {"text": "Bees hum."}).text
    started = [tools.start("summarize/summarize", {"text": text}) for text in texts]
    summaries = [pending.wait().text for pending in started]  # all were running meanwhile
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from ringfence import _host, values
from ringfence.failure import CallFailed, Failure
from ringfence.outcome import Outcome
from ringfence.refusal import Invalid

T = TypeVar("T")

__all__ = ["CallFailed", "Listed", "Pending", "call", "list", "start"]


@dataclass(frozen=True)
class Listed:
    """A tool of another skill. Its words are a stranger's."""

    name: str
    """`skill/tool`, as `call` takes it."""
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None = None
    title: str | None = None
    hints: frozenset[str] = frozenset()
    """Of `read-only`, `destructive`, `idempotent`, `open-world`."""


def list() -> builtins.list[Listed]:
    """The tools that this skill may call now."""
    return _host.door().tools_list()


@overload
def call(name: str, input: Any = None) -> Outcome: ...
@overload
def call(name: str, input: Any = None, *, into: type[T]) -> T: ...


def call(name: str, input: Any = None, *, into: Any = None) -> Any:
    """Calls `skill/tool` and waits for its outcome; with `into`, for its structured part read as that type.

    The input is a dict, or a dataclass with the tool's properties. `CallFailed` where the other skill failed, a `Refusal` where
    the host did not make the call.
    """
    return _read(name, _host.door().tools_call(name, _json(name, input)), into)


def start(name: str, input: Any = None) -> Pending:
    """Calls `skill/tool` and returns at once. The call runs whether it is waited for or not."""
    return Pending(name, _host.door().tools_start(name, _json(name, input)))


class Pending:
    """A call under way. When it is closed, or no longer referred to, the call is cancelled."""

    def __init__(self, name: str, inner: Any) -> None:
        self.name, self._inner = name, inner

    @overload
    def wait(self) -> Outcome: ...
    @overload
    def wait(self, *, into: type[T]) -> T: ...

    def wait(self, *, into: Any = None) -> Any:
        """Waits for the outcome; with `into`, for its structured part read as that type."""
        if self._inner is None:
            raise Invalid("this call was waited for, or closed, already")
        try:
            answer = self._inner.wait()
        finally:
            self.close()
        return _read(self.name, answer, into)

    def close(self) -> None:
        """Gives it up."""
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.close()

    def __enter__(self) -> Pending:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _json(name: str, input: Any) -> str:
    try:
        return values.dumps({} if input is None else input)
    except (TypeError, ValueError) as error:
        raise Invalid(f"the input for `{name}` cannot be JSON: {error}") from error


def _read(name: str, answer: Outcome | Failure, into: Any) -> Any:
    if isinstance(answer, Failure):
        raise CallFailed(answer.message, hint=answer.hint, kind=answer.kind)
    if into is None:
        return answer
    try:
        return values.read(into, answer.structured)
    except ValueError as error:
        raise Invalid(f"what `{name}` gave is not what was expected: {error}") from error
