"""JSON Schemas (draft 2020-12) of Python types, in the form that models and command lines read best.

Nested types stand where they are used, without references, because models and forms follow those badly; types that contain
themselves keep theirs.
"""

from __future__ import annotations

import datetime
import enum
import pathlib
import typing
import uuid
from typing import Any

from ringfence import _pydantic_1, docs, shape, values

Schema = dict[str, Any]

_PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    None: {"type": "null"},
    type(None): {"type": "null"},
    Any: {},
    object: {},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    pathlib.Path: {"type": "string"},
    pathlib.PurePosixPath: {"type": "string"},
}
# What annotated-types and pydantic's `Field` call their limits.
_LIMITS = {
    "ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum", "multiple_of": "multipleOf",
    "min_length": ("minLength", "minItems"), "max_length": ("maxLength", "maxItems"), "pattern": "pattern",
    # In pydantic 1.
    "min_items": "minItems", "max_items": "maxItems", "regex": "pattern",
}


class SchemaError(TypeError):
    """A type of which no schema can be made."""


def of(kind: Any, *, written: bool = False) -> Schema:
    """The schema of a type: of what is read as it, or (`written`) of what values of it are written as."""
    return _Maker(written).root(kind)


class _Maker:
    def __init__(self, written: bool) -> None:
        self.written = written
        self.open: list[Any] = []
        self.defs: dict[str, Schema] = {}
        self.again: set[str] = set()

    def root(self, kind: Any) -> Schema:
        schema = self.of(kind)
        if self.defs:
            schema = {**schema, "$defs": self.defs}
        return schema

    def of(self, kind: Any) -> Schema:
        kind, notes = shape.bare(kind)
        schema = dict(self.unannotated(kind))
        for note in notes:
            _annotate(schema, note)
        return schema

    def unannotated(self, kind: Any) -> Schema:
        try:
            if kind in _PLAIN:
                return _PLAIN[kind]
        except TypeError:
            pass
        if shape.is_literal(kind):
            return _choice(list(typing.get_args(kind)))
        if shape.is_union(kind):
            return self.union(list(typing.get_args(kind)))
        if shape.is_pydantic(kind):
            return self.pydantic(kind)
        if shape.is_pydantic_1(kind):
            whole = _pydantic_1.schema(kind)
            return _inline(whole, whole.pop("$defs", {}), self.defs, ())
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return _described(_choice([values.write(member) for member in kind]), docs.of_type(kind))
        if shape.is_object(kind):
            return self.object(kind)
        listed = shape.items(kind)
        if listed:
            return self.list(*listed)
        entry = shape.entries(kind)
        if entry is not shape.MISSING:
            inner = self.of(entry)
            return {"type": "object", "additionalProperties": inner} if inner else {"type": "object"}
        raise SchemaError(f"`{shape.name(kind)}` is no type that JSON has: {_advice(kind)}")

    def union(self, kinds: list[Any]) -> Schema:
        nullable = any(kind in (None, type(None)) for kind in kinds)
        schemas = [self.of(kind) for kind in kinds if kind not in (None, type(None))]
        if nullable and len(schemas) == 1 and isinstance(schemas[0].get("type"), str) and "enum" not in schemas[0]:
            return {**schemas[0], "type": [schemas[0]["type"], "null"]}
        return {"anyOf": [*schemas, {"type": "null"}] if nullable else schemas}

    def list(self, made_by: type, kinds: list[Any]) -> Schema:
        if made_by is tuple and len(kinds) > 1:
            items = [self.of(kind) for kind in kinds]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        inner = self.of(kinds[0])
        schema: Schema = {"type": "array", "items": inner} if inner else {"type": "array"}
        if made_by in (set, frozenset):
            schema["uniqueItems"] = True
        return schema

    def object(self, kind: type) -> Schema:
        name = kind.__name__
        if kind in self.open:
            self.again.add(name)
            return {"$ref": f"#/$defs/{name}"}
        self.open.append(kind)
        properties, required = {}, []
        for field in shape.fields(kind):
            try:
                properties[field.name] = self.property(field)
            except SchemaError as error:
                raise SchemaError(f"{error} (in `{name}.{field.name}`)") from None
            # A value that is written always has all of its fields, also those with a default.
            if field.required or (self.written and not shape.is_typed_dict(kind)):
                required.append(field.name)
        self.open.pop()
        schema = _described({"type": "object"}, docs.of_type(kind)) | {"properties": properties}
        if required:
            schema["required"] = required
        if name in self.again and kind not in self.open:
            self.defs[name] = schema
            return {"$ref": f"#/$defs/{name}"}
        return schema

    def property(self, field: shape.Field) -> Schema:
        schema = self.of(field.type)
        # What is annotated on the type says more about this field than a docstring does.
        if field.description and not _says(field.type):
            schema["description"] = field.description
        if field.default is not shape.MISSING and field.default is not None and not self.written:
            try:
                schema["default"] = values.write(field.default)
            except TypeError:
                pass
        return schema

    def pydantic(self, kind: Any) -> Schema:
        whole = kind.model_json_schema(mode="serialization" if self.written else "validation")
        return _inline(whole, whole.pop("$defs", {}), self.defs, ())


