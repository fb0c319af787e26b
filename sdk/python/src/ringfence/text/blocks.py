"""The structure of plain text and Markdown, as far as splitting needs it: headings, fenced code, paragraphs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_OPENS = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_HEADING = re.compile(r"(#{1,6})(?=\s)(.*)")


@dataclass
class Block:
    """A stretch of the text with the blank lines after it. Blocks follow each other without gaps."""

    start: int
    end: int
    kind: Literal["heading", "code", "paragraph"]
    level: int = 0
    title: str = ""
    opening: str = ""
    """The line that opened code."""
    closing: str = ""
    """What ends it."""


def read(text: str) -> list[Block]:
    """Splits a text into its blocks."""
    blocks: list[Block] = []
    # `closed`: whether the last block takes no more text. `fence`: what closes the code that we are in.
    closed, fence, at = True, "", 0
    for line in text.splitlines(keepends=True):
        start, at = at, at + len(line)
        if fence:
            blocks[-1].end = at
            bare = line.strip()
            if bare.startswith(fence) and not bare.strip(fence[0]):
                fence, closed = "", True
            continue
        opens, heading = _OPENS.match(line.rstrip()), _HEADING.match(line)
        if not line.strip():
            closed = True
            if blocks:
                blocks[-1].end = at
            else:
                blocks.append(Block(start, at, "paragraph"))
        elif opens:
            fence, closed = opens[1], False
            blocks.append(Block(start, at, "code", opening=line.rstrip(), closing=fence))
        elif heading:
            closed = True
            title = heading[2].strip().rstrip("#").rstrip()
            blocks.append(Block(start, at, "heading", level=len(heading[1]), title=title))
        elif closed:
            closed = False
            blocks.append(Block(start, at, "paragraph"))
        else:
            blocks[-1].end = at
    return blocks
