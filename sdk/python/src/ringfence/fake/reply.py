"""What the fake answers to a model call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ringfence import values
from ringfence.model.message import (
    Done, Event, Message, Part, Response, StopReason, Text, TextEvent, Thinking, ThinkingEvent, ToolCall, ToolCallDelta,
    ToolCallEvent, ToolCallStart, Usage,
)
from ringfence.model.request import Request, prompt_text
from ringfence.refusal import Refusal


class Reply:
    """A scripted answer. A text is one, and a value is one as JSON: `host.answer({"city": "Rome"})`."""

    def __init__(self, text: str | None = None) -> None:
        self._parts: list[Part] = [] if text is None else [Text(text)]
        self._stop: StopReason = "end"
        self._refusal: Refusal | None = None

    @classmethod
    def of(cls, answer: Any) -> Reply:
        """A reply of what a test gives."""
        if isinstance(answer, Reply):
            return answer
        if isinstance(answer, Refusal):
            return cls.refuse(answer)
        return cls(answer if isinstance(answer, str) else values.dumps(answer))

    @classmethod
    def tool_call(cls, name: str, **input: Any) -> Reply:
        """An answer that calls a tool. More calls are added by `and_tool_call`."""
        return cls().and_tool_call(name, **input)

    @classmethod
    def refuse(cls, refusal: Refusal) -> Reply:
        """No answer. A generation that was opened gives this when it is read."""
        return cls().then_breaks(refusal)

    def and_tool_call(self, name: str, **input: Any) -> Reply:
        """Calls one more tool. Calls are given the ids `call-1`, `call-2`, and so on."""
        number = sum(isinstance(part, ToolCall) for part in self._parts) + 1
        self._parts.append(ToolCall(f"call-{number}", name, values.dumps(input)))
        self._stop = "tool-call"
        return self

    def thinking(self, text: str) -> Reply:
        """Thinks before it answers."""
        self._parts.insert(0, Thinking(text))
        return self

    def then_breaks(self, refusal: Refusal) -> Reply:
        """The text comes, and then the generation breaks."""
        self._refusal = refusal
        return self

    def stopped(self, reason: StopReason) -> Reply:
        """Stops for this reason, for example because the answer is cut: `max-tokens`."""
        self._stop = reason
        return self

    def response(self, request: Request) -> Response:
        """The whole answer at once."""
        if self._refusal is not None:
            raise self._refusal
        message = Message("assistant", list(self._parts))
        usage = Usage(input_tokens=_tokens(prompt_text(request)), output_tokens=_tokens(message.text))
        return Response(message, self._stop, f"fake/{request.model}", usage)

    def events(self, request: Request) -> Iterator[Event]:
        """What happens while the answer is made: text comes word by word."""
        for part in self._parts:
            if isinstance(part, Text):
                yield from map(TextEvent, re.findall(r"[^ ]* |[^ ]+", part.text))
            elif isinstance(part, Thinking):
                yield ThinkingEvent(part.text)
            elif isinstance(part, ToolCall):
                yield ToolCallStart(part.id, part.name)
                yield ToolCallDelta(part.id, part.input_json)
                yield ToolCallEvent(part)
        yield Done(self.response(request))


def _tokens(text: str) -> int:
    # A rough count, as tests need no better one: four bytes to a token.
    return -(-len(text.encode()) // 4)
