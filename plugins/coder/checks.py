"""What can be said about a file without asking a model."""

import ast
import json
import re
import warnings

import content
from disk import MOST_BYTES

try:
    import tomllib
except ImportError:
    # Python 3.10, where only tests run.
    tomllib = None  # type: ignore[assignment]

_EMPTY = ("__init__.py", "py.typed", ".gitignore")
# JSON by name, with comments by habit.
_LOOSE = re.compile(r"(tsconfig|jsconfig|devcontainer|\.eslintrc)[\w.-]*\.json")
_ELIDED = re.compile(
    r"^\s*(?:#|//|/\*|<!--|--|;|%)?\s*\(?(?:\.\.\.|\u2026)\s*\(?(?:the )?"
    r"(?:rest|remaining|remainder|existing|other|same|previous|unchanged)\b",
    re.IGNORECASE | re.MULTILINE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def problem(path: str, text: str) -> str | None:
    """What is certainly wrong with a file; None where nothing is known to be."""
    name = path.rsplit("/", 1)[-1].lower()
    if not text.strip():
        return None if name in _EMPTY else "it is empty"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "it has characters that no file can have"
    if size > MOST_BYTES:
        return f"it has {size} bytes, and at most {MOST_BYTES} are written"
    if found := _CONTROL.search(text):
        return f"it has the control character U+{ord(found[0]):04X}"
    if not content.is_prose(path):
        if content.first_fence(text.split("\n", 1)[0]):
            return "it begins with a fence of Markdown"
        if found := _ELIDED.search(text):
            return f"it leaves something out: `{found[0].strip()} ...`"
    return _syntax(name, text)


def _syntax(name: str, text: str) -> str | None:
    try:
        if name.endswith((".py", ".pyi")):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(text)
        elif name.endswith(".json") and not _LOOSE.fullmatch(name):
            json.loads(text)
        elif name.endswith(".toml") and tomllib is not None:
            tomllib.loads(text)
    except SyntaxError as error:
        return f"it is no Python: line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"it is no {name.rsplit('.', 1)[-1].upper()}: {str(error) or 'it is nested too deeply'}"
    return None
