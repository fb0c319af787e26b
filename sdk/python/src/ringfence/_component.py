"""The imports, answered by the host: in a component alone. Turns this package's types into those of the bindings, and back.

The bindings (`wit_world`) are made from `wit/` when a component is built, and are nowhere else.
"""

from __future__ import annotations

import json
from typing import Any

from componentize_py_types import Err
from wit_world.imports import config, http, kv, log as wit_log, model, progress, secrets, tools, types, user

from ringfence import outcome, refusal
from ringfence.failure import Failure, FailureKind
from ringfence.kv import Entry
from ringfence.model import message as messages
from ringfence.model.request import Request
from ringfence.tools import Listed
from ringfence.values import dumps

_LEVELS = {name: wit_log.Level[name.upper()] for name in ("trace", "debug", "info", "warn", "error")}
_HINTS = {"read-only": "READ_ONLY", "destructive": "DESTRUCTIVE", "idempotent": "IDEMPOTENT", "open-world": "OPEN_WORLD"}


def word(case: Any) -> Any:
    """The name of an enum's case as in `wit/`."""
    return case.name.lower().replace("_", "-")


def log(level: str, message: str, fields: list[tuple[str, str]]) -> None:
    wit_log.log(_LEVELS[level], _whole(message), [(_whole(name), _whole(value)) for name, value in fields])


def report(done: int, total: int | None, message: str | None) -> None:
    progress.report(done, total, message)


def emit(text: str) -> None:
    progress.emit(_whole(text))


def config_get(key: str) -> str | None:
    return config.get(key)


def secrets_exists(name: str) -> bool:
    return secrets.exists(name)


def kv_get(key: str) -> Entry | None:
    found = _ask(kv.get, key)
    return None if found is None else Entry(found.value, found.version)


def kv_set(key: str, value: bytes, condition: str | int) -> tuple[bool, int | None]:
    return _written(_ask(kv.set, key, value, _condition(condition)))


def kv_delete(key: str, condition: str | int) -> tuple[bool, int | None]:
    return _written(_ask(kv.delete, key, _condition(condition)))


def kv_list(prefix: str, cursor: str | None, limit: int) -> tuple[list[str], str | None]:
    page = _ask(kv.list, prefix, cursor, limit)
    return page.keys, page.cursor


def generate(request: Request) -> messages.Response:
    return _response(_ask(model.generate, _request(request)))


def open(request: Request) -> Resource:
    return Resource(_ask(model.open, _request(request)))


def embed(name: str, texts: list[str]) -> messages.Embeddings:
    found = _ask(model.embed, name, texts)
    return messages.Embeddings(found.vectors, found.model, _usage(found.usage))


def models() -> list[messages.ModelInfo]:
    return [messages.ModelInfo(each.name, each.max_tokens, each.context_window, each.local) for each in model.models()]


def http_send(request: Any) -> Resource:
    return Resource(_ask(http.send, _http_request(request)))


def http_start(request: Any) -> Resource:
    return Resource(_ask(http.start, _http_request(request)))


def http_begin(request: Any) -> Resource:
    return Resource(_ask(http.begin, _http_request(request)))


def tools_list() -> list[Listed]:
    return [_listed(each) for each in tools.list()]


def tools_call(name: str, input: str) -> outcome.Outcome | Failure:
    return _answer(_ask(tools.call, name, input))


def tools_start(name: str, input: str) -> Resource:
    return Resource(_ask(tools.start, name, input))


def user_ask(question: Any) -> str:
    return _ask(user.ask, user.Question(question.text, question.schema, question.timeout_ms, question.remember))


