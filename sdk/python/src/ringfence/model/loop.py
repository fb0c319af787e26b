"""Tools that the model calls and the skill runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ringfence import _host, log, traces
from ringfence.context import Context
from ringfence.failure import Failure
from ringfence.model.message import Message, Response, ToolCall, ToolResult
from ringfence.model.request import Prompt, Toolish, request
from ringfence.refusal import Cancelled, Refusal
from ringfence.skill import Tool, of

_CONTEXT = Context("", "model", 0)


def run(prompt: Prompt, tools: Iterable[Toolish], *, rounds: int = 8, **options: Any) -> Response:
    """Goes on with the conversation, running the functions that the model calls, until it answers without calling one.

        def search(words: str) -> list[str]:
            '''Searches the notes.

            Args:
                words: What to look for.
            '''

        answer = model.run("What did we decide?", tools=[search])

    What a function returns goes back to the model, and so does an exception of it: a model often corrects itself. The model may
    call tools in at most `rounds` turns; after them it must answer without tools. Options as of `request`.
    """
    functions = {tool.name: tool for tool in map(of, tools)}  # type: ignore[arg-type]
    asked = request(prompt, tools=[tool.function for tool in functions.values()], **options)
    for _ in range(rounds):
        response = _host.door().generate(asked)
        if response.stop_reason != "tool-call":
            return response
        results = [_result(call, functions) for call in response.tool_calls]
        # Given back unchanged: some providers insist on their thinking and signatures.
        asked.messages += [response.message, Message("tool", list(results))]
        if asked.tool_choice not in ("auto", "none"):
            # Otherwise the model could never answer.
            asked.tool_choice = "auto"
    asked.tool_choice = "none"
    return _host.door().generate(asked)


def _result(call: ToolCall, functions: dict[str, Tool]) -> ToolResult:
    tool = functions.get(call.name)
    if tool is None:
        return ToolResult(call.id, f"there is no tool `{call.name}`: there are {', '.join(functions)}", is_error=True)
    try:
        return ToolResult(call.id, tool.run(call.input_json, _CONTEXT).text)
    except Cancelled:
        raise
    except (Failure, Refusal) as error:
        hint = f"\n{error.hint}" if error.hint else ""
        return ToolResult(call.id, f"{error.message}{hint}", is_error=True)
    except Exception as error:
        # The model sees it and may go on, so that nobody else would.
        log.warn(f"the tool `{call.name}`, called by the model, raised {traces.message(error, '')}")
        return ToolResult(call.id, f"{type(error).__name__}: {error}", is_error=True)
