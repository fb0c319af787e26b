"""Requests to servers that the operator granted.

    page = http.get("https://example.com/").raise_for_status().text
    made = http.post(
        "https://api.example.com/notes",
        headers={"authorization": secrets.bearer("NOTES_TOKEN")},  # the host puts the secret there; a skill never sees it
        json={"text": page},
    ).json()

A status of 400 or above is a response, not a refusal: see `Response.raise_for_status`. Redirects are followed as far as their
targets are granted.
"""

from __future__ import annotations

import json as _json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from ringfence import _host, values
from ringfence.refusal import Invalid, Unavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """A request as it goes to the host. Made by `request`."""

    method: str
    url: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    follow: bool = True
    timeout_ms: int | None = None

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return _header(self.headers, name)

    def send(self) -> Response:
        """Sends it and waits for the response's head."""
        return Response(_host.door().http_send(self))

    def start(self) -> Pending:
        """Sends it and returns at once, so that several run at the same time."""
        return Pending(_host.door().http_start(self))

    def begin(self) -> Upload:
        """Begins it; its body is written piece by piece. Redirects are not followed."""
        return Upload(_host.door().http_begin(self))


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes | str = b"",
    json: Any = None,
    follow: bool = True,
    timeout: float | None = None,
) -> Request:
    """A request to be sent by `send`, `start` or `begin`.

    `json` makes the body of a value and adds its `content-type`. Values of headers may hold `{{secret:NAME}}`. `timeout` is in
    seconds, until the response's head is there.
    """
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    data = body.encode() if isinstance(body, str) else bytes(body)
    if json is not None:
        try:
            data = values.dumps(json).encode()
        except (TypeError, ValueError) as error:
            raise Invalid(f"the request's body cannot be JSON: {error}") from error
        if _header(pairs, "content-type") is None:
            pairs.append(("content-type", "application/json"))
    return Request(method.upper(), url, pairs, data, follow, None if timeout is None else int(timeout * 1000))


def get(url: str, **options: Any) -> Response:
    """Gets a URL and waits for the response's head. Options as of `request`."""
    return request("GET", url, **options).send()


def post(url: str, **options: Any) -> Response:
    """Posts `json` or `body` to a URL and waits for the response's head. Options as of `request`."""
    return request("POST", url, **options).send()


class Response:
    """A response whose head is there. Its body is read as it comes; closing it closes the connection."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        head = inner.head()
        self.status: int = head.status
        self.url: str = head.url
        """Where it came from in the end."""
        self.headers: list[tuple[str, str]] = head.headers
        """All headers, names in lower case."""
        self._content: bytes | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is one of success: 200 to 299."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return _header(self.headers, name)

    def raise_for_status(self) -> Response:
        """Makes a refusal of a status of 400 or above: `Unavailable` where trying again later may help. Otherwise itself."""
        if self.status < 400:
            return self
        said = f"`{_place(self.url)}` answered with status {self.status}"
        if self.status in (408, 425, 429) or self.status >= 500:
            raise Unavailable(said)
        raise Invalid(said)

    def read(self, most: int = 0) -> bytes:
        """The next bytes of the body, at most `most` (0 means 64 KiB); empty at the end. Waits for them."""
        if self._inner is None:
            return b""
        return self._inner.read(most)

    def iter_bytes(self) -> Iterator[bytes]:
        """The body, piece by piece as it comes."""
        while piece := self.read():
            yield piece

    @property
    def content(self) -> bytes:
        """The whole body, less what was read before."""
        if self._content is None:
            self._content = b"".join(self.iter_bytes())
            self.close()
        return self._content

    @property
    def text(self) -> str:
        """The body as text. What is no UTF-8 becomes the replacement character."""
        return self.content.decode("utf-8", "replace")

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, into: type[T]) -> T: ...

    def json(self, into: Any = None) -> Any:
        """The body read as JSON, and as a type where one is given."""
        try:
            value = _json.loads(self.content)
            return value if into is None else values.read(into, value)
        except ValueError as error:
            raise Invalid(f"what `{_place(self.url)}` answered is not what was expected: {error}") from error

    def close(self) -> None:
        """Closes the connection."""
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.close()

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.url}>"


class Pending:
    """A request under way. Closing it cancels the request; it may have reached the server all the same."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def wait(self) -> Response:
        """Waits for the response's head."""
        if self._inner is None:
            raise Invalid("this request was waited for, or closed, already")
        try:
            return Response(self._inner.wait())
        finally:
            self.close()

    def close(self) -> None:
        """Gives it up."""
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.close()


class Upload:
    """A request whose body is being written. Closing it breaks the request off; so does leaving its `with` by an exception."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def write(self, chunk: bytes | str) -> None:
        """Gives bytes to the request. Waits while the server does not take them."""
        if self._inner is None:
            raise Invalid("this upload is over already")
        self._inner.write(chunk.encode() if isinstance(chunk, str) else bytes(chunk))

    def finish(self) -> Response:
        """Ends the body and waits for the response's head."""
        if self._inner is None:
            raise Invalid("this upload is over already")
        try:
            return Response(self._inner.finish())
        finally:
            self.close()

    def close(self) -> None:
        """Gives it up."""
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.close()

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class parallel(Iterator[Response]):
    """Sends many requests with at most `in_flight` at once, and gives the responses in the order of the requests.

        for response in http.parallel(urls):
            ...

    Items are URLs to get, or requests of `request`. A refusal is raised where its response would have come; the iteration can go
    on after it. Close a response that you do not read to its end: until then its connection counts.
    """

    def __init__(self, requests: Iterable[Request | str], in_flight: int = 8) -> None:
        self._requests, self._in_flight = iter(requests), max(1, in_flight)
        self._open: deque[Pending | Exception] = deque()

    def __iter__(self) -> Iterator[Response]:
        return self

    def __next__(self) -> Response:
        while len(self._open) < self._in_flight:
            item = next(self._requests, None)
            if item is None:
                break
            try:
                self._open.append((request("GET", item) if isinstance(item, str) else item).start())
            except Exception as error:
                self._open.append(error)
        if not self._open:
            raise StopIteration
        first = self._open.popleft()
        if isinstance(first, Exception):
            raise first
        return first.wait()


def _header(headers: list[tuple[str, str]], name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def _place(url: str) -> str:
    # A query may hold what no log should.
    return url.split("?")[0]
