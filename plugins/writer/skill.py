"""Drafts, rewrites, continues and edits text in a voice that it has learned from a handful of examples."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

import changes
import pieces
import prompts
import store
import voice as voices_of
from ringfence import Failure, Outcome, Refusal, log, model, progress, refusal, text as texts, tool
from voice import Voice

Words = Annotated[int, {"minimum": 20, "maximum": 5000}]


@dataclass
class Learned:
    """A voice, as the list of voices shows it."""

    name: str
    examples: int
    """How many passages are kept."""
    words: int
    """How many words they have together."""
    traits: list[str]
    """What was measured in them."""
    notes: str
    """What the model noticed, or what you said about it."""


@dataclass
class Voices:
    """The voices that are known."""

    voices: list[Learned]


@dataclass
class Section:
    """One section of an outline."""

    heading: str
    points: list[str]
    """What it says, one thought each."""


@dataclass
class Outline:
    """The plan of a text."""

    title: str
    sections: list[Section]


@dataclass
class Written:
    """A text."""

    text: str
    voice: str | None
    """In whose voice; none where it is nobody's."""
    notes: list[str] = field(default_factory=list)
    """What stayed as it was, and why, and what is not complete. Empty where all was done."""


@dataclass
class Edited:
    """An edited text, and what is different."""

    text: str
    changes: list[changes.Change]
    notes: list[str] = field(default_factory=list)
    """What stayed as it was, and why. Empty where all was done."""


@tool(title="Learn a voice", idempotent=True)
def learn_voice(name: str, text: str, notes: str | None = None, replace: bool = False) -> Outcome:
    """Learns how someone writes from a few of their texts, and keeps it for later. More texts can be added to a voice at any time.

    Args:
        name: What to call the voice, for example "ada" or "newsletter".
        text: One to twenty examples in that voice, lines of `---` between them. A few paragraphs each are enough.
        notes: What you want kept in mind about the voice, for example "never uses exclamation marks". It stays until you say something
            else; an empty text leaves it to the model again.
        replace: Forget what was learned under this name before.
    """
    key = store.key(name)
    passages = voices_of.passages(text)
    if not passages:
        raise Failure.invalid_input("`text` has no example in it", hint="give one to twenty texts, lines of `---` between them")
    learned = store.add(key, passages, notes, replace)
    if not learned.told:
        noticed = _notice(learned)
        if noticed:
            learned = store.note(key, noticed)
    shown = _shown(key, learned)
    said = f"Learned `{key}` from {_count(shown.examples, 'example')} with {_count(shown.words, 'word')}."
    return Outcome("\n".join([said, *(f"- {trait}" for trait in shown.traits), shown.notes]).strip(), structured=asdict(shown))


@tool(title="List the voices", read_only=True)
def voices() -> Outcome:
    """Lists the voices that were learned, with what is known about each."""
    known = [_shown(key, found) for key, found in store.every()]
    lines = [f"{each.name}: {_count(each.examples, 'example')}, {_count(each.words, 'word')}" for each in known]
    said = "\n".join(lines) or "No voice has been learned yet: `learn_voice` does."
    return Outcome(said, structured=asdict(Voices(known)))


@tool(title="Forget a voice", destructive=True, idempotent=True)
def forget_voice(name: str) -> str:
    """Forgets a voice and all of its examples.

    Args:
        name: The name under which it was learned.
    """
    key = store.key(name)
    return f"Forgot `{key}`." if store.forget(key) else f"There was no voice `{key}`."


@tool(title="Plan a text", read_only=True, output=Outline)
def outline(brief: str, material: str | None = None, sections: Annotated[int, {"minimum": 1, "maximum": 12}] = 4) -> Outcome:
    """Plans a text: a title, and sections with what each of them says. `draft` takes the plan.

    Args:
        brief: What the text is about, for whom, and what it shall achieve.
        material: Notes or sources that it is made from.
        sections: About how many sections.
    """
    plan = _plan(_given("brief", brief), material, sections)
    return Outcome(_plan_text(plan), structured=asdict(plan))


