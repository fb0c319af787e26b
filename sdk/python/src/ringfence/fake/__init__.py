"""A host for unit tests: a skill's code runs natively, and this stands in for the imports.

    from ringfence import fake

    def test_title():
        with fake.Host().answer("On Bees") as host:
            assert title("Bees hum.") == "On Bees"
        assert "Bees hum." in host.prompts[0]

A fake belongs to its `with`. An import that is called without one raises, and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ringfence import skill, values
from ringfence.context import Context
from ringfence.fake.host import Host, Line, Report
from ringfence.fake.reply import Reply
from ringfence.fake.web import Page
from ringfence.outcome import Outcome
from ringfence.skill import Description

__all__ = ["Host", "Line", "Page", "Reply", "Report", "call", "context", "describe", "tools"]


def call(tool: Callable[..., Any] | str, context: Context | None = None, **input: Any) -> Outcome:
    """Calls a tool as the host does, with JSON: `fake.call(greet, name="Ada")`. A `Failure` is raised where the tool fails.

    `tool` is the function or the tool's name.
    """
    found = skill.find(tool) if isinstance(tool, str) else skill.of(tool)
    return found.run(values.dumps(input), context or _context())


def context(**changes: Any) -> Context:
    """A context for tests: a person at the command line with a minute to wait."""
    return _context(**changes)


def describe(tool: Callable[..., Any]) -> Description:
    """What a tool says of itself."""
    return skill.of(tool).describe()


def tools() -> list[Description]:
    """What all tools say of themselves. `ToolError` where one cannot be listed: a test of this finds what a build would."""
    return skill.descriptions()


def _context(**changes: Any) -> Context:
    return Context(**{"invocation": "test", "caller": "user", "deadline_ms": 60_000, "locale": None, **changes})
