"""The export: from functions to the interface `skill`."""

from __future__ import annotations

import collections.abc
import inspect
import json
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from ringfence import docs, progress, schema, shape, values
from ringfence.context import Context
from ringfence.failure import Failure
from ringfence.outcome import Outcome

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_PIECES = (collections.abc.Iterator, collections.abc.Iterable, collections.abc.Generator)

_registry: dict[str, Tool] = {}


class ToolError(TypeError):
    """A function that cannot be a tool as it is written. The message says which, and what to do."""


@dataclass(frozen=True)
class Description:
    """What a caller is told about a tool."""

    name: str
    title: str | None
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None
    hints: frozenset[str]


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *,
    name: str | None = None,
    title: str | None = None,
    output: Any = None,
    read_only: bool = False,
    destructive: bool = False,
    idempotent: bool = False,
    open_world: bool = False,
) -> Callable[[F], F]: ...


def tool(function: Any = None, /, **options: Any) -> Any:
    """Turns a function into a tool: `@tool`, or `@tool(title="...", read_only=True)`. The function can be called as before.

    | Of the function | becomes of the tool |
    | --- | --- |
    | its name | the name, `name=` gives another |
    | its docstring without its sections | the description, which a model reads to choose the tool; required |
    | a parameter and its type | a property of the input, described by `Args:` or by `Annotated[str, "..."]` |
    | a default | makes the property optional |
    | a parameter of type `Context` | nothing: it is given the invocation's context |
    | `-> str`, `-> None` | text |
    | `-> Iterator[str]` of a generator | text, streamed to the caller as it is yielded |
    | `-> Outcome` | itself; `output=T` says what its structured part looks like |
    | any other type returned | structured output with an output schema, and the same as JSON text |

    Hints to callers: `read_only`, `destructive`, `idempotent`, `open_world`, and `title` for people.
    """

    def register(function: F) -> F:
        made = Tool(function, **options)
        other = _registry.get(made.name)
        if other is not None and not other.is_again(made):
            raise ToolError(
                f"two tools have the name `{made.name}`: {other.place} and {made.place}. Give one another by @tool(name=\"...\")"
            )
        _registry[made.name] = made
        function.__ringfence_tool__ = made  # type: ignore[attr-defined]
        return function

    return register if function is None else register(function)