@tool(title="Draft a text", read_only=True, output=Written)
def draft(
    brief: str,
    voice: str | None = None,
    material: str | None = None,
    outline: str | None = None,
    words: Words = 300,
    careful: bool = False,
) -> Outcome:
    """Writes a first draft in a learned voice, streamed. Facts come from the brief and the material alone.

    Args:
        brief: What the text is about, for whom, and what it shall achieve.
        voice: A learned voice, or `none`. Without it the only one there is; where there are several, one has to be named.
        material: Notes or sources to write from.
        outline: A plan to follow, as `outline` gives it or as you write it.
        words: About how many words.
        careful: Plan first and edit afterwards. Better and slower: three calls of the model instead of one.
    """
    wish = prompts.Wish(_given("brief", brief), material, outline, words)
    name, speaker = _speaker(voice)
    if careful and not wish.outline:
        progress.say("planning")
        try:
            wish.outline = _plan_text(_plan(brief, material, max(1, words // 150)))
        except (Failure, refusal.Invalid) as error:
            # A model that makes no plan may still write.
            log.warn("there is no plan", why=error.message)
    asked = prompts.draft(wish, _manner(speaker, brief))
    if not careful:
        return _outcome(*_streamed(asked), name)
    progress.say("drafting")
    answer = model.ask(asked)
    first, notes = _complete(answer), _unfinished(answer)
    progress.say("editing")
    text, more = _streamed(prompts.edit(first, "polish", None, _manner(speaker, brief)))
    return _outcome(text, notes or more, name)


@tool(title="Rewrite in a voice", read_only=True, output=Written)
def rewrite(text: str, voice: str | None = None, instruction: str | None = None) -> Outcome:
    """Says the same in a learned voice. Meaning, facts, names and numbers stay. Texts of any length, streamed.

    Args:
        text: The text to rewrite: plain text or Markdown.
        voice: A learned voice, or `none` with an instruction. Without it the only one there is; where there are several, one has to be
            named.
        instruction: What else to mind, for example "for children" or "half as long".
    """
    _given("text", text)
    name, speaker = _speaker(voice)
    if speaker is None and not instruction:
        raise Failure.invalid_input("there is no voice to rewrite in", hint="learn one with `learn_voice`, or give an instruction")

    def ask(part: str, at: int, of: int) -> model.Request:
        return prompts.rewrite(part, instruction, _manner(speaker, part), at, of)

    found, notes, _ = _one_by_one(text, ask)
    return _outcome(found, notes, name)


@tool(title="Continue a text", read_only=True, output=Written)
def continue_text(text: str, voice: str | None = None, direction: str | None = None, words: Words = 150) -> Outcome:
    """Goes on where a text ends, in its voice or in a learned one. Gives the continuation alone, streamed.

    Args:
        text: The text so far.
        voice: A learned voice. Without it the text's own.
        direction: What comes next.
        words: About how many words.
    """
    _given("text", text)
    name, speaker = _speaker(voice) if voice else (None, Voice(voices_of.passages(text)))
    # What stands far before the end matters little for the next sentence, and would cost as much.
    tail = texts.split(text, _room())[-1].text
    return _outcome(*_streamed(prompts.go_on(tail, direction, words, _manner(speaker, tail))), name)


@tool(title="Edit a text", read_only=True, output=Edited)
def edit(
    text: str,
    goal: Literal["correct", "clarify", "shorten", "polish"] = "polish",
    voice: str | None = None,
    instruction: str | None = None,
) -> Outcome:
    """Improves a text with as few changes as it takes, and lists them. Texts of any length, streamed.

    Args:
        text: The text to edit: plain text or Markdown.
        goal: correct (spelling and grammar alone), clarify, shorten, or polish (all of it, lightly).
        voice: A learned voice to keep to. Without it the text's own.
        instruction: What else to mind.
    """
    _given("text", text)
    speaker = _speaker(voice)[1] if voice else None

    def ask(part: str, at: int, of: int) -> model.Request:
        return prompts.edit(part, goal, instruction, _manner(speaker, part), at, of)

    edited, notes, pairs = _one_by_one(text, ask)
    # Part by part: what was not asked about cannot differ, and is not compared.
    found = [change for before, after in pairs for change in changes.between(before, after)]
    return Outcome(edited, structured=asdict(Edited(edited, found, notes)))


def _given(name: str, text: str) -> str:
    if not text.strip():
        raise Failure.invalid_input(f"`{name}` is empty", hint="give the text, or a file with it")
    return text


def _speaker(name: str | None) -> tuple[str | None, Voice | None]:
    if name and name.strip().casefold() == store.NOBODY:
        return None, None
    if name:
        key = store.key(name)
        return key, store.get(key)
    try:
        known = store.every()
    except refusal.Denied as error:
        # Nobody let it keep voices: it writes in nobody's.
        log.info("no voice is known", why=error.message)
        return None, None
    if len(known) > 1:
        names = ", ".join(f"`{each}`" for each, _ in known)
        raise Failure.invalid_input("several voices are known", hint=f"choose one by `voice`: {names}, or `{store.NOBODY}` for nobody's")
    return known[0] if known else (None, None)


def _manner(speaker: Voice | None, about: str) -> str:
    return "" if speaker is None else prompts.manner(speaker, voices_of.nearest(speaker, about, _room() // 2))


def _plan(brief: str, material: str | None, sections: int) -> Outline:
    plan = model.ask(prompts.plan(brief, material, sections), into=Outline)
    if not plan.sections:
        raise Failure.unavailable("the model gave an outline without sections", hint="try another model")
    return plan


def _plan_text(plan: Outline) -> str:
    sections = [f"## {each.heading}\n" + "\n".join(f"- {point}" for point in each.points) for each in plan.sections]
    return "\n\n".join([f"# {plan.title}", *sections])


def _notice(learned: Voice) -> str:
    """What the model notices. A voice is of use without it, so that no refusal ends the learning."""
    shown = voices_of.nearest(learned, "", _room())
    try:
        said = _complete(model.ask(prompts.notice(shown))).strip()
        # A model that can only quote says nothing about the examples.
        lines = [line.strip(" -*\u2022") for line in said.splitlines()]
        return "" if all(any(line in example for example in shown) for line in lines) else said
    except (Refusal, Failure) as error:
        log.warn("the model said nothing about the voice", why=error.message)
        return ""


def _streamed(asked: model.Request) -> tuple[str, list[str]]:
    """A text, and what is to be said about it."""
    with model.stream(asked) as answer:
        given = answer.emit()
    return _complete(given), _unfinished(given)


def _one_by_one(
    text: str, ask: Callable[[str, int, int], model.Request]
) -> tuple[str, list[str], list[tuple[str, str]]]:
    """The text with all that can be asked about in its new form; what is to be said about the rest; and each part before and after.
    One part is streamed, several are asked about together and shown as they are complete, in order. Between them the text stays
    exactly as it is."""
    parts = pieces.split(text, _part())
    asked = [part for part in parts if part.text and not part.whole]
    if len(parts) == 1 and asked:
        # Most of it was shown before anybody could know that its end is missing.
        found, notes = _streamed(ask(parts[0].text, 0, 1))
        if notes:
            raise _cut()
        return found, [], [(text, found)]
    asks = [ask(part.text, at, len(asked)) for at, part in enumerate(asked)]
    answers = iter(progress.track(model.parallel(asks, in_flight=4), "writing", total=len(asks)))
    given: list[str] = []
    pairs: list[tuple[str, str]] = []
    notes, cut = [], 0
    for part in parts:
        whole, why = part.raw, part.whole
        if part.text and not part.whole:
            answer = next(answers)
            found = _complete(answer)
            if answer.is_cut:
                cut, why = cut + 1, "the answer for this part was cut at its largest length"
            else:
                whole = part.with_text(found)
                pairs.append((part.text, found))
        if why:
            last = part.line + part.text.count("\n")
            notes.append(f"lines {part.line} to {last} stay as they were: {why}")
            log.warn("a part stays as it was", lines=f"{part.line}-{last}", why=why)
        progress.emit(whole)
        given.append(whole)
    if cut and cut == len(asked):
        raise _cut()
    return "".join(given), notes, pairs


def _cut() -> Failure:
    return Failure.unavailable(
        "the answer was cut at its largest length",
        hint="allow longer answers (`ringfence grant writer model=default --max-tokens N`), or give a shorter text",
    )


def _complete(answer: model.Response) -> str:
    if answer.stop_reason == "refused":
        raise Failure(f"{answer.model} declined to write this", hint="try another model, or ask for something else")
    if not answer.text.strip():
        raise Failure.unavailable(
            f"{answer.model} gave an empty answer", hint="allow the skill more tokens of answer, or use a model that writes"
        )
    return answer.text


def _unfinished(answer: model.Response) -> list[str]:
    """What is to be said where a text has no end."""
    if not answer.is_cut:
        return []
    log.warn("an answer was cut at its largest length", model=answer.model)
    return ["the answer was cut at its largest length: its end is missing"]


def _part() -> int:
    """How many tokens one piece of a text has that is to come back whole: what fits into a question, and into an answer."""
    longest = next((each.max_tokens for each in model.models() if each.name == "default"), 0)
    return max(200, min(_room(), longest * 2 // 3)) if longest else _room()


def _room() -> int:
    """How many tokens of text fit well into one question: a quarter of the model's window, at most 3,000."""
    window = next((each.context_window for each in model.models() if each.name == "default"), None)
    return max(200, min(3000, (window or 12000) // 4))


def _shown(name: str, found: Voice) -> Learned:
    words = sum(len(example.split()) for example in found.examples)
    return Learned(name, len(found.examples), words, voices_of.traits(found.examples), found.notes)


def _outcome(text: str, notes: list[str], voice: str | None) -> Outcome:
    return Outcome(text, structured=asdict(Written(text, voice, notes)))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
