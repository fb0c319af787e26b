"""State that lasts between invocations. Each skill has its own.

Keys are 1 to 256 bytes of UTF-8 without control characters; values are at most 1 MiB. Values are JSON, and anything that JSON
can say is one (dataclasses too), unless the function's name says bytes.

    kv.set("voice/ada", Voice(name="Ada", rules=[]))
    voice = kv.get("voice/ada", into=Voice)
    runs = kv.update("runs", lambda runs: (runs or 0) + 1)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from ringfence import _host, values
from ringfence.refusal import Invalid, Unavailable

T = TypeVar("T")

# How often `update` tries when others write the same key.
_ATTEMPTS = 32


@dataclass(frozen=True)
class Entry:
    """A value with its version. Versions start at 1, rise with every change of the key and are never used again."""

    value: bytes
    version: int

    def json(self, into: Any = None) -> Any:
        """The value read as JSON, and as a type where one is given."""
        value = json.loads(self.value)
        return value if into is None else values.read(into, value)


class Conflict(Exception):
    """The condition of a write did not hold, and nothing was changed. `version` is the version that is there, if any."""

    def __init__(self, key: str, version: int | None) -> None:
        there = "it is not there" if version is None else f"its version is {version}"
        super().__init__(f"`{key}` was not written: {there}")
        self.key, self.version = key, version


@overload
def get(key: str, default: Any = None) -> Any: ...
@overload
def get(key: str, default: T, *, into: type[T]) -> T: ...
@overload
def get(key: str, *, into: type[T]) -> T | None: ...


def get(key: str, default: Any = None, *, into: Any = None) -> Any:
    """The value of a key, or `default`. With `into` it is read as that type."""
    found = entry(key)
    return default if found is None else _decode(key, found, into)


def get_bytes(key: str) -> bytes | None:
    """The bytes of a key."""
    found = entry(key)
    return None if found is None else found.value


def entry(key: str) -> Entry | None:
    """The bytes of a key with their version, for a conditional write."""
    return _host.door().kv_get(key)


def set(key: str, value: Any, *, if_absent: bool = False, if_version: int | None = None) -> int:
    """Writes a value and gives its version. `Conflict` where a condition was given that does not hold."""
    return set_bytes(key, _encode(key, value), if_absent=if_absent, if_version=if_version)


def set_bytes(key: str, value: bytes, *, if_absent: bool = False, if_version: int | None = None) -> int:
    """As `set`, with bytes."""
    done, version = _host.door().kv_set(key, bytes(value), _condition(if_absent, if_version))
    if not done:
        raise Conflict(key, version)
    return version


def delete(key: str, *, if_version: int | None = None) -> None:
    """Deletes a key; one that is not there counts as deleted. `Conflict` where it has another version."""
    done, version = _host.door().kv_delete(key, _condition(False, if_version))
    if not done:
        raise Conflict(key, version)


def update(key: str, change: Callable[[Any], Any], *, into: Any = None) -> Any:
    """Changes a value so that no other invocation's change is lost, and gives the new value.

    `change` is given the value that is there, or None. It is called again where another invocation wrote in between, so that it
    should do nothing but compute. After 32 attempts the refusal is `Unavailable`.
    """
    for _ in range(_ATTEMPTS):
        found = entry(key)
        new = change(None if found is None else _decode(key, found, into))
        try:
            set(key, new, if_absent=found is None, if_version=None if found is None else found.version)
        except Conflict:
            continue
        return new
    raise Unavailable(f"`{key}` was changed by others {_ATTEMPTS} times in a row")


def keys(prefix: str = "") -> Iterator[str]:
    """The keys that begin with `prefix`, in byte order, asked for page by page."""
    cursor = None
    while True:
        page, cursor = _host.door().kv_list(prefix, cursor, 0)
        yield from page
        if cursor is None:
            return


def _condition(if_absent: bool, if_version: int | None) -> str | int:
    if if_absent and if_version is not None:
        raise ValueError("give `if_absent` or `if_version`, not both: no key is absent and has a version")
    if if_version is not None:
        return if_version
    return "absent" if if_absent else "always"


def _encode(key: str, value: Any) -> bytes:
    try:
        return values.dumps(value).encode()
    except (TypeError, ValueError) as error:
        raise Invalid(f"the value for `{key}` cannot be JSON: {error}") from error


def _decode(key: str, found: Entry, into: Any) -> Any:
    try:
        return found.json(into)
    except ValueError as error:
        raise Invalid(f"what is stored under `{key}` is not what the skill expects: {error}") from error
