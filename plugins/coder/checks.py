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
_DOTS = r"(?:\.\.\.|\u2026)"
_LEFT_OUT = r"(?:rest|remaining|remainder|existing|other|same|previous|unchanged)\b"
# In a comment. What tells of `...rest` itself leaves nothing out: "// ...rest must come last".
_ELIDED_COMMENT = re.compile(
    rf"^[ \t]*(?:\{{[ \t]*)?(?:#|//|/\*|<!--|--|;|%)\s*\(?{_DOTS}"
    r"(?!\w+ (?:is|are|must|may|can|should|will|has|have|holds|takes|gets|wins|goes|comes)\b(?!.*\b(?:same|unchanged|before|above)\b))"
    rf"\s*\(?(?:the )?{_LEFT_OUT}",
    re.IGNORECASE | re.MULTILINE,
)
# Outside of one, three dots and one name are code in many languages (`...rest,`, `...existing as T`): only words that follow each other
# are none.
_ELIDED_BARE = re.compile(
    rf"^[ \t]*\(?{_DOTS}[ \t]*\(?(?:the {_LEFT_OUT}|same as (?:before|above)\b"
    rf"|{_LEFT_OUT}(?:[ \t]*{_DOTS}|[ \t]+(?!(?:as|satisfies|instanceof|in|is|and|or|if|else|for)\b)[a-z]))",
    re.IGNORECASE | re.MULTILINE,
)
# Dots on a line of their own, where that is no code; between tags they are a text.
_ONLY_DOTS = re.compile(rf"(?:\A|[^\s>])\s*^[ \t]*{_DOTS}[ \t]*$", re.MULTILINE)
_NO_DOTS = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".go", ".java", ".rs", ".cs", ".kt", ".css", ".scss")
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
        if left_out := _left_out(name, text):
            return f"it leaves something out: `{left_out}`"
    return _syntax(name, text)


def _left_out(name: str, text: str) -> str | None:
    """A line that stands for others, as models write it."""
    found = _ELIDED_COMMENT.search(text)
    # What is no Python its parser says, and it knows what is a text in it.
    if not found and not name.endswith((".py", ".pyi")):
        found = _ELIDED_BARE.search(text)
    if found:
        return f"{found[0].strip()} ..."
    return "..." if name.endswith(_NO_DOTS) and _ONLY_DOTS.search(text) else None


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
