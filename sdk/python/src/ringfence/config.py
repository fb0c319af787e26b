"""The operator's settings for this skill, as its manifest's `[config]` describes them."""

from __future__ import annotations

import json
from typing import Any, TypeVar, overload

from ringfence import _host, values
from ringfence.refusal import Invalid

T = TypeVar("T")


@overload
def get(key: str, default: Any = None) -> Any: ...
@overload
def get(key: str, default: T, *, into: type[T]) -> T: ...
@overload
def get(key: str, *, into: type[T]) -> T | None: ...


def get(key: str, default: Any = None, *, into: Any = None) -> Any:
    """The value of a top-level key; `default` where neither the operator nor the manifest's defaults set it.

    With `into` the value is read as that type: `Invalid` where the manifest's schema says something else than the code.
    """
    text = _host.door().config_get(key)
    if text is None:
        return default
    try:
        value = json.loads(text)
        return value if into is None else values.read(into, value)
    except ValueError as error:
        raise Invalid(f"the setting `{key}` is not what the skill expects: {error}") from error
