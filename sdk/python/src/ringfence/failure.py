"""Why a call gave no outcome."""

from __future__ import annotations

from typing import Literal

from ringfence import traces
from ringfence.refusal import Invalid, Refusal, TimedOut, Unavailable

FailureKind = Literal["invalid-input", "unknown-tool", "refused", "unavailable", "failed"]


class Failure(Exception):
    """Why a call gave no outcome: `raise Failure("the archive is empty", hint="give one with a file in it")`.

    The message is one sentence saying what happened, with the offending value; the hint is one saying what to do about it.
    """

    def __init__(self, message: str, *, hint: str | None = None, kind: FailureKind = "failed") -> None:
        super().__init__(message)
        self.message, self.hint, self.kind = message, hint, kind

    @classmethod
    def invalid_input(cls, message: str, *, hint: str | None = None) -> Failure:
        """The input passes the schema and is wrong all the same."""
        return Failure(message, hint=hint, kind="invalid-input")

    @classmethod
    def unavailable(cls, message: str, *, hint: str | None = None) -> Failure:
        """Something that the tool depends on does not work now."""
        return Failure(message, hint=hint, kind="unavailable")


class CallFailed(Failure):
    """A tool of another skill failed, crashed or ran into a limit. Message, hint and kind are its own."""


def of(error: BaseException, root: str) -> Failure:
    """The failure that an exception becomes which a tool did not catch. `root` is the author's folder."""
    if isinstance(error, CallFailed):
        # That its input was wrong is no mistake of whoever called this skill.
        kind = "failed" if error.kind in ("invalid-input", "unknown-tool") else error.kind
        return Failure(error.message, hint=error.hint, kind=kind)
    if isinstance(error, Failure):
        return error
    if isinstance(error, Refusal):
        return _refused(error)
    return Failure(traces.message(error, root), hint=traces.hint(error))


def _refused(refusal: Refusal) -> Failure:
    kind: FailureKind = "refused"
    if isinstance(refusal, (Unavailable, TimedOut)):
        kind = "unavailable"
    elif isinstance(refusal, Invalid):
        kind = "failed"
    message, hint = str(refusal), refusal.hint
    if hint and message.endswith(f"; {hint}"):
        # What to do is said once, in the hint.
        message = message[: -len(f"; {hint}")]
    return Failure(message, hint=hint, kind=kind)
