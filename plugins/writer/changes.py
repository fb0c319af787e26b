"""What an edit changed, found by comparing, for models are poor witnesses of what they did."""

import difflib
import re
from dataclasses import dataclass

# A sentence, with the space behind it.
_PIECE = re.compile(r"\S.*?(?:[.!?\u2026]+[\"')\]\u201d\u2019]*(?=\s|$)|(?=\n)|$)", re.DOTALL)


@dataclass
class Change:
    """One place that is different."""

    before: str
    """The sentences as they were; empty where something was added."""
    after: str
    """The sentences as they are; empty where something was left out."""


def between(before: str, after: str) -> list[Change]:
    """The places where two texts differ, sentence by sentence. Space does not count."""
    old, new = (_PIECE.findall(text) for text in (before, after))
    plain_old, plain_new = ([" ".join(piece.split()) for piece in pieces] for pieces in (old, new))
    found = difflib.SequenceMatcher(None, plain_old, plain_new, autojunk=False).get_opcodes()
    return [
        Change(" ".join(plain_old[a:b]), " ".join(plain_new[c:d])) for kind, a, b, c, d in found if kind != "equal"
    ]
