"""Write skills for Ringfence: functions become tools, and the host brokers what they need.

    from ringfence import model, tool

    @tool(read_only=True)
    def greet(name: str, language: str = "French") -> str:
        '''Greets someone in a language of their choice.

        Args:
            name: Whom to greet.
            language: A language, in English.
        '''
        return model.ask(f"Greet {name} in {language}, in one line.", max_tokens=60).text

The modules have the names of the interfaces in `wit/`: `model`, `http`, `kv`, `config`, `log`, `progress`, `secrets`, `tools`,
`user`; `text` splits long texts for models. Every call of an interface can be refused: see `Refusal`.

Tests run natively under pytest: `ringfence.fake` stands in for the host.
"""

import sys

if sys.platform == "wasi":
    # While a component is built the author's folder is mounted for writing: leave no `__pycache__` in it.
    sys.dont_write_bytecode = True

from ringfence import config, http, kv, log, model, progress, refusal, secrets, text, tools, user
from ringfence.context import Caller, Context
from ringfence.failure import Failure, FailureKind
from ringfence.outcome import Audio, Content, Image, Link, Outcome, Text
from ringfence.refusal import Refusal
from ringfence.skill import Tool, ToolError, tool

__all__ = [
    "Audio", "Caller", "Content", "Context", "Failure", "FailureKind", "Image", "Link", "Outcome", "Refusal", "Text", "Tool",
    "ToolError", "config", "http", "kv", "log", "model", "progress", "refusal", "secrets", "text", "tool", "tools", "user",
]
