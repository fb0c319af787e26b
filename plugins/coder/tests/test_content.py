import pytest

import checks
import content
from project import File, ordered

PY = "a = 1\nb = 2\n"
MD = "# A\n\n```sh\nrun\n```\n\nMore.\n"


@pytest.mark.parametrize(
    "answer",
    [
        PY,
        f"````\n{PY}````",
        f"```python\n{PY}```",
        f"~~~\n{PY}~~~",
        f"\n\n```python\n{PY}```  \n\n",
        f"Here is the file:\n\n```python\n{PY}```\n\nIt adds.",
        f"\ufeff```python\r\n{PY}```\r\n".replace("\n", "\r\n").replace("\r\r", "\r"),
    ],
)
def test_code_is_taken_exactly(answer):
    assert content.extract(answer, "a.py") == PY


def test_thoughts_are_left_out():
    assert content.extract(f"<think>\n```\nno\n```\n</think>\n\n````\n{PY}````", "a.py") == PY
    assert content.extract("Here it is:\n```\nflask\n```", "requirements.txt") == "flask\n"


def test_blanks_inside_stay():
    assert content.extract("````\n\n  a\n\n\n  b  \n````", "a.txt") == "\n  a\n\n\n  b  \n"


def test_longer_fences_hold_shorter_ones():
    inner = 'D = """\n```\nx\n```\n"""\n'
    assert content.extract(f"````python\n{inner}````", "a.py") == inner


@pytest.mark.parametrize(
    "answer",
    [
        MD,
        f"````markdown\n{MD}````",
        f"```markdown\n{MD}```",
        f"```\n{MD}```",
        f"Here it is:\n\n```markdown\n{MD}```",
        f"````\n{MD}````\n\nLet me know!",
    ],
)
def test_texts_with_fences_of_their_own(answer):
    assert content.extract(answer, "README.md") == MD


@pytest.mark.parametrize(
    "answer, path",
    [
        ("", "a.py"),
        ("  \n", "a.py"),
        ("```python\na = 1", "a.py"),
        ("```\na\n```\n\n```\nb\n```", "a.py"),
        ("Here is the file:\na = 1", "a.js"),
        ("a = 1\nLet me know if it works", "a.js"),
        ("This is a sentence about the file.", "a.js"),
        ("Sure, here is the text\n\n# A", "README.md"),
        ("# A\n\nLet me know if you want more.", "README.md"),
        (f"```markdown\n{MD}", "README.md"),
        ("```markdown\n# A\n```sh\nrun\n```", "README.md"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(answer, path):
    with pytest.raises(content.Unclear):
        content.extract(answer, path)


@pytest.mark.parametrize(
    "text, more, whole",
    [
        ("````\na\n", "b\n````", "````\na\nb\n````"),
        ("````\nfirst line\nsecond line\n", "first line\nsecond line\nthird\n````", "````\nfirst line\nsecond line\nthird\n````"),
        ("````\n}\n", "}\n````", "````\n}\n}\n````"),
        ("````js\na\n", "````js\nb\n````", "````js\na\nb\n````"),
        ("````md\na\n", "```sh\nb\n```\n````", "````md\na\n```sh\nb\n```\n````"),
        ("````\na\n", "````", "````\na\n````"),
    ],
)
def test_pieces_are_joined(text, more, whole):
    assert content.joined(text, more) == whole


@pytest.mark.parametrize("more", ["Continuing from where I left off:\nb", "Here is the rest:\nb", "Sure!\nb"])
def test_talk_between_pieces_is_refused(more):
    with pytest.raises(content.Unclear):
        content.joined("````\na\n", more)


def test_what_was_said_after_the_file_may_be_cut():
    assert content.is_closed("````\na\n````\nThis file ha")
    assert not content.is_closed("````\na\n````"), "the fence itself may be cut: five backticks"
    assert not content.is_closed("```\na\n```\nmore") and not content.is_closed("````\na")


@pytest.mark.parametrize(
    "path, text, wrong",
    [
        ("a.py", "a = (\n", "no Python: line 1"),
        ("a.py", "a = 1\n", None),
        ("a.py", "x = '\\d'\n", None),
        ("a.json", "{,}\n", "no JSON"),
        ("tsconfig.json", "{ // x\n}\n", None),
        ("a.toml", "a = \n", "no TOML"),
        ("__init__.py", "", None),
        ("a.py", "", "empty"),
        ("a.js", "// ... existing code ...\n", "leaves something out"),
        ("a.js", "  // ...rest of the code\n", "leaves something out: `// ...rest ...`"),
        ("a.py", "# ... existing code ...\n", "leaves something out"),
        ("a.py", "# \u2026 (the rest is unchanged)\n", "leaves something out"),
        ("a.html", "<!-- ... other sections ... -->\n", "leaves something out"),
        ("a.tsx", "{/* ... rest of the component ... */}\n", "leaves something out"),
        ("a.js", "// ...rest is unchanged\n", "leaves something out"),
        ("a.go", "\t... existing code ...\n", "leaves something out"),
        ("a.js", "...existing...\n", "leaves something out"),
        ("a.ts", "(... same as before)\n", "leaves something out"),
        ("a.ts", "function f() {\n  ...\n}\n", "leaves something out: `...`"),
        ("a.css", "a { }\n\n...\n", "leaves something out: `...`"),
        ("a.js", "f(...rest)\n", None),
        ("a.ts", "const {\n  a,\n  ...rest\n} = b;\n", None),
        ("a.tsx", "<A\n  {\n    ...other}\n  {...rest} />\n", None),
        ("a.ts", "const a = {\n  ...existing,\n  ...previous, b: 1,\n  ...(same || {}),\n  ...rest as T,\n  ...other.all(),\n};\n", None),
        ("a.ts", "f(\n  ...remaining\n    .filter(Boolean),\n  ...(existing ?? []),\n  ...(other as T[]),\n);\n", None),
        ("a.js", "// ...rest must come last\n", None),
        ("a.tsx", "<span>\n  ...\n</span>\n", None),
        ("a.py", "def f(\n    *rest,\n) -> None:\n    ...\n", None),
        ("a.py", 'S = """\n... other things\n"""\n', None),
        ("a.c", "int f(\n  char *rest,\n  ...\n);\n", None),
        ("a.yaml", "a: 1\n...\n", None),
        ("a.graphql", "{\n  ...existing\n}\n", None),
        ("a.js", "```js\n", "fence"),
        ("README.md", "```sh\nx\n```\n", None),
        ("a.txt", "a\x1b[1m\n", "U+001B"),
        ("a.txt", "\ud800\n", "no file can have"),
        ("a.json", "[" * 60000, "no JSON"),
    ],
)
def test_checks(path, text, wrong):
    found = checks.problem(path, text)
    assert found is None if wrong is None else wrong in found


def test_order():
    files = [File("a", "", ["b", "gone"]), File("b", "", ["c"]), File("c", "", ["a"]), File("d", "")]
    assert [file.path for file in ordered(files)] == ["c", "b", "a", "d"]
    chain = [File(str(n), "", [str(n + 1)]) for n in range(2000)]
    assert [file.path for file in ordered(chain)][0] == "1999"