class Tool:
    """One tool, made by `tool`."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        title: str | None = None,
        output: Any = None,
        read_only: bool = False,
        destructive: bool = False,
        idempotent: bool = False,
        open_world: bool = False,
    ) -> None:
        if not inspect.isfunction(function):
            raise ToolError(f"@tool belongs on a function, not on {function!r}")
        self.function, self.title, self.output = function, title, output
        self.name = name if name is not None else function.__name__
        flags = {"read-only": read_only, "destructive": destructive, "idempotent": idempotent, "open-world": open_world}
        self.hints = frozenset(flag for flag, is_set in flags.items() if is_set)
        self._known: tuple[Description, dict[str, Any], Any] | None = None

    @property
    def place(self) -> str:
        """Where the function stands, for messages."""
        code = self.function.__code__
        return f"`{self.function.__name__}` ({code.co_filename}:{code.co_firstlineno})"

    def is_again(self, other: Tool) -> bool:
        """Whether it is the same function, from a module that was loaded once more."""
        one, two = self.function, other.function
        return (one.__module__, one.__qualname__, one.__code__.co_firstlineno) == (
            two.__module__, two.__qualname__, two.__code__.co_firstlineno,
        )

    def describe(self) -> Description:
        """What a caller is told. `ToolError` where the function lacks what it takes."""
        return self._read()[0]

    def run(self, input: str | dict[str, Any], context: Context) -> Outcome:
        """Calls the function with the input, a JSON object."""
        _, parameters, returned = self._read()
        given = json.loads(input) if isinstance(input, str) else input
        try:
            arguments = _arguments(parameters, given, context)
        except values.Mismatch as error:
            raise Failure.invalid_input(str(error)) from error
        return _outcome(self, self.function(**arguments), returned)

    def _read(self) -> tuple[Description, dict[str, Any], Any]:
        if self._known is None:
            self._known = self._describe()
        return self._known

    def _describe(self) -> tuple[Description, dict[str, Any], Any]:
        if not _NAME.fullmatch(self.name):
            self._wrong(f"`{self.name}` cannot be a name: 1 to 64 characters of a-z 0-9 _ -", '@tool(name="...")')
        if inspect.iscoroutinefunction(self.function) or inspect.isasyncgenfunction(self.function):
            self._wrong("it is async", "write `def`: calls that take long are started, and waited for later")
        doc = docs.read(self.function.__doc__)
        if not doc.text:
            self._wrong("it has no description", "say in a docstring what it does, for a model to choose it by")
        try:
            hints = shape.types_of(self.function)
        except NameError as error:
            self._wrong(f"a type is not known: {error}", "import it at the top of the file, and not under TYPE_CHECKING alone")
        parameters = self._parameters(hints)
        for name in doc.arguments:
            if name not in parameters:
                self._wrong(f"its docstring describes `{name}`, which is no parameter", "rename one of them")
        properties, required = {}, []
        maker = schema._Maker(written=False)
        for name, field in parameters.items():
            if field.type is Context:
                continue
            field.description = doc.arguments.get(name, "")
            try:
                properties[name] = maker.property(field)
            except (TypeError, ValueError, NameError) as error:
                self._wrong(f"the type of `{name}` has no JSON Schema: {error}", "")
            try:
                values.dumps(properties[name])
            except (TypeError, ValueError):
                self._wrong(
                    f"`{name}` has a default or a keyword that JSON cannot write, as NaN and infinity",
                    f"write `{name}: float | None = None`, or a number" if field.type is float else "use a value that JSON has",
                )
            if field.required:
                required.append(name)
        input_schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            input_schema["required"] = required
        if maker.defs:
            input_schema["$defs"] = maker.defs
        returned = hints.get("return", shape.MISSING)
        description = Description(self.name, self.title, doc.text, input_schema, self._output(returned), self.hints)
        return description, parameters, returned

    def _parameters(self, hints: dict[str, Any]) -> dict[str, shape.Field]:
        parameters = {}
        for name, parameter in inspect.signature(self.function).parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                self._wrong(f"`{parameter}` has no name that a caller could use", "write out the parameters")
            if name not in hints:
                self._wrong(f"`{name}` has no type", f"write `{name}: str`, or whatever it is")
            empty = parameter.default is parameter.empty
            parameters[name] = shape.Field(name, hints[name], empty, shape.MISSING if empty else parameter.default)
        return parameters

    def _output(self, returned: Any) -> dict[str, Any] | None:
        if returned is shape.MISSING:
            self._wrong("it does not say what it returns", "write `-> str`, or whatever it is")
        wanted = self.output
        if wanted is None:
            if _is_text(returned) or returned is Outcome:
                return None
            wanted = returned
        try:
            made = schema.of(wanted, written=True)
            values.dumps(made)
            return made
        except (TypeError, ValueError, NameError) as error:
            self._wrong(f"what it returns has no JSON Schema: {error}", "")

    def _wrong(self, what: str, advice: str) -> typing.NoReturn:
        raise ToolError(f"the tool {self.place} cannot be listed: {what}" + (f"; {advice}" if advice else "")) from None


def of(function: Callable[..., Any]) -> Tool:
    """The tool that a function is. One that is not decorated is a tool for this alone."""
    return getattr(function, "__ringfence_tool__", None) or Tool(function)


def tools() -> list[Tool]:
    """All tools that were decorated, in the order of their definition."""
    return list(_registry.values())


def descriptions() -> list[Description]:
    """What callers are told about all tools. `ToolError` where one cannot be listed."""
    return [tool.describe() for tool in _registry.values()]


def find(name: str) -> Tool:
    """The tool of that name; a failure of kind `unknown-tool` where there is none."""
    found = _registry.get(name)
    if found is None:
        raise Failure(
            f"this skill has no tool `{name}`", hint=f"name one of: {', '.join(_registry)}", kind="unknown-tool"
        )
    return found


def _arguments(parameters: dict[str, shape.Field], given: Any, context: Context) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise values.Mismatch("the input must be an object")
    arguments: dict[str, Any] = {}
    for name, field in parameters.items():
        if field.type is Context:
            arguments[name] = context
        elif name in given:
            arguments[name] = values.read(field.type, given[name], name)
        elif field.required:
            raise values.Mismatch(f"`{name}` is missing")
    for name in given:
        if name not in parameters or parameters[name].type is Context:
            known = ", ".join(f"`{known}`" for known, field in parameters.items() if field.type is not Context)
            raise values.Mismatch(f"there is no input `{name}`: known are {known or 'none'}")
    return arguments


def _outcome(tool: Tool, value: Any, returned: Any) -> Outcome:
    if isinstance(value, Outcome):
        return value
    if isinstance(value, collections.abc.Iterator) and _is_text(returned):
        return Outcome(_streamed(value))
    if _is_text(returned):
        return Outcome() if value is None else Outcome(_text(tool, value))
    try:
        return Outcome.value(value)
    except (TypeError, ValueError) as error:
        raise Failure(f"what `{tool.name}` returned cannot be JSON: {error}") from error


def _streamed(pieces: collections.abc.Iterator[str]) -> str:
    whole = []
    for piece in pieces:
        progress.emit(piece)
        whole.append(piece)
    return "".join(whole)


def _text(tool: Tool, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, collections.abc.Iterable):
        return "".join(value)
    raise TypeError(f"`{tool.name}` says that it returns text, and returned a {type(value).__name__}")


def _is_text(kind: Any) -> bool:
    kind, _ = shape.bare(kind)
    if kind is str or kind is None or kind is type(None):
        return True
    if shape.is_union(kind):
        return all(_is_text(each) for each in typing.get_args(kind))
    return typing.get_origin(kind) in _PIECES and typing.get_args(kind)[:1] == (str,)
