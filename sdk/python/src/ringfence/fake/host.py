"""The fake itself: what it was told, and what it saw."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ringfence import values
from ringfence.failure import Failure
from ringfence.fake.reply import Reply
from ringfence.http import Request as HttpRequest
from ringfence.kv import Entry
from ringfence.model.message import ModelInfo
from ringfence.model.request import Request, prompt_text
from ringfence.outcome import Outcome
from ringfence.refusal import Refusal
from ringfence.tools import Listed
from ringfence.user import Question

# Those of `with` blocks that are open, innermost last.
_current: list[Host] = []


class NoHost(RuntimeError):
    """An import was called where there is no host."""


@dataclass(frozen=True)
class Line:
    """One line of the log."""

    level: str
    message: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Report:
    """One report of progress."""

    done: int
    total: int | None
    message: str | None


class Host:
    """A host for a test, to be used by `with`. It grants everything, knows no answers, and has no settings and no stored keys.

    Answers for model calls are found in this order: the first rule that has one (`answer_when`, `answer_with`), then the next
    scripted one (`answer`). Where there is none the test fails.
    """

    def __init__(self) -> None:
        self.answers: deque[Reply] = deque()
        self.rules: list[Callable[[Request], Any]] = []
        self.embeddings: deque[list[float]] = deque()
        self.known_models: list[ModelInfo] = []
        self.settings: dict[str, str] = {}
        self.entries: dict[str, Entry] = {}
        # Versions are never used again, also not after a delete.
        self.last_version = 0
        self.kv_refusals: deque[Refusal] = deque()
        self.races: list[tuple[str, bytes]] = []
        self.secrets: set[str] = set()
        self.servers: list[Callable[[HttpRequest], Any]] = []
        self.other_tools: dict[str, Callable[[Any], Any]] = {}
        self.people: deque[Any] = deque()
        self.in_flight = 0

        self.requests: list[Request] = []
        """All requests to models, in order."""
        self.sent: list[HttpRequest] = []
        """All requests to servers, in order. The body of an upload is there when it was finished."""
        self.logs: list[Line] = []
        self.reports: list[Report] = []
        self.emitted = ""
        """What was emitted, joined."""
        self.calls: list[tuple[str, Any]] = []
        """The calls of other skills' tools, as names and inputs."""
        self.questions: list[Question] = []
        """What the person was asked."""
        self.most_in_flight = 0
        """The largest number of generations, requests and calls of tools that were open at once."""

    def __enter__(self) -> Host:
        _current.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _current.remove(self)

    def answer(self, *replies: Any) -> Host:
        """The next answers to model calls: texts, values that become JSON, or `Reply`s."""
        self.answers.extend(map(Reply.of, replies))
        return self

    def answer_when(self, words: str, reply: Any) -> Host:
        """The answer to every model call whose messages contain `words`."""
        return self.answer_with(lambda request: reply if words in prompt_text(request) else None)

    def answer_with(self, rule: Callable[[Request], Any]) -> Host:
        """Answers model calls by a function; None leaves the call to the next rule."""
        self.rules.append(rule)
        return self

    def refuse(self, refusal: Refusal) -> Host:
        """The next model call is refused."""
        return self.answer(Reply.refuse(refusal))

    def vectors(self, *vectors: Iterable[float]) -> Host:
        """Vectors for the next embeddings, one per text."""
        self.embeddings.extend(list(vector) for vector in vectors)
        return self

    def model(self, name: str, max_tokens: int = 4096, context_window: int | None = None) -> Host:
        """A model that the skill may use."""
        self.known_models.append(ModelInfo(name, max_tokens, context_window, local=True))
        return self

    def config(self, **settings: Any) -> Host:
        """Settings of the operator."""
        self.settings |= {key: values.dumps(value) for key, value in settings.items()}
        return self

    def kv(self, key: str, value: Any) -> Host:
        """A stored value, as JSON."""
        self.write(key, values.dumps(value).encode())
        return self

    def refuse_kv(self, refusal: Refusal) -> Host:
        """The next call of `kv` is refused."""
        self.kv_refusals.append(refusal)
        return self

    def race(self, key: str, value: Any) -> Host:
        """Another invocation writes this just before the skill's next conditional write of the key."""
        self.races.append((key, values.dumps(value).encode()))
        return self

    def secret(self, name: str) -> Host:
        """A secret that the skill may use."""
        self.secrets.add(name)
        return self

    def serve(self, url: str, page: Any) -> Host:
        """Answers every request for this URL, whatever its method: a text, bytes, a `Page`, a refusal, or a value as JSON.

        A URL without a query answers every query.
        """
        return self.serve_with(lambda request: page if url in (request.url, request.url.split("?")[0]) else None)

    def serve_with(self, server: Callable[[HttpRequest], Any]) -> Host:
        """Answers requests by a function; None leaves the request to the next one."""
        self.servers.append(server)
        return self

    def tool(self, name: str, answer: Any) -> Host:
        """A tool of another skill, `skill/tool`: it gives a text, an `Outcome` or a value, or fails by a `Failure` or a refusal.

        A function is given the input, and returns or raises one of these.
        """
        self.other_tools[name] = answer if callable(answer) else lambda _: answer
        return self

    def person(self, *answers: Any) -> Host:
        """What the person answers next, or a refusal. Where no answer is left, nobody is there."""
        self.people.extend(answers)
        return self

    @property
    def prompts(self) -> list[str]:
        """The text of each request to a model, its messages joined by blank lines."""
        return [prompt_text(request) for request in self.requests]

    def stored(self, key: str) -> Any:
        """A stored value, read as JSON; None where there is none."""
        entry = self.entries.get(key)
        return None if entry is None else json.loads(entry.value)

    def reply(self, request: Request) -> Reply:
        """The answer to a request, by rule or by script."""
        self.requests.append(_frozen(request))
        for rule in self.rules:
            answer = rule(request)
            if answer is not None:
                return Reply.of(answer)
        if not self.answers:
            raise AssertionError(
                "the skill asked a model and the fake has no answer for it: script one with `.answer(\"...\")`. It asked:\n"
                + prompt_text(request)
            )
        return self.answers.popleft()

    def called(self, name: str, input: str) -> Outcome | Failure:
        """The answer of another skill's tool."""
        self.calls.append((name, json.loads(input)))
        if name not in self.other_tools:
            raise AssertionError(
                f'the skill called `{name}` and the fake has no such tool: give it one with `.tool("{name}", "...")`'
            )
        try:
            answer = self.other_tools[name](json.loads(input))
        except Failure as failure:
            return failure
        if isinstance(answer, Refusal):
            raise answer
        if isinstance(answer, (Failure, Outcome)):
            return answer
        return Outcome(answer) if isinstance(answer, str) else Outcome.value(answer)

    def listed(self) -> list[Listed]:
        """The tools of other skills."""
        return [Listed(name, "A tool of the test.", {"type": "object"}) for name in self.other_tools]

    def write(self, key: str, value: bytes) -> int:
        """Writes a key and gives its version."""
        self.last_version += 1
        self.entries[key] = Entry(value, self.last_version)
        return self.last_version

    def opened(self) -> None:
        """Something runs now."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def closed(self) -> None:
        """It does no more."""
        self.in_flight -= 1


def current(what: str) -> Host:
    """The fake of the test that runs."""
    if not _current:
        raise NoHost(f"`{what}` was called outside of a host: begin the test with `with ringfence.fake.Host() as host:`")
    return _current[-1]


def current_if_any() -> Host | None:
    """The same where a missing fake does not matter."""
    return _current[-1] if _current else None


def _frozen(request: Request) -> Request:
    # A loop goes on with the same list of messages.
    copy = Request(**{name: getattr(request, name) for name in request.__dataclass_fields__})
    copy.messages = list(request.messages)
    return copy
