"""Questions to the model until the answer can be used: answers that were cut go on, and wrong ones are asked for once more."""

from collections.abc import Callable
from typing import Any, TypeVar

import checks
import content
import prompts
from ringfence import Failure, log, model, refusal

T = TypeVar("T")

# How often an answer that was cut goes on.
_MOST_PIECES = 6
_ATTEMPTS = 2


def file(asked: model.Request, path: str) -> str:
    """The content of a file. A failure where the model gives none that can be used: better no file than half of one."""
    request, why = asked, ""
    for _ in range(_ATTEMPTS):
        answer = ""
        try:
            answer = _whole(request, path)
            text = content.extract(answer, path)
            why = checks.problem(path, text) or ""
            if not why:
                return text
        except content.Unclear as error:
            why = str(error)
        log.warn("an answer cannot be used", path=path, why=why)
        request = prompts.again(asked, answer, why, prompts.form(path))
    raise Failure.unavailable(
        f"the model gave no `{path}` that can be used: {why}", hint="use another model: the built-in offline one writes no code"
    )


def value(asked: model.Request, into: type[T], what: str, faults: Callable[[T], list[str]] = lambda _: []) -> T:
    """A value of the type, without faults. `what` it is, a failure says."""
    request, wrong = asked, [""]
    for _ in range(_ATTEMPTS):
        found, answer = _value(request, into, what)
        wrong = faults(found)
        if not wrong:
            return found
        log.warn(f"the model gave no {what} that can be used", why="; ".join(wrong))
        request = prompts.again(asked, answer, "; ".join(wrong[:10]), "Give all of it again, corrected.")
    raise Failure.unavailable(
        f"the model gave no {what} that can be used: {'; '.join(wrong[:3])}",
        hint="say more in the prompt, or use another model: the built-in offline one plans nothing",
    )


def _value(request: model.Request, into: Any, what: str) -> tuple[Any, str]:
    try:
        response = model.ask(request)
        _not_declined(response)
        return response.json(into), response.text
    except refusal.Invalid as error:
        raise Failure.unavailable(
            f"the model gave no {what}: {error.message}", hint="use a model that can answer by a schema, or allow it longer answers"
        ) from error


def _whole(asked: model.Request, path: str) -> str:
    """The whole answer, of as many pieces as it takes."""
    answer = model.ask(asked)
    _not_declined(answer)
    text = answer.text
    for _ in range(_MOST_PIECES):
        if not answer.is_cut or content.is_closed(text):
            return text
        # From a line's beginning: no model goes on exactly in the middle of a word.
        text = content.whole_lines(text)
        if not text.strip():
            break
        answer = model.ask(prompts.go_on(asked, text))
        _not_declined(answer)
        before, text = text, content.joined(text, answer.text)
        if answer.is_cut and len(content.whole_lines(text)) <= len(before):
            break
    if not answer.is_cut or content.is_closed(text):
        return text
    raise Failure.unavailable(
        f"the answer for `{path}` was cut at its largest length, also after it went on",
        hint="allow longer answers (`ringfence grant coder model=default --max-tokens N`), or plan smaller files",
    )


def _not_declined(answer: model.Response) -> None:
    if answer.stop_reason == "refused":
        raise Failure(f"{answer.model} declined to answer", hint="try another model, or ask for something else")
