"""Where a component begins: this is the module that componentize-py is pointed at. It loads the author's `skill`.

All of this runs once, when the component is built. An error here is an error of the build, with the author's own traceback.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys

from ringfence import _building, _component, _host, _preload, docs, failure, log, skill as tools, traces
from ringfence.context import Context
from ringfence.failure import Failure

_host.connect(_building)

import skill  # noqa: E402  the author's

_ROOT = os.path.dirname(os.path.abspath(skill.__file__))


def _prepare() -> list:
    described = tools.descriptions()
    if not described:
        raise tools.ToolError("skill.py has no tools: put @tool above a function, or import the module that has them")
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # Where modules come from: the author's folder and packages, not this one and not Python's library.
    roots = [os.path.join(path, "") for path in sys.path if path[1:].isdigit() and path != own]
    _preload.load(roots)
    for module in list(sys.modules.values()):
        if (getattr(module, "__file__", None) or "").startswith(tuple(roots)):
            docs.keep(module)
    traces.keep_sources(_ROOT)
    traces.lines(_sample(), _ROOT)
    logging.basicConfig(handlers=[log.Handler()], level=logging.INFO, format="%(message)s")
    return [_component.described(tool) for tool in described]


def _sample() -> Exception:
    # Formatting a traceback imports modules late, which could not be loaded any more when one is needed.
    try:
        json.loads("{")
    except ValueError as error:
        return error
    raise AssertionError("that was no JSON")


_TOOLS = _prepare()
_host.connect(_component)


class Skill:
    """The export `skill` of `wit/`."""

    def tools(self) -> list:
        return _TOOLS

    def call(self, name: str, input: str, context):
        # Its state was made when the component was built: without this every call would draw the same numbers.
        random.seed()
        try:
            who = Context(context.invocation, _component.word(context.caller), context.deadline_ms, context.locale)
            return _component.given(tools.find(name).run(input, who))
        except Failure as error:
            raise _component.failed(failure.of(error, _ROOT)) from None
        except BaseException as error:
            raise _component.failed(_uncaught(error)) from None


def _uncaught(error: BaseException) -> Failure:
    found = failure.of(error, _ROOT)
    if found.kind == "failed" and not isinstance(error, failure.Refusal):
        try:
            for line in traces.lines(error, _ROOT):
                log.error(line)
        except Exception as second:
            log.error(f"the traceback cannot be shown: {second}")
    return found
