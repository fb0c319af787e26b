"""Values of Python types as JSON, and back."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import pathlib
import typing
import uuid
from typing import Any

from ringfence import shape

_TEXTS = {
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
    uuid.UUID: uuid.UUID,
    pathlib.Path: pathlib.Path,
    pathlib.PurePosixPath: pathlib.PurePosixPath,
}


class Mismatch(ValueError):
    """A value that is not of the type."""


def dumps(value: Any) -> str:
    """The JSON text of a value."""
    # `NaN` is no JSON, though Python writes it.
    return json.dumps(write(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def pretty(value: Any) -> str:
    """The JSON text of a value, for people."""
    return json.dumps(write(value), ensure_ascii=False, indent=2, allow_nan=False)


def write(value: Any, where: str = "") -> Any:
    """The value in JSON's own types. `TypeError` where there is no way."""
    if value is None or isinstance(value, (bool, str)) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, enum.Enum):
        return write(value.value, where)
    if isinstance(value, (int, float)):
        return value
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(mode="json")
    if shape.is_pydantic_1(type(value)):
        # By its own way to JSON, which knows the encoders of the author.
        return json.loads(value.json(by_alias=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: write(getattr(value, each.name), f"{where}.{each.name}")
            for each in dataclasses.fields(value)
            if each.init
        }
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: write(getattr(value, name), f"{where}.{name}") for name in value._fields}
    if isinstance(value, typing.Mapping):
        return {_key(key, where): write(inner, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [write(inner, f"{where}[{at}]") for at, inner in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return sorted((write(inner, where) for inner in value), key=str)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, pathlib.PurePath)):
        return str(value)
    at = f" (at `{where.lstrip('.')}`)" if where else ""
    raise TypeError(f"a {type(value).__name__} cannot be JSON{at}: give a dict, a dataclass, or another type that JSON has")


def read(kind: Any, value: Any, where: str = "") -> Any:
    """The JSON value as the type. `Mismatch` says what is wrong, and where."""
    kind, _ = shape.bare(kind)
    if kind is Any or kind is object:
        return value
    if kind is None or kind is type(None):
        return value if value is None else _wrong(where, "null", value)
    if kind is str:
        return value if isinstance(value, str) else _wrong(where, "a string", value)
    if kind is bool:
        return value if isinstance(value, bool) else _wrong(where, "true or false", value)
    if kind is int:
        # JSON does not tell 3 from 3.0.
        whole = isinstance(value, float) and value.is_integer()
        good = (isinstance(value, int) and not isinstance(value, bool)) or whole
        return int(value) if good else _wrong(where, "a whole number", value)
    if kind is float:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if good else _wrong(where, "a number", value)
    if kind in _TEXTS:
        return _text(kind, value, where)
    if shape.is_literal(kind):
        return _one_of(list(typing.get_args(kind)), value, where)
    if shape.is_union(kind):
        return _union(typing.get_args(kind), value, where)
    if shape.is_pydantic(kind) or shape.is_pydantic_1(kind):
        return _pydantic(kind, value, where)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(_one_of([write(member) for member in kind], value, where))
    if shape.is_object(kind):
        return _object(kind, value, where)
    listed = shape.items(kind)
    if listed:
        return _list(*listed, value, where)
    entry = shape.entries(kind)
    if entry is not shape.MISSING:
        if not isinstance(value, dict):
            return _wrong(where, "an object", value)
        return {key: read(entry, inner, _below(where, key)) for key, inner in value.items()}
    raise TypeError(f"`{shape.name(kind)}` cannot be read from JSON")


def _object(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        return _wrong(where, "an object", value)
    found = {}
    for field in shape.fields(kind):
        if field.name in value:
            found[field.name] = read(field.type, value[field.name], _below(where, field.name))
        elif field.required:
            raise Mismatch(f"`{_below(where, field.name)}` is missing")
    return found if shape.is_typed_dict(kind) else kind(**found)


def _list(made_by: type, kinds: list[Any], value: Any, where: str) -> Any:
    if not isinstance(value, list):
        return _wrong(where, "a list", value)
    if made_by is tuple and len(kinds) > 1:
        if len(value) != len(kinds):
            return _wrong(where, f"a list of {len(kinds)}", value)
        return tuple(read(kind, inner, f"{where}[{at}]") for at, (kind, inner) in enumerate(zip(kinds, value)))
    return made_by(read(kinds[0], inner, f"{where}[{at}]") for at, inner in enumerate(value))


def _union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    wrong: list[Mismatch] = []
    for kind in kinds:
        try:
            return read(kind, value, where)
        except Mismatch as error:
            if kind is not type(None):
                wrong.append(error)
    # With one type beside None, what is wrong with it is what the reader wants to know.
    raise wrong[0] if len(wrong) == 1 else Mismatch(f"{_named(where)} fits none of {', '.join(map(shape.name, kinds))}")


def _one_of(options: list[Any], value: Any, where: str) -> Any:
    for option in options:
        if option == value and isinstance(option, bool) == isinstance(value, bool):
            return option
    choices = ", ".join(json.dumps(option, ensure_ascii=False) for option in options)
    raise Mismatch(f"{_named(where)} must be one of {choices}, not {_shown(value)}")


def _text(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, str):
        return _wrong(where, "a string", value)
    try:
        return _TEXTS[kind](value.replace("Z", "+00:00") if kind is datetime.datetime else value)
    except ValueError as error:
        raise Mismatch(f"{_named(where)} is no {kind.__name__}: {error}") from None


def _pydantic(kind: Any, value: Any, where: str) -> Any:
    try:
        return kind.model_validate(value) if shape.is_pydantic(kind) else kind.parse_obj(value)
    except ValueError as error:
        raise Mismatch(f"{_named(where)} is wrong: {error}") from error


def _key(key: Any, where: str) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return key
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key)
    raise TypeError(f"a key of `{where.lstrip('.') or 'the value'}` is a {type(key).__name__}: JSON has strings alone")


def _below(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _named(where: str) -> str:
    return f"`{where}`" if where else "the value"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wrong(where: str, wanted: str, value: Any) -> Any:
    raise Mismatch(f"{_named(where)} must be {wanted}, not {_shown(value)}")
