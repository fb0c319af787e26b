from dataclasses import dataclass

import pytest
from ringfence import Failure, Outcome, config, fake, http, kv, log, model, progress, refusal, secrets, tools, user
from ringfence.fake.host import NoHost


@dataclass
class City:
    name: str


def test_a_model_answers(host):
    host.answer("One.", {"name": "Rome"})
    answer = model.ask("Two?", model="fast", system="Be brief.", max_tokens=5, stop="x", temperature=0)
    assert (answer.text, answer.model, answer.stop_reason, answer.is_cut) == ("One.", "fake/fast", "end", False)
    asked = host.requests[0]
    assert [(message.role, message.text) for message in asked.messages] == [("system", "Be brief."), ("user", "Two?")]
    assert (asked.max_tokens, asked.stop, asked.temperature) == (5, ["x"], 0)
    assert model.ask("A city.", into=City) == City("Rome")
    assert host.requests[1].output_schema["required"] == ["name"]


def test_conversations_are_messages_or_dicts(host):
    host.answer("ok", "ok")
    model.ask([{"role": "user", "content": "a"}, model.assistant("b"), model.user("c", model.Image("image/png", b"1"))], system="s")
    assert [message.role for message in host.requests[0].messages] == ["system", "user", "assistant", "user"]
    base = model.request("a", model="fast")
    model.ask(base, system="later")
    assert (host.requests[1].model, len(base.messages)) == ("fast", 1)
    with pytest.raises(TypeError, match="is no message"):
        model.ask([{"role": "human", "content": "a"}])


def test_an_answer_that_is_not_the_json(host):
    host.answer("no", fake.Reply('{"na').stopped("max-tokens"))
    with pytest.raises(refusal.Invalid, match="the answer of fake/default is not the JSON"):
        model.ask("?", into=City)
    with pytest.raises(refusal.Invalid, match="cut at its largest length"):
        model.ask("?", into=City)


def test_answers_are_streamed(host):
    host.answer("one two", fake.Reply("three four").thinking("hm"), fake.Reply("half").then_breaks(refusal.Unavailable("down")))
    stream = model.stream("?")
    assert list(stream) == ["one ", "two"]
    assert stream.response.text == "one two"
    with model.stream("?") as stream:
        assert [event.type for event in stream.events()] == ["thinking", "text", "text", "done"]
    pieces = []
    with pytest.raises(refusal.Unavailable):
        model.stream("?").finish(pieces.append)
    assert pieces == ["half"]
    host.answer("emitted text")
    assert model.stream("?").emit().text == host.emitted == "emitted text"
    assert host.in_flight == 0


def test_many_at_once_in_order(host):
    host.answer_with(lambda request: refusal.TimedOut("late") if "3" in request.messages[-1].text else f"<{request.messages[-1].text}>")
    answers = model.parallel((str(n) for n in range(6)), in_flight=2, system="s")
    got = []
    while True:
        try:
            got.append(next(answers).text)
        except refusal.TimedOut:
            got.append("late")
        except StopIteration:
            break
    assert got == ["<0>", "<1>", "<2>", "late", "<4>", "<5>"]
    assert host.most_in_flight == 2 and host.in_flight == 0


def test_a_loop_runs_functions(host):
    def add(a: int, b: int) -> int:
        """Adds."""
        if a < 0:
            raise ValueError("too small")
        return a + b

    call = fake.Reply.tool_call("add", a=1, b=2).and_tool_call("add", a=-1, b=2).and_tool_call("sub")
    host.answer(call, "3")
    assert model.run("1+2?", tools=[add], tool_choice="required").text == "3"
    first, second = host.requests
    assert first.tools[0].name == "add" and first.tools[0].input_schema["required"] == ["a", "b"]
    results = second.messages[-1].parts
    assert [(result.content, result.is_error) for result in results] == [
        ("3", False), ("ValueError: too small", True), ("there is no tool `sub`: there are add", True),
    ]
    # Otherwise the model could never answer.
    assert (first.tool_choice, second.tool_choice) == ("required", "auto")
    assert "too small" in host.logs[0].message
    host.answer(fake.Reply.tool_call("add", a=1, b=1), "enough")
    assert model.run("?", tools=[add], rounds=1).text == "enough"
    assert host.requests[-1].tool_choice == "none"


def test_vectors_and_models(host):
    host.vectors([1, 0], [0, 1]).model("default", 100)
    assert model.embed(["a", "b"]).vectors == [[1, 0], [0, 1]]
    assert [each.name for each in model.models()] == ["default"]


