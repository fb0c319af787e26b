import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from ringfence import Context, Failure, Image, Outcome, ToolError, fake, tool


def test_a_function_becomes_a_tool():
    @tool(title="Greet", read_only=True, open_world=True)
    def greet(name: str, times: int = 1, language: Annotated[str, "In English."] = "French") -> str:
        """Greets someone.

        In one line.

        Args:
            name: Whom to greet. This
                goes on.
            times (int): How often.

        Returns:
            A greeting.
        """
        return f"{language} {name}" * times

    described = fake.describe(greet)
    assert (described.name, described.title) == ("greet", "Greet")
    assert described.description == "Greets someone.\n\nIn one line."
    assert described.hints == {"read-only", "open-world"}
    assert described.output_schema is None
    assert described.input_schema == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "Whom to greet. This goes on."},
            "times": {"type": "integer", "description": "How often.", "default": 1},
            "language": {"type": "string", "description": "In English.", "default": "French"},
        },
        "additionalProperties": False,
        "required": ["name"],
    }
    assert greet("Ada") == "French Ada", "it can be called as before"
    assert fake.call(greet, name="Ada", times=2).text == "French AdaFrench Ada"
    assert fake.call("greet", name="Ada").text == "French Ada"


def test_results_become_outcomes():
    @dataclass
    class Sum:
        """A sum."""

        total: int
        note: str | None = None

    @tool
    def add(a: int, b: int) -> Sum:
        """Adds."""
        return Sum(a + b)

    @tool
    def nothing() -> None:
        """Does nothing."""

    @tool(output=Sum)
    def picture() -> Outcome:
        """Draws."""
        return Outcome("here", Image("image/png", b"1"), structured={"total": 1, "note": None})

    @tool
    def story() -> Iterator[str]:
        """Tells."""
        yield "Once "
        yield "upon"

    outcome = fake.call(add, a=1, b=2)
    assert outcome.structured == {"total": 3, "note": None}
    assert json.loads(outcome.text) == outcome.structured
    schema = fake.describe(add).output_schema
    assert schema["required"] == ["total", "note"] and schema["description"] == "A sum."
    assert fake.call(nothing).content == []
    assert fake.describe(nothing).output_schema is None
    assert fake.call(picture).content[1] == Image("image/png", b"1")
    assert fake.describe(picture).output_schema == schema
    with fake.Host() as host:
        assert fake.call(story).text == "Once upon"
    assert host.emitted == "Once upon"


def test_wrong_input_is_named():
    @tool
    def act(count: int, mode: Literal["fast", "slow"] = "fast") -> str:
        """Acts."""
        return mode

    for given, says in [
        ({"count": "3"}, '`count` must be a whole number, not "3"'),
        ({}, "`count` is missing"),
        ({"count": 1, "mode": "odd"}, '`mode` must be one of "fast", "slow", not "odd"'),
        ({"count": 1, "who": 1}, "there is no input `who`: known are `count`, `mode`"),
    ]:
        with pytest.raises(Failure) as failed:
            fake.call(act, **given)
        assert (failed.value.kind, failed.value.message) == ("invalid-input", says)


def test_the_context_is_no_input():
    @tool
    def who(context: Context) -> str:
        """Who."""
        return context.caller

    assert fake.describe(who).input_schema["properties"] == {}
    assert fake.call(who, fake.context(caller="model")).text == "model"


def test_an_unknown_tool_is_a_failure():
    @tool
    def one() -> str:
        """One."""
        return "1"

    with pytest.raises(Failure) as failed:
        fake.call("two")
    assert failed.value.kind == "unknown-tool"
    assert failed.value.hint == "name one of: one"


def test_two_tools_of_one_name_are_refused():
    @tool
    def same() -> str:
        """One."""
        return ""

    with pytest.raises(ToolError, match=r"two tools have the name `same`.*test_tool.py:\d+.*test_tool.py:\d+.*name="):

        @tool(name="same")
        def other() -> str:
            """Other."""
            return ""


def undescribed(a: str) -> str:
    return a


def untyped(a) -> str:
    """Does."""


def unreturned(a: str):
    """Does."""


def odd(a: bytes) -> str:
    """Does."""


def endless(a: float = float("inf")) -> str:
    """Does."""


def numberless(a: Annotated[int, {"maximum": float("nan")}]) -> str:
    """Does."""


def anything(*words: str) -> str:
    """Does."""


def misnamed(a: str) -> str:
    """Does.

    Args:
        b: What.
    """


async def later() -> str:
    """Does."""


def unknown(a: "Nobody") -> str:  # noqa: F821
    """Does."""


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (undescribed, "no description; say in a docstring"),
        (untyped, "`a` has no type; write `a: str`"),
        (unreturned, "does not say what it returns; write `-> str`"),
        (odd, "the type of `a` has no JSON Schema: `bytes` is no type that JSON has: use `str` with base64"),
        (endless, r"`a` has a default or a keyword that JSON cannot write, as NaN and infinity; write `a: float \| None = None`"),
        (numberless, "`a` has a default or a keyword that JSON cannot write"),
        (anything, r"`\*words: str` has no name"),
        (misnamed, "describes `b`, which is no parameter"),
        (later, "it is async"),
        (unknown, "name 'Nobody' is not defined; import it"),
    ],
)
def test_what_cannot_be_a_tool_says_why(function, says):
    tool(function)
    with pytest.raises(ToolError, match=rf"`{function.__name__}` \(.*test_tool.py:\d+\) cannot be listed: .*{says}"):
        fake.tools()


def test_names_have_a_form():
    tool(name="Über")(undescribed)
    with pytest.raises(ToolError, match="1 to 64 characters"):
        fake.tools()
