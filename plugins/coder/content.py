"""The content of a file, out of an answer: exactly what is meant to be in it, or nothing.

Files are asked for between fences of four backticks. Models do not always do as they are told: what can be understood in one way
only is understood, and everything else is refused.
"""

import re
from dataclasses import dataclass

FENCE = "````"

_OPENS = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([^`]*)")
# How models begin and end when they talk instead of writing the file.
_PREAMBLE = re.compile(
    r"\s*(here(?:'s| is| are|\u2019s)|sure\b|certainly\b|of course\b|okay\b|below is|this is the|i(?:'ve|\u2019ve| have| will|'ll)\b"
    r"|the (?:following|updated|corrected|complete) )",
    re.IGNORECASE,
)
_POSTSCRIPT = re.compile(
    r"\s*(let me know|note that|i(?:'ve|\u2019ve| have) |this (?:code|file|version|implementation|should) |hope this|feel free)",
    re.IGNORECASE,
)
_RESUMES = re.compile(
    r"\s*(?:here(?:'s| is|\u2019s)|sure|certainly|okay|of course|(?:i(?:'ll| will) )?continu)[^{}()=<>;]*[:.!]\s*$", re.IGNORECASE
)
# A line that is a sentence and nothing that a programming language would have.
_SENTENCE = re.compile(r"[A-Z][\w'\u2019,-]*(?: [\w'\u2019\",-]+){3,}[.:!?]")
# What some models think aloud before they answer.
_THOUGHT = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_CODE_NAMES = re.compile(r"(?:requirements|constraints)[\w.-]*\.txt|cmakelists\.txt|robots\.txt")
_PROSE = (".md", ".markdown", ".txt", ".rst", ".adoc")
_PROSE_NAMES = ("license", "notice", "authors", "changelog", "copying", "readme")


class Unclear(ValueError):
    """It cannot be told what of the answer is the file."""


@dataclass
class _Block:
    first: int
    """The line of the opening fence."""
    last: int | None
    """The line of the closing fence; None where it never comes."""
    info: str


def extract(answer: str, path: str) -> str:
    """The file in an answer, ending with one line break where it is not empty."""
    answer = answer.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    if thought := _THOUGHT.match(answer):
        answer = answer[thought.end() :]
    lines = answer.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    while lines and not lines[0].strip():
        lines.pop(0)
    if not lines:
        raise Unclear("the answer is empty")
    blocks = _blocks(lines)
    prose = is_prose(path)
    if not blocks:
        return _ended(_plain(lines, prose))
    first = blocks[0]
    outer = first.first == 0 or _is_file(first.info, path)
    if prose and not outer:
        # A text of which fences are a part.
        return _ended(_plain(lines, prose))
    if prose and len(first_fence(lines[first.first])) < len(FENCE):
        # Three backticks around a text that has blocks of its own: only the last fence can be its end.
        return _ended(_nested(lines, first, blocks))
    if len(blocks) > 1:
        raise Unclear(f"the answer has {len(blocks)} blocks, and which of them is the file cannot be told")
    if first.last is None:
        raise Unclear("the block with the file has no end")
    return _ended(lines[first.first + 1 : first.last])


def is_prose(path: str) -> bool:
    """Whether the file is a text for people."""
    name = path.rsplit("/", 1)[-1].lower()
    return (name.endswith(_PROSE) or name in _PROSE_NAMES) and not _CODE_NAMES.fullmatch(name)


def first_fence(line: str) -> str:
    """The fence that a line opens; empty where it opens none."""
    found = _OPENS.fullmatch(line)
    return found[1] if found else ""


def joined(text: str, more: str) -> str:
    """An answer that was cut, and what the model went on with. `text` ends with a whole line."""
    lines = more.replace("\r\n", "\n").split("\n")
    if _RESUMES.match(lines[0]):
        raise Unclear("the answer was cut, and went on with talk about the file")
    fence, again = _open_fence(text), _OPENS.fullmatch(lines[0])
    if fence and again and again[2].strip() and len(again[1]) >= len(fence):
        # It opened a new block, though the first is open still.
        lines.pop(0)
    before = text.split("\n")
    if before and before[-1] == "":
        before.pop()
    # What it says once more is left out; a single short line, for example a brace, may well come twice in a file.
    for count in range(min(len(before), len(lines), 40), 0, -1):
        again = before[-count:]
        if again == lines[:count] and (sum(map(bool, map(str.strip, again))) > 1 or len("".join(again).strip()) > 24):
            lines = lines[count:]
            break
    return text + "\n".join(lines)


def is_closed(answer: str) -> bool:
    """Whether the file was complete before the answer was cut: only what was said about it afterwards is missing."""
    lines = answer.lstrip().split("\n")
    blocks = _blocks(lines)
    # The last line may be a piece of a longer one.
    return bool(blocks) and len(first_fence(lines[blocks[0].first])) >= len(FENCE) and blocks[0].last not in (None, len(lines) - 1)


def whole_lines(text: str) -> str:
    """The text without its last line, where that is not complete."""
    return text[: text.rfind("\n") + 1]


def _open_fence(text: str) -> str:
    blocks = _blocks(text.split("\n"))
    return first_fence(text.split("\n")[blocks[-1].first]) if blocks and blocks[-1].last is None else ""


def _blocks(lines: list[str]) -> list[_Block]:
    found: list[_Block] = []
    fence = ""
    for at, line in enumerate(lines):
        if fence:
            bare = line.strip()
            if len(bare) >= len(fence) and not bare.strip(fence[0]) and not line.startswith("    "):
                found[-1].last, fence = at, ""
        elif opens := _OPENS.fullmatch(line):
            fence = opens[1]
            found.append(_Block(at, None, opens[2].strip()))
    return found


def _is_file(info: str, path: str) -> bool:
    return bool(info) and (info.split()[0].lower() in ("markdown", "md", "text", "txt", "rst") or path in info)


def _nested(lines: list[str], first: _Block, blocks: list[_Block]) -> list[str]:
    end = first.last
    if len(blocks) > 1 or end is None:
        fence, last = first_fence(lines[first.first]), lines[-1].strip()
        if len(last) < len(fence) or last.strip(fence[0]):
            raise Unclear("the answer has several blocks, and where the file ends cannot be told")
        end = len(lines) - 1
    inner = lines[first.first + 1 : end]
    if any(block.last is None for block in _blocks(inner)):
        raise Unclear("a block in the file has no end")
    return inner


def _plain(lines: list[str], prose: bool) -> list[str]:
    first, last = lines[0], lines[-1]
    if _PREAMBLE.match(first):
        raise Unclear("the answer begins with talk about the file")
    # A text may well end with a note.
    if _POSTSCRIPT.match(last) and not (prose and last.lstrip().lower().startswith(("note that", "this "))):
        raise Unclear("the answer ends with talk about the file")
    if not prose and (_SENTENCE.fullmatch(first.strip()) or _SENTENCE.fullmatch(last.strip())):
        raise Unclear("the answer has sentences around the file, or is no code at all")
    return lines


def _ended(lines: list[str]) -> str:
    text = "\n".join(lines).rstrip("\n")
    return f"{text}\n" if text.strip() else ""
