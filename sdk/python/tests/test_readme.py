"""What the README shows works."""

import re
import sys
from pathlib import Path
from types import ModuleType

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def block(words):
    return next(code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if words in code)


def test_the_first_ten_lines_are_a_skill(monkeypatch):
    source = block("def answer(")
    assert len(source.splitlines()) <= 10
    skill = ModuleType("skill")
    monkeypatch.setitem(sys.modules, "skill", skill)
    exec(source, vars(skill))
    test: dict = {}
    exec(block("def test_answer"), test)
    test["test_answer"]()
