"""A long text in pieces that a model can be given one by one, and that are the whole text again when they are put together."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ringfence import text as texts

# In lists and quotations, code is indented or has a mark before it.
_FENCE = re.compile(r"[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)?(`{3,}(?=[^`]*$)|~{3,})")
_HEADING = re.compile(r"#{1,6}\s")
# The line under a table's head.
_RULE = re.compile(r"[ \t>]*(?=[^|]*\|)\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")


@dataclass
class Piece:
    """A stretch of the text."""

    before: str
    text: str
    """What stands between line breaks and space, which stay as they are."""
    after: str
    line: int
    """Where it begins, counted from one."""
    whole: str = ""
    """What it is, where it is too long for one question and cannot be divided."""

    @property
    def raw(self) -> str:
        """The stretch exactly as it stands in the text."""
        return self.before + self.text + self.after

    def with_text(self, text: str) -> str:
        """The stretch with another text in its place."""
        text = text.strip("\r\n").rstrip()
        return self.before + (text if self.text[:1].isspace() else text.lstrip()) + self.after


@dataclass
class _Block:
    start: int
    end: int
    kind: str
    size: int = 0


def split(text: str, tokens: int) -> list[Piece]:
    """Pieces of at most `tokens`, by estimate. They end between blocks, and within a paragraph only where it alone is too long; code and
    tables that are too long are a piece of their own."""
    if texts.estimate_tokens(text) <= tokens:
        return [_piece(text, 0, len(text), "")]
    blocks = list(_sized(text, tokens))
    total = sum(block.size for block in blocks)
    # Pieces of about one size: the last one would otherwise often be a crumb.
    even = -(-total // max(1, -(-total // tokens)))
    target = min(tokens, even + even // 8)
    cuts: list[tuple[int, str]] = []
    size, over = 0, True
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block.size > tokens and block.kind in ("code", "table"):
            cuts.append((block.start, f"{'a block of code' if block.kind == 'code' else 'a table'} too long for one question"))
            over = True
            continue
        # A heading stays with what follows it.
        more = block.size + (following.size if following and block.kind == "heading" and following.size <= tokens - block.size else 0)
        if over or size + more > target or (block.kind == "heading" and size > target // 2):
            cuts.append((block.start, ""))
            size, over = 0, False
        size += block.size
    ends = [start for start, _ in cuts[1:]] + [len(text)]
    return [_piece(text, start, end, whole) for (start, whole), end in zip(cuts, ends, strict=True)]


def _piece(text: str, start: int, end: int, whole: str) -> Piece:
    source = text[start:end]
    rest = source.lstrip("\r\n")
    core = rest.rstrip()
    before, after = source[: len(source) - len(rest)], rest[len(core) :]
    return Piece(before, core, after, text.count("\n", 0, start + len(before)) + 1, whole)


def _sized(text: str, tokens: int) -> Iterator[_Block]:
    """The blocks of a text. Paragraphs that are too long are several: between lines, sentences or words."""
    for block in _blocks(text):
        source = text[block.start : block.end]
        block.size = texts.estimate_tokens(source)
        if block.size <= tokens or block.kind in ("code", "table"):
            yield block
            continue
        starts = [part.start for part in texts.split(source, tokens)]
        for start, end in zip([0, *starts[1:]], [*starts[1:], len(source)], strict=True):
            yield _Block(block.start + start, block.start + end, block.kind, texts.estimate_tokens(source[start:end]))


def _blocks(text: str) -> list[_Block]:
    """The blocks of a text, each with the blank lines after it. They follow each other without gaps."""
    lines = text.splitlines(keepends=True)
    blocks: list[_Block] = []
    fence, closed, at = "", True, 0
    for number, line in enumerate(lines):
        start, at = at, at + len(line)
        kind, bare = "", line.strip(" \t\r\n>")
        if fence:
            if len(bare) >= len(fence) and not bare.strip(fence[0]):
                fence, closed = "", True
        elif not bare and blocks:
            closed = True
        elif opens := _FENCE.match(line.rstrip()):
            kind, fence, closed = "code", opens[1], False
        elif _HEADING.match(line):
            kind, closed = "heading", True
        elif not closed and blocks[-1].kind == "table" and "|" in line:
            pass
        elif "|" in line and number + 1 < len(lines) and _RULE.fullmatch(lines[number + 1].rstrip("\r\n")):
            kind, closed = "table", False
        elif closed or blocks[-1].kind == "table":
            kind, closed = "prose", False
        if kind:
            blocks.append(_Block(start, at, kind))
        else:
            blocks[-1].end = at
    return blocks
