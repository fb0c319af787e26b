"""The paths of a project's files. A model gives them, so that each is checked before anything is done with it."""

import re
from collections.abc import Iterable

MOST_DEPTH = 8
MOST_LENGTH = 120

# Hidden files that projects ordinarily have. No folder: `.git` and `.github` run things.
_ORDINARY = {
    ".gitignore", ".gitattributes", ".editorconfig", ".dockerignore", ".env.example", ".eslintrc.json", ".prettierrc",
    ".prettierrc.json", ".python-version", ".nvmrc", ".clang-format",
}
# Brackets and parentheses: routes of web frameworks are called so.
_NAME = re.compile(r"[A-Za-z0-9._@+()\[\]-]+")
# Names that are devices on some systems, whatever stands behind the dot.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def fault(path: str) -> str | None:
    """Why this is no path for a file of a project; None where it is one."""
    if not path:
        return "it is empty"
    if len(path) > MOST_LENGTH:
        return f"it is longer than {MOST_LENGTH} characters"
    if "\\" in path:
        return "it has a backslash"
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:", path):
        return "it is not relative"
    names = path.split("/")
    if len(names) > MOST_DEPTH:
        return f"it is more than {MOST_DEPTH} folders deep"
    for at, name in enumerate(names):
        if name in ("", ".", ".."):
            return f"`{name}` is no name in it"
        if not _NAME.fullmatch(name):
            return "it has characters other than A-Z, a-z, 0-9 and ._-@+()[]"
        if name.startswith(".") and not (at == len(names) - 1 and name in _ORDINARY):
            return f"`{name}` is hidden"
        if name.startswith("-"):
            return f"`{name}` looks like an option"
        if name.endswith("."):
            return f"`{name}` ends with a dot"
        if name.lower().endswith(".proposed"):
            return "`.proposed` is what this skill writes beside files that you have changed"
        if _DEVICE.fullmatch(name):
            return f"`{name}` is a device on some systems"
    return None


def faults(paths: Iterable[str]) -> list[str]:
    """What is wrong with these paths by themselves and together."""
    found: list[str] = []
    # Some systems do not tell `README.md` from `readme.md`.
    seen: dict[str, str] = {}
    for path in paths:
        wrong = fault(path)
        if wrong:
            found.append(f"the path {_shown(path)} cannot be used: {wrong}")
        elif path.lower() in seen:
            found.append(f"the path {_shown(path)} is there twice")
        seen[path.lower()] = path
    for path in seen.values():
        names = path.lower().split("/")
        for depth in range(1, len(names)):
            above = "/".join(names[:depth])
            if above in seen:
                found.append(f"{_shown(seen[above])} cannot be a file and the folder of {_shown(path)}")
    return found


def plain(path: str) -> str:
    """The path as a person would write it: without `./` and blanks around it, which mean nothing."""
    path = path.strip()
    while path.startswith("./"):
        path = path[2:]
    return path


def _shown(path: str) -> str:
    return repr(path if len(path) <= 80 else f"{path[:77]}...")
