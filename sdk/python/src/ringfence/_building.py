"""The imports while a component is built: there is no host yet."""

from __future__ import annotations

from typing import Any

_NOTHING = {"log", "report", "emit"}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name in _NOTHING:
        return lambda *_: None

    def refuse(*_: Any) -> Any:
        raise RuntimeError(
            f"`{name.replace('_', '.')}` was called while the skill is built: what stands outside of functions runs once, at "
            "the build, where there is no host. Call it inside of a tool"
        )

    return refuse
