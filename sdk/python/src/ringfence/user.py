"""Questions to the person behind the call. Refused as `Unavailable` where nobody is there, as `Cancelled` where the person declines.

    name = user.ask("What is the project called?")
    tone = user.choose("Which tone?", ["plain", "formal"], remember="tone")
    if user.confirm(f"Write {name} in a {tone} tone?"):
        ...
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from ringfence import _host, schema, values
from ringfence.refusal import Invalid

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """A question as it goes to the host."""

    text: str
    schema: str | None = None
    timeout_ms: int | None = None
    remember: str | None = None


@overload
def ask(text: str, *, timeout: float | None = None, remember: str | None = None) -> str: ...
@overload
def ask(text: str, into: type[T], *, timeout: float | None = None, remember: str | None = None) -> T: ...


def ask(text: str, into: Any = str, *, timeout: float | None = None, remember: str | None = None) -> Any:
    """Asks, and waits for the answer: a string, or a `bool`, `int`, `float`, a `Literal`, or a flat dataclass of these by `into`.

    `timeout` is in seconds. Under the name `remember` the person may let the host keep the answer: then the same question is
    answered without asking the next time. The question has at most 2,000 bytes.
    """
    wanted = None if into is str else values.dumps(schema.of(into))
    question = Question(text, wanted, None if timeout is None else int(timeout * 1000), remember)
    answer = _host.door().user_ask(question)
    try:
        return values.read(into, json.loads(answer))
    except ValueError as error:
        raise Invalid(f"the answer is not what the skill expects: {error}") from error


def confirm(text: str, *, timeout: float | None = None, remember: str | None = None) -> bool:
    """Asks for a yes or a no."""
    return ask(text, bool, timeout=timeout, remember=remember)


def choose(text: str, choices: Sequence[str], *, timeout: float | None = None, remember: str | None = None) -> str:
    """Asks a question that one of these texts answers."""
    from_choices = values.dumps({"type": "string", "enum": list(choices)})
    question = Question(text, from_choices, None if timeout is None else int(timeout * 1000), remember)
    return json.loads(_host.door().user_ask(question))
