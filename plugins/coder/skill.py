"""Makes a small working project from a prompt: asks, plans, writes file by file, reviews, and goes on where it was cut off."""

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import dialogue
import disk
import paths
import prompts
import store
from project import MOST_FILES, Answer, File, Project, ordered
from ringfence import Context, Failure, Outcome, config, log, progress, refusal, tool, user
from store import Kept
from work import Clock, Said, Work, room

Rounds = Annotated[int, {"minimum": 1, "maximum": 5}]
# What is kept of each project must fit into one value of `kv`, whatever a model says.
_QUESTION = 400
_LONG = 4000
_LONGEST_PROMPT = 100_000
_MOST_CHANGES = 20


@dataclass
class ShownFile:
    """One file of a project."""

    path: str
    purpose: str
    state: Literal["to write", "to change", "written", "reviewed", "yours", "deleted"]
    """`yours`: it is not as this skill wrote it, and is never overwritten."""


@dataclass
class Shown:
    """A project, and how far it is."""

    name: str
    folder: str
    """Below the granted folder."""
    complete: bool
    """Nothing is left to write."""
    summary: str
    run: str
    """The commands that run it, and its tests."""
    files: list[ShownFile]
    answers: list[Answer]
    """What the prompt left open, and what was answered or assumed."""
    notes: list[str]
    """What the last review found and did not correct."""


@dataclass
class Projects:
    """The projects that are known."""

    projects: list[Shown]


@tool(title="Plan a project", output=Shown)
def plan(prompt: str, name: str | None = None, language: str | None = None, replan: bool = False) -> Outcome:
    """Plans a small project: asks what the prompt leaves open, and gives the files with what is in each. Writes none: `build` does.

    Args:
        prompt: What the project shall do, for whom, and what matters.
        name: What to call it, and its folder. Without it the model finds a name.
        language: The programming language. Without it the one that suits best.
        replan: Plan a project of this name anew. Files that were written stay, and are written anew where nobody has changed them.
    """
    said = Said()
    kept = _planned(_given("prompt", prompt), name, language, replan, said)
    return _outcome(Work(kept, said, Clock(Context("", "user", 0))), f"`build` with the name `{kept.project.name}` writes it.")


@tool(title="Build a project", output=Shown)
def build(context: Context, name: str | None = None, prompt: str | None = None, language: str | None = None) -> Outcome:
    """Writes a project into its folder, file by file, then reads and corrects it. Plans it first where it is not planned yet.

    Args:
        name: The project's name. It may be left out where a prompt is given.
        prompt: What the project shall do, where it is not planned yet.
        language: The programming language, where it is not planned yet.
    """
    clock, said = Clock(context), Said()
    disk.ready()
    kept = store.find(store.key(name)) if name else _begun(prompt or "")
    if kept is None:
        if not (prompt and prompt.strip()):
            # Says which projects there are.
            return _advanced(store.get(_given("name", name or "")), said, clock)
        kept = _planned(_given("prompt", prompt), name, language, False, said)
    elif prompt and prompt.strip() != kept.project.prompt:
        raise Failure.invalid_input(
            f"`{kept.project.name}` is planned with another prompt",
            hint="leave the prompt out to go on with it; `revise` changes it; `plan` with `replan` begins anew",
        )
    return _advanced(kept, said, clock)


@tool(title="Go on with a project", output=Shown)
def resume(context: Context, name: str, adopt: bool = False) -> Outcome:
    """Goes on where a call was cut off: by its deadline, a budget, or anything else. Files that you have changed stay as they are.

    Args:
        name: The project's name.
        adopt: Take files that you have changed for the project's own, so that they may be changed too.
    """
    return _advanced(store.get(name), Said(), Clock(context), adopt)


@tool(title="Show a project", read_only=True, output=Projects)
def status(name: str | None = None) -> Outcome:
    """Shows how far a project is, or all of them: what is written, what is reviewed, and what you have changed. Asks no model.

    Args:
        name: The project's name. Without it all projects.
    """
    names = [store.key(name)] if name else store.names()
    works = [Work(store.get(each), Said(), Clock(Context("", "user", 0))) for each in names]
    said = "\n\n".join(_text(work) for work in works) or "There is no project yet: `plan` or `build` begins one."
    return Outcome(said, structured=asdict(Projects([_shown(work) for work in works])))


@tool(title="Review a project", output=Shown)
def review(context: Context, name: str, rounds: Rounds = 1, adopt: bool = False) -> Outcome:
    """Reads all files of a project once more, and corrects what is wrong. Files that you have changed are read and not corrected.

    Args:
        name: The project's name.
        rounds: At most how often to read and correct.
        adopt: Take files that you have changed for the project's own, so that they may be corrected too.
    """
    kept = _finished(name)
    for file in kept.project.files:
        file.reviewed = ""
    kept.project.rounds = rounds
    return _advanced(kept, Said(), Clock(context), adopt)


