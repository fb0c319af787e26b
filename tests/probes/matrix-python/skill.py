"""Every function of the interface, one tool for each, for the host's own tests."""

import os
import secrets as chance
import time
from dataclasses import dataclass
from typing import Any, Literal

from ringfence import Context, Failure, Image, Link, Outcome, Refusal, config, http, kv, log, model, progress, secrets, tool, tools, user


@tool(read_only=True)
def echo(text: str) -> str:
    """Gives the text back.

    Args:
        text: What to give back.
    """
    return text


@dataclass
class Point:
    """A place."""

    x: float
    y: float


@dataclass
class Shapes:
    """What was given."""

    count: int
    ratio: float
    flag: bool
    words: list[str]
    note: str | None
    mode: Literal["fast", "slow"]
    point: Point


@tool(read_only=True)
def shapes(
    count: int, ratio: float, flag: bool, words: list[str], mode: Literal["fast", "slow"], point: Point, note: str | None = None
) -> Shapes:
    """Gives values of every kind back.

    Args:
        count: How many.
        ratio: How much.
        flag: Whether.
        words: Which.
        mode: How.
        point: Where.
        note: Anything else.
    """
    return Shapes(count, ratio, flag, words, note, mode, point)


@tool
def logs() -> str:
    """Writes a line at each level."""
    for n, level in enumerate(("trace", "debug", "info", "warn", "error")):
        log.write(level, f"line at {level}", n=n)
    return "ok"


@tool(name="progress")
def show_progress() -> str:
    """Reports progress and emits text."""
    progress.report(1, 3, "one")
    progress.report(2, 3)
    progress.report(3, 3)
    for piece in "abc":
        progress.emit(piece)
    return "abc"


@dataclass
class Setting:
    """A setting."""

    value: Any


@tool
def setting(key: str) -> Setting:
    """Reads a setting.

    Args:
        key: Its name.
    """
    return Setting(config.get(key))


@dataclass
class State:
    """What each act on the key gave."""

    missing: bool
    first: int
    conflict: int | None
    second: int
    value: str
    keys: list[str]
    deleted: bool


@tool
def state(key: str) -> State:
    """Does everything that can be done with a key.

    Args:
        key: The key.
    """
    missing = kv.entry(key) is None
    first = kv.set_bytes(key, b"one", if_absent=True)
    conflict = None
    try:
        kv.set_bytes(key, b"x", if_absent=True)
    except kv.Conflict as error:
        conflict = error.version
    second = kv.set_bytes(key, b"two", if_version=first)
    value = (kv.get_bytes(key) or b"").decode()
    keys = list(kv.keys(key))
    kv.delete(key)
    return State(missing, first, conflict, second, value, keys, deleted=kv.entry(key) is None)


@dataclass
class Fetched:
    """A response."""

    status: int
    body: str


@tool(open_world=True)
def fetch(url: str, header: str | None = None) -> Fetched:
    """Gets a URL.

    Args:
        url: The URL.
        header: A value for the header `authorization`.
    """
    response = http.get(url, headers={} if header is None else {"authorization": header})
    return Fetched(response.status, response.text)


@dataclass
class Bodies:
    """Bodies of responses."""

    bodies: list[str]


@tool(open_world=True)
def fetch_many(urls: list[str]) -> Bodies:
    """Gets several URLs at the same time.

    Args:
        urls: The URLs.
    """
    started = [http.request("GET", url).start() for url in urls]
    return Bodies([pending.wait().text for pending in started])


@tool(open_world=True)
def send_up(url: str, chunks: list[str]) -> Fetched:
    """Posts a body piece by piece.

    Args:
        url: Where to.
        chunks: The pieces.
    """
    with http.request("POST", url).begin() as upload:
        for chunk in chunks:
            upload.write(chunk)
        response = upload.finish()
    return Fetched(response.status, response.text)


@dataclass
class Exists:
    """Whether it is there."""

    exists: bool


@tool
def secret(name: str) -> Exists:
    """Says whether a secret may be used.

    Args:
        name: Its name.
    """
    return Exists(secrets.exists(name))


@dataclass
class Answer:
    """An answer."""

    text: str
    model: str
    output_tokens: int


@tool
def ask(prompt: str, model: str | None = None) -> Answer:
    """Asks a model.

    Args:
        prompt: What to ask.
        model: Which model.
    """
    answer = asked(prompt, model)
    return Answer(answer.text, answer.model, answer.usage.output_tokens)


def asked(prompt: str, name: str | None) -> model.Response:
    return model.ask(prompt, model=name)


@dataclass
class Streamed:
    """A streamed answer."""

    text: str
    pieces: int


@tool
def stream(prompt: str) -> Streamed:
    """Asks a model and shows the answer as it comes.

    Args:
        prompt: What to ask.
    """
    pieces = []
    for piece in model.stream(prompt):
        progress.emit(piece)
        pieces.append(piece)
    return Streamed("".join(pieces), len(pieces))


@dataclass
class Texts:
    """Texts."""

    texts: list[str]


