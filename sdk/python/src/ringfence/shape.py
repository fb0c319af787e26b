"""What types are made of, the same for schemas and for values."""

from __future__ import annotations

import collections.abc
import dataclasses
import sys
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

_LISTS = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Iterable,
          collections.abc.Collection, collections.abc.Set, collections.abc.MutableSet)
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)

MISSING = object()


@dataclass
class Field:
    """One field of an object."""

    name: str
    type: Any
    required: bool
    default: Any = MISSING
    description: str = ""


def bare(kind: Any) -> tuple[Any, list[Any]]:
    """The type without its annotations and aliases, and the annotations, outermost last."""
    notes: list[Any] = []
    while True:
        if typing.get_origin(kind) is Annotated:
            notes = [*kind.__metadata__, *notes]
            kind = kind.__origin__
        elif hasattr(kind, "__supertype__"):
            kind = kind.__supertype__
        elif type(kind).__name__ == "TypeAliasType":
            kind = kind.__value__
        elif _name(typing.get_origin(kind)) in ("Required", "NotRequired", "ReadOnly"):
            kind = typing.get_args(kind)[0]
        else:
            return kind, notes


def is_union(kind: Any) -> bool:
    origin = typing.get_origin(kind)
    return origin is Union or origin is types.UnionType


def is_literal(kind: Any) -> bool:
    return typing.get_origin(kind) is Literal


def is_pydantic(kind: Any) -> bool:
    """Whether it has a schema of its own as pydantic's models do. Nothing of pydantic is needed for it."""
    return isinstance(kind, type) and hasattr(kind, "model_json_schema") and hasattr(kind, "model_validate")


def is_pydantic_1(kind: Any) -> bool:
    """The same for a model as pydantic 1 has it, the one that can be in a component. Those of pydantic 2 have its methods as well."""
    old = isinstance(kind, type) and hasattr(kind, "parse_obj") and hasattr(kind, "schema") and hasattr(kind, "__fields__")
    return old and not is_pydantic(kind)


def is_typed_dict(kind: Any) -> bool:
    # Those of typing_extensions are not typing's, and look the same.
    return isinstance(kind, type) and issubclass(kind, dict) and hasattr(kind, "__total__")


def is_object(kind: Any) -> bool:
    """Whether it has named fields: a dataclass, a TypedDict or a NamedTuple."""
    named = isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")
    return named or is_typed_dict(kind) or (isinstance(kind, type) and dataclasses.is_dataclass(kind))


def items(kind: Any) -> tuple[type, list[Any]] | None:
    """What a list is made by, and the types of its items: one for all of them, or one for each of a tuple."""
    origin, inner = typing.get_origin(kind) or kind, list(typing.get_args(kind))
    if origin not in _LISTS:
        return None
    made_by = origin if origin in (tuple, set, frozenset) else list
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return tuple, inner
    return made_by, [inner[0] if inner else Any]


def entries(kind: Any) -> Any:
    """The type of a dictionary's values; MISSING where it is no dictionary."""
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin not in _DICTS:
        return MISSING
    return inner[1] if len(inner) == 2 else Any


def types_of(thing: Any) -> dict[str, Any]:
    """The types of a function's parameters or of a class's fields. `NameError` where one is not known."""
    found = typing.get_type_hints(thing, include_extras=True)
    if sys.version_info < (3, 11):
        # Names in quotes inside of `list["..."]` were left alone.
        known = vars(sys.modules[thing.__module__])
        found = {name: _unquoted(kind, known) for name, kind in found.items()}
    return found


def _unquoted(kind: Any, known: dict[str, Any]) -> Any:
    if isinstance(kind, str):
        return eval(kind, known)
    if isinstance(kind, types.GenericAlias):
        return types.GenericAlias(typing.cast(type, kind.__origin__), tuple(_unquoted(inner, known) for inner in kind.__args__))
    return kind


def fields(kind: Any) -> list[Field]:
    """The fields of an object."""
    from ringfence import docs

    hints = types_of(kind)
    said = docs.of_fields(kind)
    found = []
    if is_typed_dict(kind):
        for name, hint in hints.items():
            found.append(Field(name, hint, name in kind.__required_keys__, MISSING, said.get(name, "")))
    elif dataclasses.is_dataclass(kind):
        for each in dataclasses.fields(kind):
            if not each.init:
                continue
            default = MISSING if each.default is dataclasses.MISSING else each.default
            required = default is MISSING and each.default_factory is dataclasses.MISSING
            words = each.metadata.get("description", "") or said.get(each.name, "")
            found.append(Field(each.name, hints[each.name], required, default, words))
    else:
        defaults = kind._field_defaults
        for name in kind._fields:
            default = defaults.get(name, MISSING)
            found.append(Field(name, hints.get(name, Any), default is MISSING, default, said.get(name, "")))
    return found


def name(kind: Any) -> str:
    """The type as an author writes it."""
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind).replace("typing.", "")


def _name(kind: Any) -> Any:
    return getattr(kind, "_name", None) or getattr(kind, "__name__", "")