@tool(title="Change a project", output=Shown)
def revise(context: Context, name: str, change: str, adopt: bool = False) -> Outcome:
    """Changes a project as you wish: finds the files that are concerned, changes or adds them, and reviews what it did.

    Where you have changed a file that is concerned, yours stays, and the new one is written beside it as `.proposed`.

    Args:
        name: The project's name.
        change: What to change.
        adopt: Take files that you have changed for the project's own, and change them at their place.
    """
    _given("change", change)
    clock, said = Clock(context), Said()
    disk.ready()
    kept = _finished(name)
    work = Work(kept, said, clock)
    work.settle()
    if adopt:
        work.adopt()
    _revised(work, change)
    kept.save()
    work.go()
    return _outcome(work)


@tool(title="Forget a project", destructive=True, idempotent=True)
def forget(name: str) -> str:
    """Forgets what is known about a project. Its files stay where they are, and are yours from then on.

    Args:
        name: The project's name.
    """
    key = store.key(name)
    return f"Forgot `{key}`. Its files stay." if store.forget(key) else f"There was no project `{key}`."


def _begun(prompt: str) -> Kept | None:
    """The project of this prompt that is not complete: whoever says the same again after a call was cut off means that one."""
    known = [store.get(name) for name in store.names()] if prompt.strip() else []
    return next((each for each in known if each.project.prompt == prompt.strip() and each.project.unfinished), None)


def _given(name: str, text: str) -> str:
    if not text.strip():
        raise Failure.invalid_input(f"`{name}` is empty", hint=f"give the {name}")
    if len(text) > _LONGEST_PROMPT // (_MOST_CHANGES if name == "change" else 1):
        raise Failure.invalid_input(f"`{name}` is too long: {len(text)} characters", hint="say it shorter, or in several changes")
    return text.strip()


def _finished(name: str) -> Kept:
    kept = store.get(name)
    if kept.project.unfinished:
        raise Failure.invalid_input(f"`{kept.project.name}` is not complete yet", hint="`resume` it first")
    return kept


def _planned(prompt: str, name: str | None, language: str | None, replan: bool, said: Said) -> Kept:
    """Asks, plans, and keeps the plan."""
    old = store.find(store.key(name)) if name else None
    if old is not None and not replan and any(file.written for file in old.project.files):
        raise Failure.invalid_input(
            f"there is a project `{old.project.name}` already",
            hint="`revise` changes it; give another name, or `replan` to plan it anew",
        )
    progress.say("planning")
    answers = _settled(prompt, language or "", said)
    project = Project("", prompt.strip(), (language or "").strip()[:_QUESTION], "", "", answers, [], _setting("rounds", 2))
    most = _setting("files", MOST_FILES)
    made = dialogue.value(prompts.plan(project, most), prompts.Plan, "plan", lambda plan: _faults(plan, most))
    project.name = store.key(name) if name else store.free(made.name)
    project.language = project.language or made.language.strip()[:_QUESTION]
    project.summary, project.run = made.summary.strip()[:_LONG], made.run.strip()[:_LONG]
    project.files = ordered([File(each.path, each.purpose.strip()[:_LONG], each.needs, "write") for each in made.files])
    if old is not None:
        Work(old, said, Clock(Context("", "user", 0))).settle()
    for file in project.files:
        # What was written before is known again, so that it may be written anew.
        before = old.project.file(file.path) if old else None
        file.written, file.proposed = (before.written, before.proposed) if before else ("", "")
    kept = Kept(project, old.version if old else None)
    kept.save()
    said(f"planned `{project.name}`: {project.summary}")
    for file in project.files:
        said(f"- `{file.path}`: {file.purpose}")
    return kept


def _faults(plan: prompts.Plan, most: int) -> list[str]:
    """What is wrong with a plan. What means nothing is put right instead."""
    for file in plan.files:
        file.path = paths.plain(file.path)
        file.needs = [paths.plain(need) for need in file.needs]
    folder = plan.files[0].path.split("/")[0] + "/" if plan.files else ""
    inside = all(file.path.startswith(folder) for file in plan.files)
    if inside and store.slug(folder) == store.slug(plan.name) and any(file.path == f"{folder}README.md" for file in plan.files):
        # The project has a folder of its own already. Without a README in it the folder may be a package.
        for file in plan.files:
            file.path = file.path.removeprefix(folder)
            file.needs = [need.removeprefix(folder) for need in file.needs]
    if not plan.files:
        return ["it has no files"]
    if len(plan.files) > most:
        return [f"it has {len(plan.files)} files, and at most {most} are allowed"]
    found = paths.faults(file.path for file in plan.files)
    found += [f"the file `{file.path}` has no purpose" for file in plan.files if not file.purpose.strip()]
    if not found and all("." not in file.path for file in plan.files):
        # A model that can only quote fills names with words of the prompt.
        found.append("no file has a name as files have, for example `main.py`")
    known = {file.path for file in plan.files}
    for file in plan.files:
        file.needs = [need for need in dict.fromkeys(file.needs) if need in known and need != file.path]
    return found


