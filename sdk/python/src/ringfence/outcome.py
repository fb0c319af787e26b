"""What a call gives."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Union

from ringfence import values


@dataclass(frozen=True)
class Text:
    """A text for people and models."""

    text: str


@dataclass(frozen=True)
class Image:
    """An image. `media_type` is for example `image/png`."""

    media_type: str
    data: bytes


@dataclass(frozen=True)
class Audio:
    """A sound. `media_type` is for example `audio/wav`."""

    media_type: str
    data: bytes


@dataclass(frozen=True)
class Link:
    """A pointer to something elsewhere. The host never fetches it by itself."""

    uri: str
    title: str | None = None
    media_type: str | None = None


Content = Union[Text, Image, Audio, Link]


@dataclass
class Outcome:
    """What a call gives, put together by hand: `Outcome("here", Image("image/png", data), structured={"pages": 3})`.

    Texts may be given as plain strings. Most tools return a string or a value instead.
    """

    content: list[Content] = field(default_factory=list)
    structured: Any = None
    """For programs: matches the tool's output schema where it has one. None means that there is nothing."""

    def __init__(self, *content: Content | str, structured: Any = None) -> None:
        self.content = [Text(piece) if isinstance(piece, str) else piece for piece in content]
        self.structured = structured

    @classmethod
    def value(cls, value: Any) -> Outcome:
        """A value for programs, with its JSON as the text for people."""
        plain = values.write(value)
        return cls(values.pretty(plain), structured=plain)

    @property
    def text(self) -> str:
        """All text, a line break between pieces."""
        return "\n".join(piece.text for piece in self.content if isinstance(piece, Text))

    def structured_json(self) -> str | None:
        """The structured part as JSON text."""
        return None if self.structured is None else values.dumps(self.structured)

    @classmethod
    def _from_wire(cls, content: list[Content], structured: str | None) -> Outcome:
        return cls(*content, structured=None if structured is None else json.loads(structured))
