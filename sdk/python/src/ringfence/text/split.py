"""Splitting at the largest structure that fits: sections, then paragraphs, lines, sentences, words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ringfence.text import blocks
from ringfence.text.tokens import estimate_tokens


@dataclass(frozen=True)
class Part:
    """A stretch of a text."""

    text: str
    """What stands at `start` to `end`, without blank ends; a piece of a long code block has its fences again."""
    start: int
    end: int
    section: list[str] = field(default_factory=list)
    """The headings above its beginning, outermost first."""


@dataclass
class _Atom:
    start: int
    end: int
    size: int
    is_heading: bool
    section: list[str]


def split(text: str, tokens: int) -> list[Part]:
    """Splits a text or Markdown into parts of at most `tokens` (by estimate) that follow each other.

    A part ends at a heading where one is near, otherwise between paragraphs; a paragraph is divided only where it alone is too
    large, between lines, sentences or words. Code between fences is divided only where it alone is too large, between lines, and
    each piece is fenced. A blank text has no parts.
    """
    total, tokens = estimate_tokens(text), max(1, tokens)
    if total <= tokens:
        return [Part(_trimmed(text), 0, len(text))] if text.strip() else []
    # Parts of about one size: the last one would otherwise often be a crumb.
    even = -(-total // -(-total // tokens))
    packer = _Packer(text, tokens, min(max(1, even + even // 8), tokens))
    for block in blocks.read(text):
        packer.block(block)
    packer.flush()
    return packer.parts


class _Packer:
    def __init__(self, text: str, limit: int, target: int) -> None:
        self.text, self.limit, self.target = text, limit, target
        self.parts: list[Part] = []
        self.open: list[_Atom] = []
        # The headings above what comes next.
        self.section: list[tuple[int, str]] = []

    @property
    def size(self) -> int:
        return sum(atom.size for atom in self.open)

    def block(self, block: blocks.Block) -> None:
        source = self.text[block.start : block.end]
        if estimate_tokens(source) <= self.limit:
            if block.kind == "heading":
                self.heading(block.level)
                self.add(block.start, block.end, True)
                # Pushed after the heading was added: a part that begins with it needs no mention of it.
                self.section.append((block.level, block.title))
            else:
                self.add(block.start, block.end, False)
        elif block.kind == "code":
            self.long_code(block, source)
        else:
            for start, end in _divide(source, self.limit):
                self.add(block.start + start, block.start + end, False)

    def heading(self, level: int) -> None:
        """A heading ends the sections at and below its level, and a part that is large enough."""
        self.section = [above for above in self.section if above[0] < level]
        if self.size > self.target // 2:
            self.flush()

    def add(self, start: int, end: int, is_heading: bool) -> None:
        size = estimate_tokens(self.text[start:end])
        if self.open and self.size + size > self.target:
            self.flush_before_headings()
        self.open.append(_Atom(start, end, size, is_heading, [title for _, title in self.section]))

    def flush_before_headings(self) -> None:
        """Ends the part, but lets headings at its end begin the next one."""
        body = len(self.open)
        while body and self.open[body - 1].is_heading:
            body -= 1
        if body:
            self.open, headings = self.open[:body], self.open[body:]
            self.flush()
            self.open = headings

    def flush(self) -> None:
        atoms, self.open = self.open, []
        if atoms:
            start, end = atoms[0].start, atoms[-1].end
            self.push(_trimmed(self.text[start:end]), start, end, atoms[0].section)

    def push(self, text: str, start: int, end: int, section: list[str]) -> None:
        if text.strip():
            self.parts.append(Part(text, start, end, section))

    def long_code(self, block: blocks.Block, source: str) -> None:
        """Pieces of whole lines, each between fences of its own."""
        self.flush()
        section = [title for _, title in self.section]
        fences = estimate_tokens(block.opening) + estimate_tokens(block.closing) + 2
        for start, end in _divide(source, max(1, self.limit - fences)):
            lines = source[start:end].strip("\r\n").removeprefix(block.opening)
            lines = lines.rstrip().removesuffix(block.closing).strip("\r\n")
            if lines.strip():
                text = f"{block.opening}\n{lines}\n{block.closing}"
                self.push(text, block.start + start, block.start + end, section)


def _trimmed(text: str) -> str:
    # The indentation of the first line stays.
    return text.strip("\r\n").rstrip()


# Characters that belong to the one before them are not divided from it: joiners, marks of variation, combining accents.
_CHARACTER = re.compile(r".(?:[\u0300-\u036f\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff]|\u200d.)*", re.DOTALL)
_SENTENCE = re.compile(r".+?(?:[.!?\u2026][\"')\]\u201d\u2019]*\s+|[\u3002\uff01\uff1f]|$)", re.DOTALL)
_WORD = re.compile(r"\S*\s+|\S+", re.DOTALL)

_LEVELS: list[Callable[[str], list[str]]] = [
    lambda text: text.splitlines(keepends=True),
    _SENTENCE.findall,
    _WORD.findall,
    _CHARACTER.findall,
]


def _divide(text: str, limit: int) -> list[tuple[int, int]]:
    """Divides a text that is too large: between lines where they fit, otherwise between sentences, words, and at last characters."""
    joined: list[tuple[int, int]] = []
    size = 0
    for start, end in _refine(text, 0, limit, 0):
        # Each piece is rounded up by itself, so that the sum is never below the whole.
        more = estimate_tokens(text[start:end])
        if joined and size + more <= limit:
            joined[-1] = (joined[-1][0], end)
            size += more
        else:
            joined.append((start, end))
            size = more
    return joined


def _refine(text: str, start: int, limit: int, level: int) -> Iterator[tuple[int, int]]:
    if level == len(_LEVELS):
        yield start, start + len(text)
        return
    for piece in _LEVELS[level](text):
        if estimate_tokens(piece) <= limit:
            yield start, start + len(piece)
        else:
            yield from _refine(piece, start, limit, level + 1)
        start += len(piece)
