"""Messages and answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar, Union, overload

from ringfence import values
from ringfence.refusal import Invalid

T = TypeVar("T")

Role = Literal["system", "user", "assistant", "tool"]
Effort = Literal["none", "low", "medium", "high"]
StopReason = Literal["end", "max-tokens", "tool-call", "refused", "stop-sequence"]


@dataclass(frozen=True)
class Text:
    """A text of a message."""

    text: str


@dataclass(frozen=True)
class Image:
    """An image for the model to see: `image/png`, `image/jpeg`, `image/gif` or `image/webp`."""

    media_type: str
    data: bytes


@dataclass(frozen=True)
class Thinking:
    """What the model thought. Given back unchanged in the next turn where a tool loop goes on: some providers insist."""

    text: str
    signature: str | None = None


@dataclass(frozen=True)
class ToolCall:
    """The model wants a tool called."""

    id: str
    name: str
    input_json: str
    signature: str | None = None

    @property
    def input(self) -> Any:
        """The arguments. The host has checked that they are JSON, not that they match the tool's schema."""
        return json.loads(self.input_json)


@dataclass(frozen=True)
class ToolResult:
    """What a tool gave, for the `ToolCall` with that id."""

    id: str
    content: str
    is_error: bool = False


Part = Union[Text, Image, Thinking, ToolCall, ToolResult]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    parts: list[Part]

    @property
    def text(self) -> str:
        """All text, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls that the message asks for."""
        return [part for part in self.parts if isinstance(part, ToolCall)]


def user(*parts: Part | str) -> Message:
    """What the user says: texts and images."""
    return _message("user", parts)


def assistant(*parts: Part | str) -> Message:
    """What the model said before."""
    return _message("assistant", parts)


def system(*parts: Part | str) -> Message:
    """Instructions that stand above the conversation."""
    return _message("system", parts)


def _message(role: Role, parts: Iterable[Part | str]) -> Message:
    return Message(role, [Text(part) if isinstance(part, str) else part for part in parts])


@dataclass(frozen=True)
class Usage:
    """What an answer took."""

    input_tokens: int = 0
    """All input, cached or not."""
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    """All output, with reasoning."""
    reasoning_tokens: int = 0
    micro_dollars: int | None = None
    """What it cost in millionths of a US dollar; None where the price is not known."""


@dataclass(frozen=True)
class Response:
    """An answer."""

    message: Message
    stop_reason: StopReason
    model: str
    """Who answered, as `provider/model`."""
    usage: Usage = field(default_factory=Usage)

    @property
    def text(self) -> str:
        """The answer's text."""
        return self.message.text

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls that the model waits for."""
        return self.message.tool_calls

    @property
    def is_cut(self) -> bool:
        """Whether the answer was cut at its largest length."""
        return self.stop_reason == "max-tokens"

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, into: type[T]) -> T: ...

    def json(self, into: Any = None) -> Any:
        """The answer's text read as JSON, and as a type where one is given."""
        try:
            value = json.loads(self.text)
            return value if into is None else values.read(into, value)
        except ValueError as error:
            why = "it was cut at its largest length" if self.is_cut else str(error)
            raise Invalid(f"the answer of {self.model} is not the JSON that was asked for: {why}") from error


@dataclass(frozen=True)
class TextEvent:
    """More of the answer's text."""

    text: str
    type: ClassVar[str] = "text"


@dataclass(frozen=True)
class ThinkingEvent:
    """More of what the model thinks."""

    text: str
    type: ClassVar[str] = "thinking"


@dataclass(frozen=True)
class ToolCallStart:
    """A tool call begins."""

    id: str
    name: str
    type: ClassVar[str] = "tool-call-start"


@dataclass(frozen=True)
class ToolCallDelta:
    """More of the arguments of the tool call with this id."""

    id: str
    input_json: str
    type: ClassVar[str] = "tool-call-delta"


@dataclass(frozen=True)
class ToolCallEvent:
    """A tool call is complete."""

    call: ToolCall
    type: ClassVar[str] = "tool-call"


@dataclass(frozen=True)
class Done:
    """The answer is complete. Always the last event of a generation that worked."""

    response: Response
    type: ClassVar[str] = "done"


Event = Union[TextEvent, ThinkingEvent, ToolCallStart, ToolCallDelta, ToolCallEvent, Done]


@dataclass(frozen=True)
class Embeddings:
    """Vectors, one per input and in order."""

    vectors: list[list[float]]
    model: str
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class ModelInfo:
    """A model that the skill may use."""

    name: str
    """What to give as `model`."""
    max_tokens: int
    """Largest answer in tokens that this skill may ask for."""
    context_window: int | None = None
    """Tokens of input and output together, where that is known."""
    local: bool = False
    """Whether it answers without leaving this machine."""