@tool
def parallel(prompts: list[str]) -> Texts:
    """Asks several things at the same time.

    Args:
        prompts: What to ask.
    """
    return Texts([answer.text for answer in model.parallel(prompts, in_flight=len(prompts))])


@dataclass
class City:
    """A city."""

    city: str
    """Its name."""
    population: int
    """How many live there."""


@tool
def structured(prompt: str) -> City:
    """Asks a model for a city.

    Args:
        prompt: What to ask.
    """
    return model.ask(prompt, into=City)


@dataclass
class Looped:
    """The end of a tool loop."""

    text: str
    calls: int


@tool
def tool_loop(prompt: str) -> Looped:
    """Asks a model that may add numbers.

    Args:
        prompt: What to ask.
    """
    calls = 0

    def add(a: int, b: int) -> str:
        """Adds two numbers.

        Args:
            a: One.
            b: The other.
        """
        nonlocal calls
        calls += 1
        return str(a + b)

    answer = model.run(prompt, tools=[add])
    return Looped(answer.text, calls)


@dataclass
class Dimensions:
    """Sizes of vectors."""

    dimensions: list[int]


@tool
def embed(texts: list[str]) -> Dimensions:
    """Makes vectors of texts.

    Args:
        texts: The texts.
    """
    return Dimensions([len(vector) for vector in model.embed(texts).vectors])


@dataclass
class Names:
    """Names."""

    names: list[str]


@tool
def models() -> Names:
    """Lists the models that may be used."""
    return Names([each.name for each in model.models()])


@tool
def list_tools() -> Names:
    """Lists the tools of other skills that may be called."""
    return Names([each.name for each in tools.list()])


@dataclass
class Called:
    """What another tool gave."""

    text: str
    structured: Any


@tool
def call_tool(name: str, input: dict[str, Any]) -> Called:
    """Calls a tool of another skill.

    Args:
        name: `skill/tool`.
        input: Its input.
    """
    outcome = tools.call(name, input)
    return Called(outcome.text, outcome.structured)


@tool
def call_many(name: str, inputs: list[dict[str, Any]]) -> Texts:
    """Calls a tool of another skill several times at the same time.

    Args:
        name: `skill/tool`.
        inputs: Its inputs.
    """
    started = [tools.start(name, input) for input in inputs]
    return Texts([pending.wait().text for pending in started])


@dataclass
class Told:
    """What the person said."""

    answer: str


@tool
def ask_person(question: str) -> Told:
    """Asks the person.

    Args:
        question: What to ask.
    """
    return Told(user.ask(question))


@dataclass
class Confirmed:
    """Whether the person agreed."""

    answer: bool


@tool
def confirm_person(question: str) -> Confirmed:
    """Asks the person for a yes or a no.

    Args:
        question: What to ask.
    """
    return Confirmed(user.confirm(question))


@tool
def read_file(path: str) -> str:
    """Reads a file.

    Args:
        path: Where it is.
    """
    with open(path, encoding="utf-8") as file:
        return file.read()


@tool
def write_file(path: str, text: str) -> str:
    """Writes a file.

    Args:
        path: Where to.
        text: What.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return "ok"


@tool
def list_files(path: str) -> Names:
    """Lists a folder.

    Args:
        path: The folder.
    """
    return Names(sorted(os.listdir(path)))


@dataclass
class TimeAndChance:
    """The time, and something random."""

    now_ms: int
    random: str


@tool
def time_and_chance() -> TimeAndChance:
    """Gives the time, and something random."""
    return TimeAndChance(time.time_ns() // 1_000_000, chance.token_hex(16))


@tool
def give_up(message: str, hint: str | None = None) -> str:
    """Fails because of the input.

    Args:
        message: What happened.
        hint: What to do.
    """
    raise Failure.invalid_input(message, hint=hint)


def deep(message: str) -> str:
    raise ValueError(message)


@tool
def crash(message: str) -> str:
    """Raises an exception that nothing catches.

    Args:
        message: Its message.
    """
    return deep(message)


@dataclass
class Refused:
    """A refusal."""

    kind: str
    message: str
    hint: str | None


@tool
def refusal(prompt: str, model: str) -> Refused:
    """Asks a model, and gives the refusal.

    Args:
        prompt: What to ask.
        model: Which model.
    """
    try:
        asked(prompt, model)
    except Refusal as refused:
        return Refused(refused.kind, refused.message, refused.hint)
    raise Failure("the model answered")


@dataclass
class Who:
    """The invocation."""

    invocation: str
    caller: str
    deadline_ms: int
    locale: str | None


@tool
def who(context: Context) -> Who:
    """Says what is known about the invocation."""
    return Who(context.invocation, context.caller, context.deadline_ms, context.locale)


@tool
def media() -> Outcome:
    """Gives content of several kinds."""
    return Outcome("here", Image("image/png", bytes([1, 2, 3])), Link("https://example.com/", title="Example"))


@tool
def spin() -> None:
    """Computes for ever."""
    while True:
        pass


@tool
def big(bytes: int) -> str:
    """Gives a long text.

    Args:
        bytes: How long.
    """
    return "x" * bytes


@tool
def unicode() -> str:
    """Gives text of many scripts."""
    return "Grüße, 世界 👋🏽 é"
