"""Modules that are imported late.

A component has no files of Python: what is not loaded when it is built can never be. Authors are told to import at the top;
packages from elsewhere, and Python's own library, import inside of functions all the same.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator

# What Python's library imports on first use.
_LATE = (
    "_strptime", "_colorize", "calendar", "locale", "unicodedata", "stringprep", "encodings.ascii", "encodings.latin_1",
    "encodings.cp1252", "encodings.idna", "encodings.utf_8_sig", "encodings.utf_16", "encodings.utf_16_le",
    "encodings.utf_16_be", "encodings.utf_32", "encodings.iso8859_1", "encodings.iso8859_15", "encodings.hex_codec",
    "encodings.base64_codec", "encodings.unicode_escape", "encodings.raw_unicode_escape", "encodings.punycode",
)


def load(roots: list[str]) -> None:
    """Imports what the modules in these folders import inside of functions. What cannot be loaded is left for the run."""
    for name in _LATE:
        _try(name)
    seen: set[str] = set()
    while True:
        late = [name for module in _modules(roots) if module not in seen and not seen.add(module) for name in _inside(module)]
        if not late:
            return
        for name in late:
            if name not in sys.modules:
                _try(name)


def _modules(roots: list[str]) -> list[str]:
    found = []
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None) or ""
        if path.endswith(".py") and path.startswith(tuple(roots)):
            found.append(name)
    return found


def _inside(name: str) -> Iterator[str]:
    module = sys.modules[name]
    try:
        with open(module.__file__, encoding="utf-8") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return
    package = module.__package__ or ""
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
                yield base
                # `from package import module` names a module as well.
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _try(name: str) -> None:
    try:
        importlib.import_module(name)
    except BaseException:
        # Not there, or only for another system: then it fails where it is used, as it would anyway.
        pass
