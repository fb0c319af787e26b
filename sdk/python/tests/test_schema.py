import datetime
import enum
import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, Union

import pytest
from ringfence import schema, values


class Color(enum.Enum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    """A place.

    Attributes:
        x: Across.
    """

    x: float
    y: float = 0.0
    """Up."""


@dataclass
class Tree:
    name: str
    children: list["Tree"] = field(default_factory=list)


class Movie(TypedDict, total=False):
    title: str
    year: Annotated[int, "When.", {"minimum": 1888}]


class Pair(NamedTuple):
    left: str
    right: int = 1


class Limit:
    def __init__(self, **limits):
        self.__dict__.update(limits)


UserId = NewType("UserId", str)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (str, {"type": "string"}),
        (Optional[int], {"type": ["integer", "null"]}),
        (Union[int, str], {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (list, {"type": "array"}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (dict[str, Any], {"type": "object"}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[1, "b"], {"enum": [1, "b"]}),
        (Color, {"type": "string", "enum": ["red", "blue"], "description": "A colour."}),
        (Optional[Color], {"anyOf": [{"type": "string", "enum": ["red", "blue"], "description": "A colour."}, {"type": "null"}]}),
        (UserId, {"type": "string"}),
        (datetime.date, {"type": "string", "format": "date"}),
        (Annotated[int, "How many.", Limit(ge=1, lt=9)], {"type": "integer", "description": "How many.", "minimum": 1, "exclusiveMaximum": 9}),
        (Annotated[list[int], Limit(min_length=1)], {"type": "array", "items": {"type": "integer"}, "minItems": 1}),
        (Point, {"type": "object", "description": "A place.", "properties": {
            "x": {"type": "number", "description": "Across."}, "y": {"type": "number", "description": "Up.", "default": 0.0}}, "required": ["x"]}),
        (Movie, {"type": "object", "properties": {
            "title": {"type": "string"}, "year": {"type": "integer", "description": "When.", "minimum": 1888}}}),
        (Pair, {"type": "object", "properties": {"left": {"type": "string"}, "right": {"type": "integer", "default": 1}}, "required": ["left"]}),
    ],
)
def test_types_have_schemas(kind, wanted):
    assert schema.of(kind) == wanted


def test_a_type_that_contains_itself_is_referred_to():
    made = schema.of(Tree)
    assert made["$ref"] == "#/$defs/Tree"
    assert made["$defs"]["Tree"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}
    tree = values.read(Tree, {"name": "a", "children": [{"name": "b"}]})
    assert tree == Tree("a", [Tree("b")])


def test_written_values_have_all_fields():
    assert schema.of(Point, written=True)["required"] == ["x", "y"]


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        (int, 3.0, 3),
        (float, 3, 3.0),
        (Optional[int], None, None),
        (Union[int, str], "a", "a"),
        (Color, "red", Color.RED),
        (Point, {"x": 1, "z": 9}, Point(1.0)),
        (Movie, {"year": 1999}, {"year": 1999}),
        (Pair, {"left": "a"}, Pair("a", 1)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (dict[str, Point], {"a": {"x": 1}}, {"a": Point(1.0)}),
        (datetime.datetime, "2026-01-02T03:04:05Z", datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)),
    ],
)
def test_values_are_read(kind, given, wanted):
    read = values.read(kind, given)
    assert read == wanted and type(read) is type(wanted)


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        (int, True, "the value must be a whole number, not true"),
        (int, 3.5, "the value must be a whole number"),
        (list[Point], [{"x": 1}, {"x": "a"}], '`[1].x` must be a number, not "a"'),
        (Point, {}, "`x` is missing"),
        (Color, "green", 'must be one of "red", "blue"'),
        (Union[int, str], [], "fits none of int, str"),
    ],
)
def test_what_does_not_fit_is_named(kind, given, says):
    with pytest.raises(values.Mismatch) as wrong:
        values.read(kind, given)
    assert says in str(wrong.value)


def test_values_are_written():
    value = {"p": Point(1.0), "c": Color.RED, "s": {"b", "a"}, "t": Pair("x"), "d": datetime.date(2026, 1, 2)}
    assert values.write(value) == {
        "p": {"x": 1.0, "y": 0.0}, "c": "red", "s": ["a", "b"], "t": {"left": "x", "right": 1}, "d": "2026-01-02",
    }
    with pytest.raises(TypeError, match=r"a Limit cannot be JSON \(at `a\[0\]`\)"):
        values.write({"a": [Limit()]})
    with pytest.raises(ValueError):
        values.dumps(float("nan"))


class Author:
    """What a model of pydantic looks like from outside."""

    def __init__(self, name):
        self.name = name

    @classmethod
    def model_json_schema(cls, mode="validation"):
        return {
            "$defs": {"Name": {"title": "Name", "type": "string"}},
            "properties": {"name": {"$ref": "#/$defs/Name", "description": "Who."}, "title": {"title": "Title", "type": "string"}},
            "title": "Author",
            "type": "object",
        }

    @classmethod
    def model_validate(cls, value):
        if "name" not in value:
            raise ValueError("name: Field required")
        return cls(value["name"])

    def model_dump(self, mode="python"):
        return {"name": self.name}


