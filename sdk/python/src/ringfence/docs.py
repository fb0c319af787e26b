"""Docstrings: what a function or a type says of itself, of its arguments and of its fields."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import sys
from dataclasses import dataclass, field
from typing import Any

_ARGUMENTS = ("args", "arguments", "parameters", "params", "attributes", "keyword args", "keyword arguments")
# What stands there is for whoever reads the code, not for a model that chooses a tool.
_OTHERS = ("returns", "return", "raises", "yields", "yield", "see also", "todo")
_SECTION = re.compile(r"^([A-Z][A-Za-z ]+):\s*$")
_ARGUMENT = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_SPHINX = re.compile(r"^:(?:param|arg|argument)\s+(?:[^:]*\s)?\*{0,2}(\w+):\s*(.*)$")

# What fields are described by inside of their class, by module and class. A component has no sources to read any more.
_fields: dict[tuple[str, str], dict[str, str]] = {}


@dataclass
class Doc:
    """A docstring, taken apart."""

    text: str = ""
    arguments: dict[str, str] = field(default_factory=dict)


def read(docstring: str | None) -> Doc:
    """Takes a docstring apart: Google's sections (`Args:`), or Sphinx's fields (`:param name:`)."""
    doc, text = Doc(), []
    section, indent, name = "", 0, ""
    for line in inspect.cleandoc(docstring or "").split("\n"):
        bare = line.strip()
        depth = len(line) - len(line.lstrip())
        head = _SECTION.match(line)
        if head and head[1].lower() in (*_ARGUMENTS, *_OTHERS):
            section, indent, name = head[1].lower(), 0, ""
            continue
        if section and section != "sphinx" and bare and depth == 0:
            section = ""
        sphinx = _SPHINX.match(bare) if depth == 0 else None
        if sphinx:
            section, name = "sphinx", sphinx[1]
            doc.arguments[name] = sphinx[2].strip()
        elif section == "sphinx":
            if bare.startswith(":"):
                name = ""
            elif name and bare and depth:
                doc.arguments[name] = f"{doc.arguments[name]} {bare}".strip()
            elif bare:
                section = ""
                text.append(line)
        elif not section:
            text.append(line)
        elif section in _ARGUMENTS and bare:
            indent = indent or depth
            found = _ARGUMENT.match(bare) if depth <= indent else None
            if found:
                name = found[1]
                doc.arguments[name] = found[2].strip()
            elif name:
                doc.arguments[name] = f"{doc.arguments[name]} {bare}".strip()
    doc.text = re.sub(r"\n{3,}", "\n\n", "\n".join(text)).strip()
    return doc


def of_type(kind: type) -> str:
    """What a class says of itself: its own docstring, not one that was made or inherited."""
    own = kind.__dict__.get("__doc__")
    if not isinstance(own, str) or own.startswith(f"{kind.__name__}(") or own == "An enumeration.":
        return ""
    return read(own).text


def of_fields(kind: type) -> dict[str, str]:
    """What a class says of its fields: in its docstring, or in a string below a field."""
    described: dict[str, str] = {}
    for base in reversed(getattr(kind, "__mro__", (kind,))):
        if base.__module__ in ("builtins", "typing"):
            continue
        own = base.__dict__.get("__doc__")
        if isinstance(own, str):
            described |= read(own).arguments
        described |= _below(base)
    return described


def keep(module: Any) -> None:
    """Reads what the module's classes say of their fields, while its source can be read."""
    for found in list(vars(module).values()):
        if isinstance(found, type) and found.__module__ == module.__name__:
            _below(found)


def _below(kind: type) -> dict[str, str]:
    key = (kind.__module__, kind.__qualname__)
    if key not in _fields:
        _fields[key] = _read_below(*key)
    return _fields[key]


def _read_below(module: str, name: str) -> dict[str, str]:
    path = getattr(sys.modules.get(module), "__file__", None)
    source = "".join(linecache.getlines(path)) if path else ""
    try:
        body: list[ast.stmt] = ast.parse(source).body
    except SyntaxError:
        return {}
    for part in name.split("."):
        # A class that is made inside of a function is looked for in the function.
        if part == "<locals>":
            continue
        nodes = (ast.ClassDef, ast.FunctionDef)
        inner = next((node.body for node in body if isinstance(node, nodes) and node.name == part), None)
        if inner is None:
            return {}
        body = inner
    described = {}
    for field_node, below in zip(body, body[1:]):
        if (
            isinstance(field_node, ast.AnnAssign)
            and isinstance(field_node.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            described[field_node.target.id] = inspect.cleandoc(below.value.value)
    return described
