"""Answers being made, one or many at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ringfence import _host, progress
from ringfence.model.message import Done, Event, Response, TextEvent
from ringfence.model.request import Prompt, Request, request
from ringfence.refusal import Unavailable


class Generation(Iterator[str]):
    """An answer being made, whether it is read or not. Iterating gives its text, piece by piece.

    Closing it, leaving its `with`, or dropping the last reference to it cancels the answer. After a refusal the iteration is
    over: what was given before stays valid, but is incomplete.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._ready: deque[Event] = deque()
        self.response: Response | None = None
        """The whole answer, as soon as it is complete."""

    def __iter__(self) -> Generation:
        return self

    def __next__(self) -> str:
        for event in self.events():
            if isinstance(event, TextEvent):
                return event.text
        raise StopIteration

    def events(self) -> Iterator[Event]:
        """All that happens: text, thinking, tool calls. The last event of an answer that worked is `Done`."""
        while True:
            if not self._ready and self._inner is not None:
                self._fetch()
            if not self._ready:
                return
            event = self._ready.popleft()
            if isinstance(event, Done):
                self.response = event.response
            yield event

    def finish(self, show: Callable[[str], Any] | None = None) -> Response:
        """Waits for the whole answer, and gives each piece of its text to `show`."""
        for event in self.events():
            if isinstance(event, TextEvent) and show is not None:
                show(event.text)
        if self.response is None:
            raise Unavailable("the answer ended before it was complete")
        return self.response

    def emit(self) -> Response:
        """Shows the text to the caller as it is written, and gives the whole answer."""
        return self.finish(progress.emit)

    def close(self) -> None:
        """Cancels what is still to come."""
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.close()

    def _fetch(self) -> None:
        try:
            events = self._inner.next()
        except BaseException:
            self.close()
            raise
        self._ready.extend(events)
        if not events:
            self.close()

    def __enter__(self) -> Generation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stream(prompt: Prompt, **options: Any) -> Generation:
    """Asks, and returns at once. Options as of `request`."""
    return Generation(_host.door().open(request(prompt, **options)))


class parallel(Iterator[Response]):
    """Asks many things with at most `in_flight` at once, and gives the answers in the order of the questions.

        for answer in model.parallel([f"Summarise: {part}" for part in parts], system="Be brief."):
            ...

    Nothing is asked before the first answer is wanted. A refusal is raised where its answer would have come; the iteration can
    go on after it. Options as of `request`, for all of them.
    """

    def __init__(self, prompts: Iterable[Prompt], in_flight: int = 8, **options: Any) -> None:
        self._prompts, self._in_flight, self._options = iter(prompts), max(1, in_flight), options
        self._open: deque[Generation | Exception] = deque()

    def __iter__(self) -> Iterator[Response]:
        return self

    def __next__(self) -> Response:
        while len(self._open) < self._in_flight:
            prompt: Prompt | Request | None = next(self._prompts, None)
            if prompt is None:
                break
            try:
                self._open.append(stream(prompt, **self._options))
            except Exception as error:
                self._open.append(error)
        if not self._open:
            raise StopIteration
        first = self._open.popleft()
        if isinstance(first, Exception):
            raise first
        with first:
            return first.finish()