class Resource:
    """A generation, a request, a response, an upload or a call. It is given back to the host as soon as it is not used."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def next(self) -> list[messages.Event]:
        return [_event(event) for event in _ask(self._inner.next)]

    def wait(self) -> Any:
        found = _ask(self._inner.wait)
        return Resource(found) if isinstance(found, http.Response) else _answer(found)

    def head(self) -> Any:
        return self._inner.head()

    def read(self, most: int) -> bytes:
        return _ask(self._inner.read, most)

    def write(self, chunk: bytes) -> None:
        _ask(self._inner.write, chunk)

    def finish(self) -> Resource:
        return Resource(_ask(self._inner.finish))

    def close(self) -> None:
        self._inner.__exit__(None, None, None)


def described(tool: Any) -> types.Tool:
    """What the host is told about a tool."""
    hints = types.ToolHints(0)
    for hint in tool.hints:
        hints |= types.ToolHints[_HINTS[hint]]
    output = None if tool.output_schema is None else dumps(tool.output_schema)
    return types.Tool(tool.name, tool.title, tool.description, dumps(tool.input_schema), output, hints)


def given(found: outcome.Outcome) -> types.Outcome:
    """What a tool gave."""
    return types.Outcome([_content(piece) for piece in found.content], found.structured_json())


def failed(failure: Failure) -> Err:
    """Why a tool gave nothing."""
    kind = types.FailureKind[failure.kind.upper().replace("-", "_")]
    hint = None if failure.hint is None else _whole(failure.hint)
    return Err(types.Failure(kind, _whole(failure.message), hint))


def _ask(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Err as error:
        raise _refusal(error.value) from None


def _whole(text: str) -> str:
    # Half characters (as of file names that are no UTF-8) cannot pass to the host.
    return text.encode("utf-8", "replace").decode()


def _refusal(found: Any) -> refusal.Refusal:
    value = getattr(found, "value", None)
    if isinstance(found, types.Refusal_Denied):
        return refusal.Denied(value.capability, value.subject, value.reason, value.hint)
    if isinstance(found, types.Refusal_OverBudget):
        return refusal.OverBudget(value.scope, value.unit, value.limit, value.used, value.needed)
    if isinstance(found, types.Refusal_TooLarge):
        return refusal.TooLarge(value.what, value.limit, value.actual)
    if isinstance(found, types.Refusal_Cancelled):
        return refusal.Cancelled()
    told = {
        types.Refusal_Unavailable: refusal.Unavailable,
        types.Refusal_Invalid: refusal.Invalid,
        types.Refusal_TimedOut: refusal.TimedOut,
    }
    return told[type(found)](value)


def _condition(condition: str | int) -> kv.Condition:
    if condition == "always":
        return kv.Condition_Always()
    return kv.Condition_Absent() if condition == "absent" else kv.Condition_Version(condition)


def _written(found: Any) -> tuple[bool, int | None]:
    return isinstance(found, kv.Written_Done), found.value


def _http_request(request: Any) -> http.Request:
    return http.Request(request.method, request.url, request.headers, request.body, request.follow, request.timeout_ms)


def _request(request: Request) -> model.Request:
    choices = {"auto": model.ToolChoice_Auto, "none": model.ToolChoice_None_, "required": model.ToolChoice_Required}
    choice = request.tool_choice
    return model.Request(
        model=request.model,
        messages=[model.Message(model.Role[each.role.upper()], list(map(_part, each.parts))) for each in request.messages],
        tools=[model.Tool(tool.name, tool.description, dumps(tool.input_schema)) for tool in request.tools],
        tool_choice=choices[choice]() if choice in choices else model.ToolChoice_Named(choice),
        output_schema=None if request.output_schema is None else dumps(request.output_schema),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop=request.stop,
        effort=None if request.effort is None else model.Effort[request.effort.upper()],
        cache_until=request.cache_until,
        provider_options=None if request.provider_options is None else dumps(request.provider_options),
    )


def _part(part: messages.Part) -> model.Part:
    if isinstance(part, messages.Text):
        return model.Part_Text(_whole(part.text))
    if isinstance(part, messages.Image):
        return model.Part_Image(model.Image(part.media_type, part.data))
    if isinstance(part, messages.Thinking):
        return model.Part_Thinking(model.Thinking(part.text, part.signature))
    if isinstance(part, messages.ToolCall):
        return model.Part_ToolCall(model.ToolCall(part.id, part.name, part.input_json, part.signature))
    return model.Part_ToolResult(model.ToolResult(part.id, _whole(part.content), part.is_error))


def _part_of(part: Any) -> messages.Part:
    value = part.value
    if isinstance(part, model.Part_Text):
        return messages.Text(value)
    if isinstance(part, model.Part_Image):
        return messages.Image(value.media_type, value.data)
    if isinstance(part, model.Part_Thinking):
        return messages.Thinking(value.text, value.signature)
    if isinstance(part, model.Part_ToolCall):
        return _call(value)
    return messages.ToolResult(value.id, value.content, value.is_error)


def _call(call: Any) -> messages.ToolCall:
    return messages.ToolCall(call.id, call.name, call.input, call.signature)


def _response(found: Any) -> messages.Response:
    message = messages.Message(word(found.message.role), list(map(_part_of, found.message.parts)))
    return messages.Response(message, word(found.stop_reason), found.model, _usage(found.usage))


def _usage(found: Any) -> messages.Usage:
    return messages.Usage(**vars(found))


def _event(event: Any) -> messages.Event:
    value = event.value
    if isinstance(event, model.Event_Text):
        return messages.TextEvent(value)
    if isinstance(event, model.Event_Thinking):
        return messages.ThinkingEvent(value)
    if isinstance(event, model.Event_ToolCallStart):
        return messages.ToolCallStart(*value)
    if isinstance(event, model.Event_ToolCallDelta):
        return messages.ToolCallDelta(*value)
    if isinstance(event, model.Event_ToolCall):
        return messages.ToolCallEvent(_call(value))
    return messages.Done(_response(value))


def _answer(answer: Any) -> outcome.Outcome | Failure:
    value = answer.value
    if isinstance(answer, tools.Answer_Failure):
        kind: FailureKind = word(value.kind)
        return Failure(value.message, hint=value.hint, kind=kind)
    return outcome.Outcome._from_wire([_content_of(piece) for piece in value.content], value.structured)


def _content(piece: outcome.Content) -> types.Content:
    if isinstance(piece, outcome.Text):
        return types.Content_Text(_whole(piece.text))
    if isinstance(piece, outcome.Image):
        return types.Content_Image(types.Media(piece.media_type, bytes(piece.data)))
    if isinstance(piece, outcome.Audio):
        return types.Content_Audio(types.Media(piece.media_type, bytes(piece.data)))
    return types.Content_Link(types.Link(piece.uri, piece.title, piece.media_type))


def _content_of(piece: Any) -> outcome.Content:
    value = piece.value
    if isinstance(piece, types.Content_Text):
        return outcome.Text(value)
    if isinstance(piece, types.Content_Image):
        return outcome.Image(value.media_type, value.data)
    if isinstance(piece, types.Content_Audio):
        return outcome.Audio(value.media_type, value.data)
    return outcome.Link(value.uri, value.title, value.media_type)


def _listed(found: Any) -> Listed:
    tool = found.tool
    hints = frozenset(name for name, flag in _HINTS.items() if types.ToolHints[flag] in tool.hints)
    output = None if tool.output_schema is None else json.loads(tool.output_schema)
    return Listed(found.name, tool.description, json.loads(tool.input_schema), output, tool.title, hints)