def _advice(kind: Any) -> str:
    if kind in (bytes, bytearray):
        return "use `str` with base64"
    if isinstance(kind, typing.TypeVar):
        return "use a type instead of a variable"
    if isinstance(kind, str):
        return "a name in quotes has to be a type that the module knows"
    return "use str, int, float, bool, list, dict, Literal, an Enum, a dataclass, a TypedDict or a pydantic model"


def _says(kind: Any) -> bool:
    return any(isinstance(note, str) or getattr(note, "description", None) for note in shape.bare(kind)[1])


def _annotate(schema: Schema, note: Any) -> None:
    """What `Annotated[int, ...]` may hold: a description, keywords of JSON Schema, limits of annotated-types, pydantic's Field."""
    if isinstance(note, str):
        schema["description"] = note
        return
    if isinstance(note, dict):
        schema |= note
        return
    if getattr(note, "description", None):
        schema["description"] = note.description
    for limit, word in _LIMITS.items():
        value = getattr(note, limit, None)
        if value is not None:
            of_list = schema.get("type") == "array"
            schema[word if isinstance(word, str) else word[of_list]] = value
    for inner in getattr(note, "metadata", None) or ():
        _annotate(schema, inner)


def _choice(options: list[Any]) -> Schema:
    kinds = {True: "boolean"} if all(isinstance(option, bool) for option in options) else {}
    if not kinds and all(isinstance(option, str) for option in options):
        kinds = {True: "string"}
    if not kinds and all(isinstance(option, int) and not isinstance(option, bool) for option in options):
        kinds = {True: "integer"}
    return {"type": kinds[True], "enum": options} if kinds else {"enum": options}


def _described(schema: Schema, words: str) -> Schema:
    return {**schema, "description": words} if words else schema


def _inline(schema: Any, defs: dict[str, Any], kept: dict[str, Any], path: tuple[str, ...]) -> Any:
    """Puts definitions where they are referred to, and takes away the titles that repeat the names of fields."""
    if isinstance(schema, list):
        return [_inline(item, defs, kept, path) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref", "")
    name = reference.rpartition("/")[2]
    if reference.startswith("#/$defs/") and name in defs:
        if name in path or name in kept:
            kept.setdefault(name, {})
            if not kept[name]:
                kept[name] = {"pending": True}
                kept[name] = _inline(defs[name], defs, kept, (name,))
            return schema
        whole = _inline(defs[name], defs, kept, (*path, name))
        return {**whole, **{key: value for key, value in schema.items() if key != "$ref"}}
    inlined: Schema = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key in ("properties", "patternProperties") and isinstance(value, dict):
            inlined[key] = {name: _inline(inner, defs, kept, path) for name, inner in value.items()}
        elif key in ("enum", "const", "default", "examples"):
            inlined[key] = value
        else:
            inlined[key] = _inline(value, defs, kept, path)
    return inlined
