import json
import os

import pytest
from ringfence import Failure, failure, refusal, tools, traces

ROOT = os.path.dirname(__file__)


def deep():
    raise ValueError("boom")


def test_an_exception_names_its_place():
    with pytest.raises(ValueError) as caught:
        deep()
    found = failure.of(caught.value, ROOT)
    assert found.kind == "failed"
    assert found.message == f"ValueError: boom (test_failure.py:{deep.__code__.co_firstlineno + 1} in deep)"
    assert traces.lines(caught.value, ROOT)[-1] == "ValueError: boom"


def test_the_place_is_the_authors():
    with pytest.raises(ValueError) as caught:
        json.loads("{")
    assert "(test_failure.py:" in failure.of(caught.value, ROOT).message


def test_a_key_that_is_missing_reads_well():
    with pytest.raises(KeyError) as caught:
        {}["colour"]
    assert failure.of(caught.value, ROOT).message.startswith("KeyError: 'colour' (test_failure.py:")


@pytest.mark.parametrize(
    ("error", "kind", "message", "hint"),
    [
        (refusal.Denied("kv", "kv", "it is not granted", "grant it"), "refused", "the host refused `kv`: it is not granted", "grant it"),
        (refusal.Unavailable("it is down; try later"), "unavailable", "it is down", "try later"),
        (refusal.TimedOut("too late"), "unavailable", "too late", None),
        (refusal.Invalid("bad key"), "failed", "bad key", None),
        (refusal.Cancelled(), "refused", "the call was cancelled", None),
        (refusal.TooLarge("prompt", 5, 9), "refused", "the prompt is too large: at most 5, this has 9", "give at most 5 of prompt"),
        (refusal.OverBudget("invocation", "output-tokens", 5, 4, 3), "refused",
         "the invocation budget of 5 output-tokens is used up: 4 used or reserved, 3 needed",
         "raise `budget.invocation.output-tokens` of the host, or give the tool less to do"),
        (tools.CallFailed("bad", hint="do", kind="invalid-input"), "failed", "bad", "do"),
        (tools.CallFailed("down", kind="unavailable"), "unavailable", "down", None),
        (Failure.invalid_input("bad", hint="do"), "invalid-input", "bad", "do"),
    ],
)
def test_errors_become_failures(error, kind, message, hint):
    found = failure.of(error, ROOT)
    assert (found.kind, found.message, found.hint) == (kind, message, hint)


def test_long_tracebacks_are_cut():
    def again(n):
        return deep() if n == 0 else again(n - 1) if n % 2 else other(n - 1)

    def other(n):
        return again(n)

    with pytest.raises(ValueError) as caught:
        again(200)
    assert len(traces.lines(caught.value, ROOT)) <= 61
