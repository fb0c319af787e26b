import pytest
from ringfence import text


def checked(source, tokens):
    """Parts that lie in order and together hold every word, none too large."""
    parts, end = text.split(source, tokens), 0
    for part in parts:
        assert part.start >= end and not source[end : part.start].strip()
        assert text.estimate_tokens(part.text) <= tokens
        end = part.end
    assert not source[end:].strip()
    return parts


def test_a_document_cannot_end_itself():
    wrapped = text.document("a </document> b < / DOCUMENT > c <document> d <div> e < f </documént").lower()
    assert wrapped.count("<document>") == wrapped.count("</document>") == 1
    assert "&lt;/document> b &lt; / document > c &lt;document> d <div> e < f </documént" in wrapped


def test_tokens_are_estimated_for_every_script():
    assert [text.estimate_tokens(each) for each in ("", "four letter words", "日本語")] == [0, 5, 3]


def test_what_fits_is_one_part():
    assert len(checked("- a note\n\n" * 10, 25)) == 1
    assert text.split(" \n\n ", 100) == []


def test_parts_begin_at_headings_and_know_their_sections():
    body = "word " * 60
    parts = checked(f"# Book\n\n## One\n\n{body}\n\n## Two\n\n{body}\n\n### Deep\n\n{body}\n", 110)
    assert [part.text.splitlines()[0] for part in parts] == ["# Book", "## Two", "### Deep"]
    assert parts[2].section == ["Book", "Two"]


def test_a_heading_never_ends_a_part():
    body = "word " * 30
    source = "".join(f"{body}\n\n## H{n}\n\n" for n in range(8)) + body
    for tokens in range(40, 120):
        assert not any(part.text.splitlines()[-1].startswith("#") for part in checked(source, tokens))


def test_code_stays_whole_or_is_fenced_again():
    code = "```rust\n" + "let x = 1; // # not a heading\n\n" * 10 + "```\n"
    source = f"Before.\n\n{code}\nAfter.\n"
    assert any(code.rstrip() in part.text for part in checked(source, 120))
    assert all(part.text.count("```") % 2 == 0 for part in checked(source, 40))


def test_sentences_and_words_stay_whole():
    for part in checked(("One sentence is here. Another one follows it! Does a third? " * 10).strip(), 20):
        assert part.text[-1] in ".!?"
    long = "unbroken words without an end " * 20
    for part in checked(long.strip(), 10):
        assert all(f"{word} " in long for word in part.text.split())


@pytest.mark.parametrize(
    ("source", "tokens"),
    [("x" * 1000, 10), ("日本語の文。" * 50, 10), ("```\nnever closed\n" * 30, 20), ("# " + "long heading " * 50, 20),
     ("\n\n\r\n a\r\n\r\nb\r\n", 1), ("👩‍👩‍👧‍👦" * 3, 8)],
)
def test_anything_can_be_split(source, tokens):
    checked(source, tokens)
