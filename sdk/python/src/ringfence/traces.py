"""Exceptions in words: what happened, and where in the author's files."""

from __future__ import annotations

import linecache
import os
import sys
import traceback

# Longer ones are cut in the middle: the log takes 1,000 lines of an invocation.
_MOST_LINES = 60


def message(error: BaseException, root: str) -> str:
    """`ValueError: boom (skill.py:42 in deep)`: the place is the innermost one in the author's folder `root`."""
    said = _said(error)
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    place = _place(error, root)
    return f"{text} ({place})" if place else text


def hint(error: BaseException) -> str | None:
    """What to do about errors that come from how Python runs in a component."""
    if isinstance(error, ModuleNotFoundError) and sys.platform == "wasi":
        name = error.name or "the module"
        return (
            f"write `import {name}` at the top of the file: modules are loaded when the skill is built, and cannot be when it "
            "runs. If it is a package from elsewhere, list it in requirements.txt"
        )
    return None


def lines(error: BaseException, root: str) -> list[str]:
    """The whole traceback, with paths as the author knows them."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    every = text.replace(os.path.join(root, ""), "").rstrip("\n").split("\n")
    if len(every) > _MOST_LINES:
        half = _MOST_LINES // 2
        every = [*every[:half], f"  ... {len(every) - 2 * half} lines more ...", *every[-half:]]
    return every


def keep_sources(root: str) -> None:
    """Remembers the author's sources while they can be read, so that tracebacks show lines of them when the skill runs."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if not path or not path.endswith(".py") or not _is_within(path, root):
            continue
        source = linecache.getlines(path)
        # No time of change: otherwise the lines are dropped as soon as the file is not there.
        linecache.cache[path] = (sum(map(len, source)), None, source, path)


def _said(error: BaseException) -> str:
    if isinstance(error, KeyError) and len(error.args) == 1:
        return repr(error.args[0])
    try:
        return str(error)
    except Exception:
        return ""


def _place(error: BaseException, root: str) -> str | None:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_relative(error.filename, root)}:{error.lineno}"
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if not frames:
        return None
    own = [frame for frame in frames if _is_within(frame[0].co_filename, root)]
    code, line = (own or frames)[-1]
    where = "" if code.co_name == "<module>" else f" in {code.co_name}"
    return f"{_relative(code.co_filename, root)}:{line}{where}"


def _is_within(path: str, root: str) -> bool:
    folder = os.path.join(root, "")
    if not path.startswith(folder):
        return False
    # An SDK or an environment that is unpacked in the author's folder is not the author's.
    rest = path[len(folder) :]
    return not rest.startswith(".") and "site-packages" not in rest


def _relative(path: str, root: str) -> str:
    return os.path.relpath(path, root) if _is_within(path, root) else path
