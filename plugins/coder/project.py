"""A project: what was wished, what is planned, and how far it is."""

from dataclasses import dataclass, field

MOST_FILES = 20


@dataclass
class Answer:
    """Something that the prompt left open."""

    question: str
    answer: str
    assumed: bool
    """Nobody was there to ask, or nobody knew better."""


@dataclass
class File:
    """One file of a project. Digests are of its bytes, and empty where there is nothing yet."""

    path: str
    purpose: str
    needs: list[str] = field(default_factory=list)
    todo: str = ""
    """What is still to be done: `write`, or what is to be changed."""
    optional: bool = False
    """What is to be done came from a review: where a person has changed the file it is dropped."""
    written: str = ""
    """What was last written here."""
    intended: str = ""
    """What was about to be written when the state was last kept. A call may have been cut off before or after it did."""
    reviewed: str = ""
    """What was read by a review and found good."""
    proposed: str = ""
    """What was last written beside it, because a person has changed it."""


@dataclass
class Project:
    """A project as it is kept."""

    name: str
    prompt: str
    language: str
    summary: str
    run: str
    """The commands that run it, and its tests."""
    answers: list[Answer]
    files: list[File]
    rounds: int
    """How many reviews may still be made."""
    changes: list[str] = field(default_factory=list)
    """What was wished after it was made, oldest first."""
    notes: list[str] = field(default_factory=list)
    """What the last review found and did not correct."""

    def file(self, path: str) -> File | None:
        """The file of that path."""
        return next((each for each in self.files if each.path == path), None)

    @property
    def unfinished(self) -> list[File]:
        """What is still to be written or changed, in order."""
        return [each for each in self.files if each.todo]


def ordered(files: list[File]) -> list[File]:
    """Each file behind those that it needs, otherwise as planned. Circles are broken where they are entered."""
    by_path = {each.path: each for each in files}
    done: dict[str, File] = {}
    # An own stack: a plan may be one long chain.
    for first in files:
        open_, entered = [first], {first.path}
        while open_:
            each = open_[-1]
            need = next((path for path in each.needs if path in by_path and path not in done and path not in entered), None)
            if need is None:
                done.setdefault(open_.pop().path, each)
            else:
                entered.add(need)
                open_.append(by_path[need])
    return list(done.values())