def test_models_of_pydantic_are_types():
    assert schema.of(Author) == {
        "properties": {"name": {"type": "string", "description": "Who."}, "title": {"type": "string"}}, "type": "object",
    }
    assert [author.name for author in values.read(list[Author], [{"name": "Ada"}])] == ["Ada"]
    assert values.write([Author("Ada")]) == [{"name": "Ada"}]
    with pytest.raises(values.Mismatch, match="Field required"):
        values.read(Author, {})


def test_real_models_of_pydantic():
    pydantic = pytest.importorskip("pydantic", minversion="2")

    class Leaf(pydantic.BaseModel):
        size: int = pydantic.Field(description="How large.", ge=1)

    class Root(pydantic.BaseModel):
        leaf: Leaf
        next: Optional["Root"] = None

    made = schema.of(Root)
    root = made["$defs"]["Root"]
    assert root["properties"]["leaf"]["properties"]["size"] == {"description": "How large.", "minimum": 1, "type": "integer"}
    assert schema.of(Annotated[int, pydantic.Field(ge=2, description="Two.")]) == {"type": "integer", "description": "Two.", "minimum": 2}
    assert values.read(Root, {"leaf": {"size": 2}}).leaf.size == 2
    with pytest.raises(values.Mismatch, match="size"):
        values.read(Root, {"leaf": {"size": 0}})


def pydantic_1():
    """pydantic 1.10, alone or as pydantic 2 brings it along."""
    pydantic = pytest.importorskip("pydantic")
    return pydantic if pydantic.VERSION.startswith("1.") else pytest.importorskip("pydantic.v1")


def test_real_models_of_pydantic_1():
    pydantic = pydantic_1()

    class Line(pydantic.BaseModel):
        item: str = pydantic.Field(description="What.")
        count: int = pydantic.Field(1, ge=1)
        enum: Optional[int] = None

    class Order(pydantic.BaseModel):
        """An order."""

        lines: list[Line]
        first: Optional[Line] = pydantic.Field(None, description="The first.")
        note: Optional[str] = pydantic.Field(None, alias="remark")
        color: Color = pydantic.Field(Color.RED, description="Which.")
        maybe: Optional[Color] = None
        pair: tuple[int, str] = (1, "a")
        numbers: list[Optional[int]] = []
        either: Union[int, str, None] = None
        anything: Any = None

    line = {"type": "object", "required": ["item"], "properties": {
        "item": {"description": "What.", "type": "string"},
        "count": {"default": 1, "minimum": 1, "type": "integer"},
        "enum": {"type": ["integer", "null"]},
    }}
    made = schema.of(Order, written=True)
    assert json.loads(values.dumps(made)) == {"description": "An order.", "type": "object", "required": ["lines"], "properties": {
        "lines": {"type": "array", "items": line},
        "first": {"description": "The first.", "anyOf": [line, {"type": "null"}]},
        "remark": {"type": ["string", "null"]},
        "color": {"enum": ["red", "blue"], "description": "Which.", "default": "red"},
        "maybe": {"anyOf": [{"enum": ["red", "blue"], "description": "A colour."}, {"type": "null"}]},
        "pair": {"default": [1, "a"], "type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [{"type": "integer"}, {"type": "string"}]},
        "numbers": {"default": [], "type": "array", "items": {"type": ["integer", "null"]}},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
        "anything": {},
    }}
    assert schema.of(Order, written=True) == made
    order = values.read(Order, {"lines": [{"item": "tea"}], "remark": "soon"})
    assert (order.lines[0].count, order.note) == (1, "soon")
    assert values.write([order])[0] == {
        "lines": [{"item": "tea", "count": 1, "enum": None}], "first": None, "remark": "soon", "color": "red", "maybe": None,
        "pair": [1, "a"], "numbers": [], "either": None, "anything": None,
    }
    with pytest.raises(values.Mismatch, match="count"):
        values.read(list[Order], [{"lines": [{"item": "tea", "count": 0}]}])
    with pytest.raises(values.Mismatch, match="`order` is wrong"):
        values.read(Order, "tea", "order")


def test_models_of_pydantic_1_that_contain_themselves():
    pydantic = pydantic_1()

    class Node(pydantic.BaseModel):
        name: str
        children: list["Node"] = []
        parent: Optional["Node"] = None

    Node.update_forward_refs(Node=Node)
    made = schema.of(Optional[Node])
    text = values.dumps(made)
    assert '"definitions"' not in text and '"$ref":"#/$defs/Node"' in text
    node = made["$defs"]["Node"]["properties"]
    assert node["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert node["parent"] == {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}
    assert values.write(values.read(Node, {"name": "a", "children": [{"name": "b"}]}))["children"][0]["parent"] is None


def test_limits_of_pydantic_1_are_taken():
    pydantic = pydantic_1()
    assert schema.of(Annotated[list[int], pydantic.Field(min_items=1, max_items=3)]) == {
        "type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3,
    }
    assert schema.of(Annotated[str, pydantic.Field(regex="^a", description="A.")]) == {"type": "string", "description": "A.", "pattern": "^a"}
