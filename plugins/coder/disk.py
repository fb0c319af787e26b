"""The folder that the operator granted, with one folder for each project.

What a person has written or changed is never overwritten: every write says what it expects to find.
"""

import hashlib
import os
from pathlib import Path

from ringfence import Failure

ROOT = Path("/work")
MOST_BYTES = 64 * 1024

_GRANT = "let it write into a folder: `ringfence grant coder files=work:./projects:write`"


class Theirs(Exception):
    """What is there is not what was expected, so that nothing was written."""


def digest(data: bytes) -> str:
    """The digest by which a file is known again."""
    return hashlib.sha256(data).hexdigest()


def ready() -> None:
    """A failure where there is no folder to write to."""
    if not ROOT.is_dir():
        raise Failure("there is no folder to write to", hint=_GRANT, kind="refused")


def read(project: str, path: str) -> bytes | None:
    """The bytes of a file; None where there is none. `Theirs` where there is something else, for example a folder."""
    place = _place(project, path)
    try:
        if place.is_dir():
            raise Theirs("there is a folder of this name")
        return place.read_bytes() if place.exists() else None
    except (FileNotFoundError, NotADirectoryError):
        # A file stands where its folder should be: writing finds out.
        return None
    except OSError as error:
        raise _told("read", path, error) from error


def write(project: str, path: str, data: bytes, expected: str | None) -> None:
    """Writes a file as a whole or not at all, where what is there has the digest `expected`, or nothing is there for None."""
    place, beside = _place(project, path), _beside(project, path, digest(data))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise Theirs("there is a file where its folder should be") from error
    except OSError as error:
        raise _told("write", path, error) from error
    try:
        beside.write_bytes(data)
        # As late as can be: whoever saves a file in an editor just now must win.
        found = read(project, path)
        if (None if found is None else digest(found)) != expected:
            raise Theirs("it has been changed meanwhile")
        os.replace(beside, place)
    except OSError as error:
        raise _told("write", path, error) from error
    finally:
        _remove(beside)


def sweep(project: str, path: str, intended: str) -> None:
    """Removes what a call that was cut off in the middle of a write has left."""
    if intended:
        _remove(_beside(project, path, intended))


def _place(project: str, path: str) -> Path:
    place = ROOT / project
    for name in path.split("/"):
        if place.is_symlink():
            raise Theirs("a link is on the way to it")
        place = place / name
    if place.is_symlink():
        raise Theirs("there is a link of this name")
    return place


def _beside(project: str, path: str, digest: str) -> Path:
    # Hidden, which no file of a plan is, and of a name that nobody else gives.
    place = ROOT / project / path
    return place.with_name(f".{place.name}.{digest[:12]}.part")


def _remove(place: Path) -> None:
    try:
        place.unlink(missing_ok=True)
    except OSError:
        # It is a crumb that does no harm.
        pass


def _told(what: str, path: str, error: OSError) -> Failure:
    why = error.strerror or type(error).__name__
    return Failure(f"`{path}` cannot be {'written' if what == 'write' else 'read'}: {why}", hint=_GRANT)
