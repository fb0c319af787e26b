"""Why the host did not do what it was asked: one family of exceptions for every capability.

    from ringfence import refusal

    try:
        answer = model.ask("...", model="smart")
    except refusal.Denied:
        answer = model.ask("...")

One that a tool does not catch becomes the tool's failure, with its hint.
"""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """The host did not do what it was asked."""

    kind: ClassVar[str] = "refusal"
    """The name of the case in `wit/types.wit`, for example `over-budget`."""

    @property
    def message(self) -> str:
        """One sentence saying what was refused, and why."""
        return str(self)

    @property
    def hint(self) -> str | None:
        """One sentence saying what to do about it, where there is something to do."""
        return None

    @property
    def temporary(self) -> bool:
        """Whether trying again later may help."""
        return False


class Denied(Refusal):
    """Policy does not allow it: it is not granted, the manifest does not request it, or a rule forbids it."""

    kind = "denied"

    def __init__(self, capability: str, subject: str, reason: str, hint: str = "") -> None:
        super().__init__(f"the host refused `{subject}`: {reason}")
        self.capability, self.subject, self.reason, self._hint = capability, subject, reason, hint

    @property
    def hint(self) -> str | None:
        return self._hint or None


class OverBudget(Refusal):
    """A budget (tokens, money, host calls, bytes) would be exceeded."""

    kind = "over-budget"

    def __init__(self, scope: str, unit: str, limit: int, used: int, needed: int) -> None:
        super().__init__(f"the {scope} budget of {limit} {unit} is used up: {used} used or reserved, {needed} needed")
        self.scope, self.unit, self.limit, self.used, self.needed = scope, unit, limit, used, needed

    @property
    def hint(self) -> str | None:
        return f"raise `budget.{self.scope}.{self.unit}` of the host, or give the tool less to do"


class _Told(Refusal):
    """A refusal that is one text of the host."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class Unavailable(_Told):
    """The thing behind the capability does not work now; later it may."""

    kind = "unavailable"

    @property
    def hint(self) -> str | None:
        return _advice(str(self))

    @property
    def temporary(self) -> bool:
        return True


class Invalid(_Told):
    """The request is wrong and would be wrong again, or the answer does not have the form that was asked for."""

    kind = "invalid"


class TooLarge(Refusal):
    """A value is larger than its limit."""

    kind = "too-large"

    def __init__(self, what: str, limit: int, actual: int | None = None) -> None:
        has = "" if actual is None else f", this has {actual}"
        super().__init__(f"the {what} is too large: at most {limit}{has}")
        self.what, self.limit, self.actual = what, limit, actual

    @property
    def hint(self) -> str | None:
        return f"give at most {self.limit} of {self.what}"


class TimedOut(_Told):
    """It took longer than it may, or the invocation's deadline has come."""

    kind = "timed-out"

    @property
    def hint(self) -> str | None:
        return _advice(str(self))

    @property
    def temporary(self) -> bool:
        return True


class Cancelled(Refusal):
    """The person or program behind the call has cancelled it."""

    kind = "cancelled"

    def __init__(self) -> None:
        super().__init__("the call was cancelled")


def _advice(why: str) -> str | None:
    # The host says what happened and, behind the last semicolon, what to do.
    _, mark, advice = why.rpartition("; ")
    return advice if mark else None