def _settled(prompt: str, language: str, said: Said) -> list[Answer]:
    """What the prompt leaves open: asked where somebody is there, otherwise assumed. No refusal here ends the plan."""
    most = _setting("questions", 3)
    if not most:
        return []
    try:
        asked = dialogue.value(prompts.questions(prompt, language, most), prompts.Questions, "questions").questions
    except (Failure, refusal.Unavailable, refusal.TimedOut) as error:
        log.warn("there are no questions", why=error.message)
        return []
    answers: list[Answer] = []
    somebody = True
    for each in asked[:most]:
        question, assumption = _short(each.question), _short(each.assumption) or "whatever is simplest"
        if not question:
            continue
        answer = ""
        if somebody:
            try:
                answer = user.ask(f"{question}\n(Leave it empty for: {assumption})").strip()
            except refusal.Cancelled:
                # An empty line at the terminal. If the whole call was cancelled, the next model call says so.
                pass
            except refusal.Refusal as error:
                log.info("nobody answers", why=error.message)
                somebody = False
        answers.append(Answer(question, answer or assumption, not answer))
        said(f"{question} {answer}" if answer else f"assumed: {question} {assumption}")
    return answers


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _QUESTION else f"{plain[: _QUESTION - 3]}..."


def _revised(work: Work, change: str) -> None:
    """Finds the files that a change concerns, and makes it into work."""
    project, most = work.project, _setting("files", MOST_FILES)
    progress.say("planning the change")
    asked = prompts.revise(project, change, work.files(), room())

    def faults(made: prompts.Revision) -> list[str]:
        for each in made.changes:
            each.path = paths.plain(each.path)
        new = [each.path for each in made.changes if project.file(each.path) is None]
        if not made.changes:
            return ["it changes no file"]
        if len(project.files) + len(set(new)) > max(most, len(project.files)):
            return [f"the project would have more than {most} files"]
        known = [file.path for file in project.files]
        empty = [f"`{each.path}` has no change" for each in made.changes if not each.what.strip()]
        return paths.faults([*known, *dict.fromkeys(new)]) + empty

    made = dialogue.value(asked, prompts.Revision, "plan of the change", faults)
    project.changes = [*project.changes, change.strip()][-_MOST_CHANGES:]
    project.summary = made.summary.strip()[:_LONG] or project.summary
    project.run = made.run.strip()[:_LONG] or project.run
    new = []
    for each in made.changes:
        file, what = project.file(each.path), each.what.strip()[:_LONG]
        if file is None:
            file = File(each.path, what, [need for need in each.needs if need != each.path], "write")
            project.files.append(file)
            new.append(file)
            work.said(f"to add: `{each.path}`: {what}")
        else:
            file.todo = f"{file.todo}\n- {what}" if file.todo and file.todo != "write" else file.todo or f"- {what}"
            work.said(f"to change in `{each.path}`: {what}")
    if new:
        project.files = ordered(project.files)
    project.rounds = _setting("rounds", 2)


def _advanced(kept: Kept, said: Said, clock: Clock, adopt: bool = False) -> Outcome:
    disk.ready()
    work = Work(kept, said, clock)
    work.settle()
    if adopt:
        work.adopt()
    work.go()
    return _outcome(work)


def _outcome(work: Work, more: str = "") -> Outcome:
    shown = _shown(work)
    said = work.said
    if more:
        said(more)
    elif shown.complete and work.in_time:
        said(f"`{shown.name}` is complete, in the folder `{shown.folder}`." + (f" Run it by:\n{shown.run}" if shown.run else ""))
        theirs = [f"`{file.path}`" for file in shown.files if file.state == "yours"]
        if theirs:
            said(f"Yours, and left alone: {', '.join(theirs)}. With `adopt` they are changed too.")
    return Outcome(said.text, structured=asdict(shown))


def _shown(work: Work) -> Shown:
    project = work.project
    files = [ShownFile(file.path, file.purpose, work.state(file)) for file in project.files]
    complete = not any(file.state in ("to write", "to change", "deleted") for file in files)
    return Shown(project.name, project.name, complete, project.summary, project.run, files, project.answers, project.notes)


def _text(work: Work) -> str:
    shown = _shown(work)
    lines = [f"{shown.name}: {shown.summary}", *(f"- {file.path}: {file.state}" for file in shown.files)]
    return "\n".join([*lines, *(f"noticed: {note}" for note in shown.notes)])


def _setting(key: str, default: int) -> int:
    return config.get(key, default, into=int)
