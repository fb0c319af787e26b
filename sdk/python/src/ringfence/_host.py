"""The imports behind one door: the host's in a component, the fake's everywhere else.

Both doors have the same functions, with the types of this package and refusals as exceptions.
"""

from __future__ import annotations

from types import ModuleType

_door: ModuleType | None = None


def connect(module: ModuleType | None) -> None:
    """Puts the component's imports behind the door. None shuts it, while a component is built."""
    global _door
    _door = module


def door() -> ModuleType:
    """What answers the imports."""
    if _door is None:
        from ringfence.fake import imports

        connect(imports)
        return imports
    return _door
