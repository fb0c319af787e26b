"""The projects in `kv`, each under a key of its own."""

import re
import unicodedata
from dataclasses import dataclass

import paths
from project import Project
from ringfence import Failure, kv

_PREFIX = "project/"
_LONGEST = 40


@dataclass
class Kept:
    """A project with the version that was read, so that two calls never work on one project at once."""

    project: Project
    version: int | None = None

    def save(self) -> None:
        """Keeps it as it is now."""
        try:
            self.version = kv.set(
                _PREFIX + self.project.name, self.project, if_absent=self.version is None, if_version=self.version
            )
        except kv.Conflict as error:
            raise Failure(
                f"another call works on `{self.project.name}`", hint="wait until it is done, then `resume`"
            ) from error


def slug(name: str) -> str:
    """The name in the form under which a project is kept, also the name of its folder; empty where nothing is left of it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    made = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST].strip("-")
    return "" if made and paths.fault(made) else made


def key(name: str) -> str:
    """The same, and a failure where nothing is left."""
    made = slug(name)
    if not made:
        raise Failure.invalid_input(f"`{name}` cannot name a project", hint="use a short name of letters and digits")
    return made


def find(name: str) -> Kept | None:
    """The project of that name."""
    entry = kv.entry(_PREFIX + name)
    return None if entry is None else Kept(_read(name, entry), entry.version)


def get(name: str) -> Kept:
    """The same, and a failure where there is none."""
    made = key(name)
    found = find(made)
    if found is None:
        known = ", ".join(names())
        hint = f"name one of: {known}; or begin it with `plan`" if known else "begin one with `plan`"
        raise Failure.invalid_input(f"there is no project `{made}`", hint=hint)
    return found


def names() -> list[str]:
    """The names of all projects."""
    return [each.removeprefix(_PREFIX) for each in kv.keys(_PREFIX)]


def free(name: str) -> str:
    """This name, or one like it that no project has."""
    taken, number, base = set(names()), 2, slug(name) or "project"
    made = base
    while made in taken:
        made, number = f"{base}-{number}", number + 1
    return made


def forget(name: str) -> bool:
    """Forgets a project, and says whether there was one."""
    was_there = kv.entry(_PREFIX + name) is not None
    kv.delete(_PREFIX + name)
    return was_there


def _read(name: str, entry: kv.Entry) -> Project:
    try:
        return entry.json(Project)
    except ValueError as error:
        raise Failure(
            f"what is kept about `{name}` cannot be read: {error}", hint="`forget` it; its files stay, and `plan` begins anew"
        ) from error
