import pytest
from ringfence import Failure, fake

from skill import action_items, count


def test_action_items_are_read_by_the_model():
    answer = {"items": [{"task": "Book a room", "owner": "Ada", "due": None}]}
    with fake.Host().answer(answer) as host:
        outcome = fake.call(action_items, text="Ada will book a room.", owner="Ada")
    assert outcome.structured == answer
    assert "action items of Ada" in host.prompts[0]
    assert "Ada will book a room." in host.prompts[0]


def test_an_empty_text_is_refused_before_a_model_is_asked():
    with fake.Host() as host, pytest.raises(Failure) as failed:
        fake.call(action_items, text=" ")
    assert failed.value.kind == "invalid-input"
    assert host.requests == []


def test_words_and_lines_are_counted():
    counts = count("one two\nthree")
    assert (counts.words, counts.lines, counts.minutes) == (3, 2, 1)


def test_every_tool_can_be_listed():
    assert [tool.name for tool in fake.tools()] == ["action_items", "count"]
