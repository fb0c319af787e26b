"""The voices in `kv`, each under a key of its own."""

import re
import unicodedata

from ringfence import Failure, kv
from voice import MOST_EXAMPLES, Voice

_PREFIX = "voice/"
# What to call no voice at all.
NOBODY = "none"


def key(name: str) -> str:
    """The name in the form under which it is kept: "Ada's mails" and "ada-s-mails" are one voice."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    slug = re.sub(r"[\W_]+", "-", plain).strip("-")
    if not slug or slug == NOBODY or len(slug.encode()) > 64:
        raise Failure.invalid_input(f"`{name}` cannot name a voice", hint="use a short name of letters and digits")
    return slug


def get(name: str) -> Voice:
    """The voice of that name; a failure where there is none."""
    found = kv.get(_PREFIX + name, into=Voice)
    if found is None:
        known = ", ".join(each for each, _ in every())
        hint = f"name one of: {known}; or learn it with `learn_voice`" if known else "learn it with `learn_voice` first"
        raise Failure.invalid_input(f"there is no voice `{name}`", hint=hint)
    return found


def every() -> list[tuple[str, Voice]]:
    """All voices, by name."""
    found = [(full.removeprefix(_PREFIX), kv.get(full, into=Voice)) for full in kv.keys(_PREFIX)]
    # One may have been forgotten by another call since its key was listed.
    return [(name, voice) for name, voice in found if voice is not None]


def add(name: str, examples: list[str], notes: str | None, replace: bool) -> Voice:
    """Adds examples to a voice. The newest are kept where there are too many."""

    def change(old: Voice | None) -> Voice:
        before = Voice([]) if old is None or replace else old
        # The same text given twice is one example.
        kept = [example for example in before.examples if example not in examples]
        shown = [*kept, *examples][-MOST_EXAMPLES:]
        if notes is None:
            return Voice(shown, before.notes, before.told)
        return Voice(shown, notes.strip(), bool(notes.strip()))

    return kv.update(_PREFIX + name, change, into=Voice)


def note(name: str, notes: str) -> Voice:
    """Keeps what was noticed about a voice, where nobody has said more."""

    def change(old: Voice | None) -> Voice:
        return old if old and old.told else Voice(old.examples if old else [], notes)

    return kv.update(_PREFIX + name, change, into=Voice)


def forget(name: str) -> bool:
    """Forgets a voice, and says whether there was one."""
    was_there = kv.entry(_PREFIX + name) is not None
    kv.delete(_PREFIX + name)
    return was_there
