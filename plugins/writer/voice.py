"""A voice: examples of how someone writes, and what can be measured in them."""

import math
import re
from collections import Counter
from dataclasses import dataclass

from ringfence import text as texts

MOST_EXAMPLES = 20
# One passage has at most this size; longer texts make several. Short ones show a voice as well as long ones, and cost less.
PASSAGE_TOKENS = 400

_BREAK = re.compile(r"^\s*(?:-{3,}|\*{3,})\s*$", re.MULTILINE)
_SENTENCE = re.compile(r"[^.!?\u3002\uff01\uff1f\u2026]+[.!?\u3002\uff01\uff1f\u2026]+|[^.!?\u3002\uff01\uff1f\u2026]+$")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")


@dataclass
class Voice:
    """What is kept of a voice."""

    examples: list[str]
    notes: str = ""
    told: bool = False
    """Whether the notes are the user's own. Then no model replaces them."""


def passages(text: str) -> list[str]:
    """The examples in a text: between lines of dashes, long ones in several pieces."""
    found: list[str] = []
    for example in _BREAK.split(text):
        found += [part.text.strip() for part in texts.split(example, PASSAGE_TOKENS)]
    # A heading alone shows nothing.
    return [each for each in found if len(_WORD.findall(each)) >= 5][:MOST_EXAMPLES]


def nearest(voice: Voice, about: str, tokens: int) -> list[str]:
    """The examples that have most words in common with `about`, as many as fit, least alike first: models follow the last one most."""
    wanted = _weights(about, voice.examples)
    ranked = sorted(voice.examples, key=lambda example: _likeness(wanted, _weights(example, voice.examples)), reverse=True)
    chosen: list[str] = []
    for example in ranked:
        size = texts.estimate_tokens(example)
        if size <= tokens or not chosen:
            chosen.append(example)
            tokens -= size
    return chosen[::-1]


def traits(examples: list[str]) -> list[str]:
    """What can be measured: it holds for any language that has sentences and words."""
    text = "\n\n".join(examples)
    sentences = [each for each in _SENTENCE.findall(text) if _WORD.search(each)]
    words = _WORD.findall(text)
    if not words:
        return []
    lengths = sorted(len(_WORD.findall(each)) for each in sentences)
    long, short = sum(n > 25 for n in lengths), sum(n <= 8 for n in lengths)
    found = [f"sentences of {round(len(words) / len(sentences))} words on average, from {lengths[0]} to {lengths[-1]}"]
    if short * 3 >= len(sentences):
        found.append("many short sentences")
    if long * 4 >= len(sentences):
        found.append("many long sentences")
    marks = [
        ("questions", text.count("?") / len(sentences)), ("exclamation marks", text.count("!") / len(sentences)),
        ("dashes", len(re.findall(r"\u2014| [\u2013-] ", text)) / len(sentences)),
        ("semicolons", text.count(";") / len(sentences)), ("brackets", text.count("(") / len(sentences)),
    ]
    found += [f"{'many' if share > 0.25 else 'some'} {mark}" for mark, share in marks if share > 0.08]
    never = [mark for mark, share in marks[:4] if share == 0]
    if never and len(sentences) >= 10:
        found.append(f"no {', no '.join(never)}")
    if len(re.findall(r"\w['\u2019](?:s|t|re|ve|ll|d|m)\b", text)) * 40 > len(words):
        found.append("contractions")
    if _EMOJI.search(text):
        found.append("emoji")
    if re.search(r"^\s*[-*\u2022] ", text, re.MULTILINE):
        found.append("bullet points")
    paragraphs = [each for each in re.split(r"\n\s*\n", text) if each.strip()]
    found.append(f"paragraphs of {round(len(sentences) / len(paragraphs)) or 1} sentences")
    return found


def _weights(text: str, among: list[str]) -> dict[str, float]:
    """How much each word says about a text: often here and rarely elsewhere says much."""
    counts = Counter(word.lower() for word in _WORD.findall(text))
    lowered = [example.lower() for example in among]
    return {
        word: count * math.log(1 + (1 + len(among)) / (1 + sum(word in example for example in lowered)))
        for word, count in counts.items()
    }


def _likeness(one: dict[str, float], other: dict[str, float]) -> float:
    length = math.sqrt(sum(weight**2 for weight in other.values())) or 1.0
    return sum(weight * other.get(word, 0.0) for word, weight in one.items()) / length
