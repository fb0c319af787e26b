"""Requests to models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Union

from ringfence import schema, values
from ringfence.model.message import Effort, Message, system as system_message, user
from ringfence.skill import of as tool_of

ToolChoice = Union[Literal["auto", "none", "required"], str]
"""Whether and which tool the model calls: its own choice, none, some, or the one of that name."""

_ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True)
class ToolSpec:
    """A tool that the model may call. The host does not run it: the skill does."""

    name: str
    description: str
    input_schema: dict[str, Any]


@dataclass
class Request:
    """A request to a model. Made by `model.request`, and taken by all that asks in the place of a prompt."""

    messages: list[Message]
    model: str = "default"
    tools: list[ToolSpec] = field(default_factory=list)
    tool_choice: ToolChoice = "auto"
    output_schema: dict[str, Any] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: list[str] = field(default_factory=list)
    effort: Effort | None = None
    cache_until: int | None = None
    provider_options: dict[str, Any] | None = None


Prompt = Union[str, Message, Sequence[Union[Message, dict]], Request]
"""What a model is asked: a text, a message, a conversation, or a request."""

Toolish = Union[Callable[..., Any], ToolSpec]


def request(
    prompt: Prompt,
    *,
    model: str | None = None,
    system: str | None = None,
    tools: Iterable[Toolish] | None = None,
    tool_choice: ToolChoice | None = None,
    schema: Any = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    stop: str | Iterable[str] | None = None,
    effort: Effort | None = None,
    cache_until: int | None = None,
    provider_options: dict[str, Any] | None = None,
) -> Request:
    """A request with these options.

    Args:
        prompt: A text, a message, a conversation (messages, or dicts with `role` and `content`), or a request to be changed.
        model: An alias (`default`, `fast`, `smart`, or one of the operator's), or a `provider/model` name that the grant lists.
        system: Instructions that stand above the conversation, after earlier ones.
        tools: What the model may call: functions with types and a docstring, or `ToolSpec`s.
        tool_choice: `auto`, `none`, `required`, or the name of a tool.
        schema: A type, or a JSON Schema as a dict, that the answer's text must match. `Response.json` reads it.
        max_tokens: At most this many tokens of answer. Without it the operator's default holds.
        temperature: How random the answer is; 0 is least.
        top_p: Nucleus sampling: only the likeliest tokens whose shares add up to this.
        stop: Ends the answer where the model writes this.
        effort: How hard to think. Providers without such a setting ignore it.
        cache_until: A hint: everything up to the end of the message with this index is the same in many calls, worth caching.
        provider_options: Merged into the provider's request, for what has no common name. The grant must allow it.
    """
    made = _copy(prompt)
    if system is not None:
        above = next((at for at, message in enumerate(made.messages) if message.role != "system"), len(made.messages))
        made.messages.insert(above, system_message(system))
    if tools is not None:
        made.tools = [spec(tool) for tool in tools]
    if schema is not None:
        made.output_schema = _schema(schema)
    if stop is not None:
        made.stop = [stop] if isinstance(stop, str) else list(stop)
    given = {
        "model": model, "tool_choice": tool_choice, "max_tokens": max_tokens, "temperature": temperature, "top_p": top_p,
        "effort": effort, "cache_until": cache_until, "provider_options": provider_options,
    }
    for name, value in given.items():
        if value is not None:
            setattr(made, name, value)
    return made


def spec(tool: Toolish) -> ToolSpec:
    """What the model is told about a function that it may call."""
    if isinstance(tool, ToolSpec):
        return tool
    described = tool_of(tool).describe()
    return ToolSpec(described.name, described.description, described.input_schema)


def prompt_text(request: Request) -> str:
    """The text of a request, its messages joined by blank lines."""
    return "\n\n".join(message.text for message in request.messages)


def _schema(kind: Any) -> dict[str, Any]:
    return kind if isinstance(kind, dict) else schema.of(kind)


def _copy(prompt: Prompt) -> Request:
    if isinstance(prompt, Request):
        made = Request(**{name: getattr(prompt, name) for name in prompt.__dataclass_fields__})
        made.messages = list(prompt.messages)
        return made
    if isinstance(prompt, (str, Message)):
        return Request([user(prompt) if isinstance(prompt, str) else prompt])
    return Request([_message(message) for message in prompt])


def _message(message: Any) -> Message:
    if isinstance(message, Message):
        return message
    if isinstance(message, str):
        return user(message)
    if isinstance(message, dict) and message.get("role") in _ROLES and isinstance(message.get("content"), str):
        return Message(message["role"], user(message["content"]).parts)
    raise TypeError(
        f"{values.write(message) if isinstance(message, dict) else message!r} is no message: give model.user(\"...\"), "
        'model.assistant("..."), or {"role": "user", "content": "..."}'
    )
