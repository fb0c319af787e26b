"""The imports, answered by the fake of the test."""

from __future__ import annotations

import unicodedata
from typing import Any

from ringfence import values
from ringfence.failure import Failure
from ringfence.fake import web
from ringfence.fake.host import Host, Line, Report, current, current_if_any
from ringfence.kv import Entry
from ringfence.model.message import Embeddings, Event, ModelInfo, Response, Usage
from ringfence.model.request import Request
from ringfence.outcome import Outcome
from ringfence.refusal import Invalid, Refusal, TooLarge, Unavailable
from ringfence.tools import Listed
from ringfence.user import Question

_LARGEST_VALUE = 1024 * 1024


# `log` and `progress` never fail, also not in a test that has no host because it needs none.
def log(level: str, message: str, fields: list[tuple[str, str]]) -> None:
    if host := current_if_any():
        host.logs.append(Line(level, message, dict(fields)))


def report(done: int, total: int | None, message: str | None) -> None:
    if host := current_if_any():
        host.reports.append(Report(done, total, message))


def emit(text: str) -> None:
    if host := current_if_any():
        host.emitted += text


def config_get(key: str) -> str | None:
    return current("config.get").settings.get(key)


def secrets_exists(name: str) -> bool:
    return name in current("secrets.exists").secrets


def http_send(request: Any) -> web.Response:
    return web.answer(current("http"), request)


def http_start(request: Any) -> web.Pending:
    return web.Pending(current("http"), request)


def http_begin(request: Any) -> web.Upload:
    return web.Upload(current("http"), request)


def kv_get(key: str) -> Entry | None:
    return _kv("kv.get", key).entries.get(key)


def kv_set(key: str, value: bytes, condition: str | int) -> tuple[bool, int | None]:
    host = _kv("kv.set", key)
    if len(value) > _LARGEST_VALUE:
        raise TooLarge("kv value", _LARGEST_VALUE, len(value))
    if condition != "always":
        raced = next((race for race in host.races if race[0] == key), None)
        if raced:
            host.races.remove(raced)
            host.write(*raced)
    holds, version = _holds(host, key, condition)
    return (True, host.write(key, value)) if holds else (False, version)


def kv_delete(key: str, condition: str | int) -> tuple[bool, int | None]:
    host = _kv("kv.delete", key)
    holds, version = _holds(host, key, condition)
    if not holds:
        return False, version
    host.entries.pop(key, None)
    host.last_version += 1
    return True, 0


def kv_list(prefix: str, cursor: str | None, limit: int) -> tuple[list[str], str | None]:
    host = current("kv.keys")
    if host.kv_refusals:
        raise host.kv_refusals.popleft()
    most = min(limit or 100, 1000)
    matching = sorted((key for key in host.entries if key.startswith(prefix)), key=str.encode)
    after = [key for key in matching if cursor is None or key.encode() > cursor.encode()]
    page = after[:most]
    return page, page[-1] if len(after) > most else None


def _kv(what: str, key: str) -> Host:
    host = current(what)
    if host.kv_refusals:
        raise host.kv_refusals.popleft()
    if not 1 <= len(key.encode()) <= 256 or any(unicodedata.category(character) == "Cc" for character in key):
        raise Invalid(f"{values.dumps(key)} cannot be a key: 1 to 256 bytes without control characters")
    return host


def _holds(host: Host, key: str, condition: str | int) -> tuple[bool, int | None]:
    version = host.entries[key].version if key in host.entries else None
    if condition == "always":
        return True, version
    return version is None if condition == "absent" else version == condition, version


def generate(request: Request) -> Response:
    return current("model.ask").reply(request).response(request)


class Generation:
    """An answer being made by the fake."""

    def __init__(self, host: Host, request: Request) -> None:
        self._host, self._events = host, host.reply(request).events(request)
        self._is_open = True
        host.opened()

    def next(self) -> list[Event]:
        # One event at a time, so that a test sees every place where a reader can stop.
        event = next(self._events, None)
        return [] if event is None else [event]

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._host.closed()

    def __del__(self) -> None:
        self.close()


def open(request: Request) -> Generation:
    return Generation(current("model.stream"), request)


def embed(model: str, texts: list[str]) -> Embeddings:
    host = current("model.embed")
    if len(host.embeddings) < len(texts):
        raise AssertionError(
            f"the skill embedded {len(texts)} texts and the fake has {len(host.embeddings)} vectors left: "
            "give it more with `.vectors(...)`"
        )
    vectors = [host.embeddings.popleft() for _ in texts]
    return Embeddings(vectors, f"fake/{model}", Usage(input_tokens=sum(-(-len(text) // 4) for text in texts)))


def models() -> list[ModelInfo]:
    return list(current("model.models").known_models)


def tools_list() -> list[Listed]:
    return current("tools.list").listed()


def tools_call(name: str, input: str) -> Outcome | Failure:
    return current("tools.call").called(name, input)


class PendingCall:
    """A call under way: the fake has its answer already."""

    def __init__(self, host: Host, name: str, input: str) -> None:
        self._host = host
        self._answer: Outcome | Failure | Refusal | None
        try:
            self._answer = host.called(name, input)
        except Refusal as refusal:
            self._answer = refusal
        host.opened()

    def wait(self) -> Outcome | Failure:
        answer, self._answer = self._answer, None
        if answer is None:
            raise Invalid("this call was waited for already")
        if isinstance(answer, Refusal):
            raise answer
        return answer

    def close(self) -> None:
        self._host.closed()


def tools_start(name: str, input: str) -> PendingCall:
    return PendingCall(current("tools.start"), name, input)


def user_ask(question: Question) -> str:
    host = current("user.ask")
    host.questions.append(question)
    if not host.people:
        raise Unavailable("nobody is there who could answer a question")
    answer = host.people.popleft()
    if isinstance(answer, Refusal):
        raise answer
    return values.dumps(answer)
