"""Model calls. The host chooses the provider, holds the keys, counts tokens and money, and refuses when a budget is used up.

    answer = model.ask("Why is the sky blue?", system="Answer in one sentence.", max_tokens=80)
    answer.text, answer.usage.output_tokens

    verdict = model.ask("Is this friendly? Hello!", into=Verdict)   # a dataclass: its schema goes to the model

    for chunk in model.stream("Tell a story."):                     # as it is written
        progress.emit(chunk)

    for answer in model.parallel([f"Summarise: {part}" for part in parts]):   # many at once, answers in order
        ...

    answer = model.run("What did we decide?", tools=[search])       # the model calls your functions
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, overload

from ringfence import _host
from ringfence.model.generation import Generation, parallel, stream
from ringfence.model.loop import run
from ringfence.model.message import (
    Done, Effort, Embeddings, Event, Image, Message, ModelInfo, Part, Response, Role, StopReason, Text, TextEvent, Thinking,
    ThinkingEvent, ToolCall, ToolCallDelta, ToolCallEvent, ToolCallStart, ToolResult, Usage, assistant, system, user,
)
from ringfence.model.request import Prompt, Request, ToolChoice, ToolSpec, request

T = TypeVar("T")

__all__ = [
    "Done", "Effort", "Embeddings", "Event", "Generation", "Image", "Message", "ModelInfo", "Part", "Prompt", "Request",
    "Response", "Role", "StopReason", "Text", "TextEvent", "Thinking", "ThinkingEvent", "ToolCall", "ToolCallDelta",
    "ToolCallEvent", "ToolCallStart", "ToolChoice", "ToolResult", "ToolSpec", "Usage", "ask", "assistant", "embed", "models",
    "parallel", "request", "run", "stream", "system", "user",
]


@overload
def ask(prompt: Prompt, **options: Any) -> Response: ...
@overload
def ask(prompt: Prompt, *, into: type[T], **options: Any) -> T: ...


def ask(prompt: Prompt, *, into: Any = None, **options: Any) -> Any:
    """Asks, and waits for the whole answer; with `into`, for a value of that type. Options as of `request`.

    The host validates the value against the type's schema, and has one repair made where it does not match.
    """
    if into is not None:
        options["schema"] = into
    response = _host.door().generate(request(prompt, **options))
    return response if into is None else response.json(into)


def embed(texts: str | Iterable[str], model: str = "embed") -> Embeddings:
    """Vectors for texts, one per text and in order. At most 256 texts."""
    return _host.door().embed(model, [texts] if isinstance(texts, str) else list(texts))


def models() -> list[ModelInfo]:
    """The models that this skill may use now; empty where it has been granted none."""
    return _host.door().models()
