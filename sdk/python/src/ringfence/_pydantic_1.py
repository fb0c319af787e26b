"""Schemas of pydantic 1's models, in the form that the rest of this package has.

They are of an older draft of JSON Schema, and they leave out that a field may be null, which a value that is written has wherever it is
None. Nothing of pydantic is imported for it: the models have all that is needed.
"""

from __future__ import annotations

import copy
import sys
from typing import Any


def schema(model: Any) -> dict[str, Any]:
    """The schema of a model, with the models inside of it below `$defs`."""
    # The model keeps the one that it gives.
    whole = copy.deepcopy(model.schema(ref_template="#/$defs/{model}"))
    defs = whole.pop("definitions", {})
    for each, name in _names(model).items():
        _nullable(each, whole if each is model and name not in defs else defs.get(name, {}))
    return _newer({**whole, "$defs": defs} if defs else whole)


def _names(model: Any) -> dict[Any, str]:
    """All models in a model, itself too, with what its schema calls them."""
    base = next(kind for kind in model.__mro__ if kind.__module__.endswith(".main") and kind.__name__ == "BaseModel")
    # `pydantic.schema`, or `pydantic.v1.schema` as pydantic 2 brings it along.
    own = sys.modules[f"{base.__module__.removesuffix('.main')}.schema"]
    found = own.get_model_name_map(own.get_flat_models_from_model(model))
    return {each: name for each, name in found.items() if hasattr(each, "__fields__")}


def _nullable(model: Any, schema: dict[str, Any]) -> None:
    properties = schema.get("properties", {})
    for field in model.__fields__.values():
        if field.alias in properties:
            properties[field.alias] = _field(field, properties[field.alias])


def _field(field: Any, schema: dict[str, Any]) -> dict[str, Any]:
    inner = field.sub_fields or []
    for word in ("items", "additionalProperties", "anyOf"):
        part = schema.get(word)
        if isinstance(part, list) and len(part) == len(inner):
            schema[word] = [_field(one, each) for one, each in zip(inner, part)]
        elif isinstance(part, dict) and len(inner) == 1:
            schema[word] = _field(inner[0], part)
    plain = {word: value for word, value in schema.items() if word not in ("title", "description", "default")}
    if not field.allow_none or not plain:
        return schema
    around = {word: value for word, value in schema.items() if word not in plain}
    if isinstance(plain.get("type"), str) and "enum" not in plain:
        return {**around, **plain, "type": [plain["type"], "null"]}
    return {**around, "anyOf": [*plain["anyOf"], {"type": "null"}] if list(plain) == ["anyOf"] else [plain, {"type": "null"}]}


def _newer(schema: Any, named: bool = False) -> Any:
    """What draft 2020-12 writes differently. `named`: its keys are names of fields or models, and no words of a schema."""
    if isinstance(schema, list):
        return [_newer(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {}
    for word, value in schema.items():
        if not named and word in ("enum", "const", "default", "example", "examples"):
            found[word] = value
        else:
            found[word] = _newer(value, not named and word in ("properties", "patternProperties", "$defs"))
    if named:
        return found
    if isinstance(found.get("items"), list):
        found["prefixItems"] = found.pop("items")
        found.pop("additionalItems", None)
    # A reference beside other words stands in a list of its own there.
    if isinstance(found.get("allOf"), list) and len(found["allOf"]) == 1:
        found = {**found.pop("allOf")[0], **found}
    # What pydantic says of an enum without a docstring.
    if found.get("description") == "An enumeration.":
        del found["description"]
    return found