def test_state_lasts(host):
    assert kv.get("a") is None and kv.get("a", 5) == 5
    assert kv.set("a", City("Rome")) == 1
    assert kv.get("a", into=City) == City("Rome")
    with pytest.raises(kv.Conflict) as conflict:
        kv.set("a", 1, if_absent=True)
    assert conflict.value.version == 1
    assert kv.set("a", 2, if_version=1) == 2
    assert kv.update("n", lambda n: (n or 0) + 1) == 1
    host.race("n", 10)
    assert kv.update("n", lambda n: (n or 0) + 1) == 11
    assert host.stored("n") == 11
    kv.delete("a")
    assert kv.get_bytes("a") is None
    for n in range(250):
        kv.set(f"p/{n:03}", n)
    assert list(kv.keys("p/")) == [f"p/{n:03}" for n in range(250)]
    with pytest.raises(refusal.Invalid, match="not what the skill expects"):
        kv.get("n", into=City)
    with pytest.raises(refusal.Invalid, match="cannot be a key"):
        kv.set("", 1)
    with pytest.raises(refusal.TooLarge, match="at most 1048576, this has"):
        kv.set("b", "x" * 2**20)
    host.refuse_kv(refusal.Denied("kv", "kv", "it is not granted", "grant it"))
    with pytest.raises(refusal.Denied) as denied:
        kv.get("a")
    assert denied.value.hint == "grant it"


def test_servers_are_asked(host):
    host.serve("https://a.example/", fake.Page("hi", headers={"X-Kind": "test"})).serve("https://a.example/json", {"name": "Rome"})
    host.serve("https://a.example/gone", fake.Page(status=404)).serve("https://a.example/busy", fake.Page(status=503))
    page = http.get("https://a.example/?q=1", headers={"authorization": secrets.bearer("T")})
    assert (page.status, page.ok, page.text, page.header("x-kind")) == (200, True, "hi", "test")
    assert host.sent[0].header("Authorization") == "Bearer {{secret:T}}"
    assert http.post("https://a.example/json", json={"a": 1}).json(into=City) == City("Rome")
    assert (host.sent[1].method, host.sent[1].body, host.sent[1].header("content-type")) == ("POST", b'{"a":1}', "application/json")
    with pytest.raises(refusal.Invalid, match="status 404"):
        http.get("https://a.example/gone").raise_for_status()
    with pytest.raises(refusal.Unavailable, match="status 503"):
        http.get("https://a.example/busy").raise_for_status()
    with pytest.raises(refusal.Denied):
        http.get("https://b.example/")
    with http.request("PUT", "https://a.example/").begin() as upload:
        upload.write("a")
        upload.write(b"b")
        assert upload.finish().text == "hi"
    assert host.sent[-1].body == b"ab"
    assert [page.text for page in http.parallel(["https://a.example/"] * 5, in_flight=3)] == ["hi"] * 5
    assert host.most_in_flight == 3


def test_other_skills_are_called(host):
    def give(input):
        if not input:
            raise Failure.invalid_input("nothing", hint="something")
        return {"name": "Rome"}

    host.tool("a/text", "hey").tool("a/city", give).tool("a/no", refusal.Denied("tools", "a/no", "no"))
    assert tools.call("a/text").text == "hey"
    assert tools.call("a/city", {"q": 1}, into=City) == City("Rome")
    assert host.calls == [("a/text", {}), ("a/city", {"q": 1})]
    with pytest.raises(tools.CallFailed) as failed:
        tools.call("a/city")
    assert (failed.value.kind, failed.value.hint) == ("invalid-input", "something")
    pending = [tools.start("a/text"), tools.start("a/no")]
    assert pending[0].wait().text == "hey"
    with pytest.raises(refusal.Denied):
        pending[1].wait()
    assert [listed.name for listed in tools.list()] == ["a/text", "a/city", "a/no"]


def test_a_person_is_asked(host):
    host.person("Ada", True, 3, "plain", refusal.Cancelled())
    assert user.ask("Who?", remember="who", timeout=2) == "Ada"
    assert user.confirm("Sure?") is True
    assert user.ask("How many?", int) == 3
    assert user.choose("Which?", ["plain", "formal"]) == "plain"
    with pytest.raises(refusal.Cancelled):
        user.ask("And?")
    with pytest.raises(refusal.Unavailable):
        user.ask("Anyone?")
    assert host.questions[0] == user.Question("Who?", None, 2000, "who")
    assert host.questions[3].schema == '{"type":"string","enum":["plain","formal"]}'


def test_the_rest(host):
    host.config(tone="plain", size=3).secret("T")
    assert (config.get("tone"), config.get("none", 1), config.get("size", into=int)) == ("plain", 1, 3)
    with pytest.raises(refusal.Invalid, match="the setting `tone`"):
        config.get("tone", into=int)
    assert secrets.exists("T") and not secrets.exists("U")
    log.info("read", file="a")
    assert host.logs == [fake.Line("info", "read", {"file": "a"})]
    assert list(progress.track(["a", "b"], "reading")) == ["a", "b"]
    assert [(report.done, report.total) for report in host.reports] == [(0, 2), (1, 2), (2, 2)]


def test_without_a_host_it_is_said():
    log.info("nobody hears")
    progress.report(1)
    with pytest.raises(NoHost, match=r"`kv.get` was called outside of a host"):
        kv.get("a")
    with fake.Host(), pytest.raises(AssertionError, match="It asked:\nWho"):
        model.ask("Who?")


def test_outcomes_join_their_text():
    assert Outcome("a", "b").text == "a\nb"
