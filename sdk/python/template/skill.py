"""{{description}}"""

from dataclasses import dataclass

from ringfence import Failure, log, model, text as texts, tool


@dataclass
class ActionItem:
    """Something that someone has to do."""

    task: str
    """What is to be done."""
    owner: str | None = None
    """Who does it, where the text says so."""
    due: str | None = None
    """Until when, as the text says it."""


@dataclass
class ActionItems:
    """The action items of a text."""

    items: list[ActionItem]


@tool(read_only=True)
def action_items(text: str, owner: str | None = None) -> ActionItems:
    """Finds what has to be done in notes, mails or minutes.

    Args:
        text: The text to read.
        owner: Only what this person has to do.
    """
    if not text.strip():
        raise Failure.invalid_input("`text` is empty", hint="give the text to read")
    whose = f" of {owner}" if owner else ""
    found = model.ask(
        f"List the action items{whose} in this document.\n\n{texts.document(text)}",
        system=texts.DOCUMENT_IS_DATA,
        into=ActionItems,
    )
    log.info("found action items", count=len(found.items))
    return found


@dataclass
class Counts:
    """How long a text is."""

    words: int
    lines: int
    minutes: int
    """Minutes that a person needs to read it, at 230 words a minute."""


@tool(read_only=True, idempotent=True)
def count(text: str) -> Counts:
    """Counts the words and lines of a text, and says how long it takes to read. Needs no model.

    Args:
        text: The text to count.
    """
    words = len(text.split())
    return Counts(words, lines=len(text.splitlines()), minutes=-(-words // 230))
