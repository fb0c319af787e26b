"""Servers, as the fake has them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ringfence import values
from ringfence.http import Request
from ringfence.refusal import Denied, Invalid, Refusal


@dataclass
class Head:
    status: int
    url: str
    headers: list[tuple[str, str]]


class Page:
    """What a server of the fake answers: `Page("text")`, `Page(json={...})`, `Page(status=404)`."""

    def __init__(
        self, body: bytes | str = b"", *, json: Any = None, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers = [(name.lower(), value) for name, value in (headers or {}).items()]
        self.body = body.encode() if isinstance(body, str) else body
        if json is not None:
            self.body = values.dumps(json).encode()
            self.headers.append(("content-type", "application/json"))
        self.refusal: Refusal | None = None

    @classmethod
    def of(cls, page: Any) -> Page:
        """A page of what a test gives: a text, bytes, a refusal, a value as JSON."""
        if isinstance(page, Page):
            return page
        if isinstance(page, Refusal):
            refused = cls()
            refused.refusal = page
            return refused
        return cls(page) if isinstance(page, (str, bytes)) else cls(json=page)


class Response:
    """A response of the fake."""

    def __init__(self, url: str, page: Page) -> None:
        self._head, self._body, self._at = Head(page.status, url, page.headers), page.body, 0

    def head(self) -> Head:
        return self._head

    def read(self, most: int) -> bytes:
        piece = self._body[self._at : self._at + (most or 64 << 10)]
        self._at += len(piece)
        return piece

    def close(self) -> None:
        pass


class Pending:
    """A request under way at the fake."""

    def __init__(self, state: Any, request: Request) -> None:
        self._state = state
        self._answer: Response | Refusal | None
        try:
            self._answer = answer(state, request)
        except Refusal as refusal:
            self._answer = refusal
        state.opened()

    def wait(self) -> Response:
        found, self._answer = self._answer, None
        if found is None:
            raise Invalid("`wait` was called before")
        if isinstance(found, Refusal):
            raise found
        return found

    def close(self) -> None:
        self._state.closed()


class Upload:
    """A request whose body is being written to the fake."""

    def __init__(self, state: Any, request: Request) -> None:
        self._state, self._request, self._chunks = state, request, []

    def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def finish(self) -> Response:
        return answer(self._state, replace(self._request, body=b"".join(self._chunks)))

    def close(self) -> None:
        pass


def answer(state: Any, request: Request) -> Response:
    """The first answer of a server. What nobody answers is denied, as by a host that granted nothing."""
    state.sent.append(request)
    for server in state.servers:
        page = server(request)
        if page is not None:
            page = Page.of(page)
            if page.refusal is not None:
                raise page.refusal
            return Response(request.url, page)
    raise Denied(
        "http", f"http {request.method} {request.url}", "the fake has no answer for it", 'script one with `.serve("https://...", "text")`'
    )
