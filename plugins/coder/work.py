"""Work on a project: what is to be written is written, then read and corrected, and after each step the state is kept.

A call may end at any moment: at its deadline, because a budget is used up, or because the machine goes off. The next one goes
on from what was kept, and finds out from the digests of the files what it does not know.
"""

import time

import checks
import dialogue
import disk
import prompts
from project import File, Project
from ringfence import Context, Failure, Refusal, failure, log, model, progress, refusal, text as texts
from store import Kept

# Seconds that are left for keeping and answering.
_SPARE = 2.0
_MOST_FINDINGS = 20
_LONGEST_FINDING = 1000


class Said:
    """What the caller is told, at once and again in the outcome."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        progress.emit(f"{line}\n")
        self.lines.append(line)

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines)


class Clock:
    """The time that a call has, and what a step takes of it."""

    def __init__(self, context: Context) -> None:
        # A context without a deadline is one of a model's tool loop.
        self._end = time.monotonic() + context.deadline_ms / 1000 if context.deadline_ms > 0 else float("inf")
        self._longest = 0.0
        self._begun = time.monotonic()

    def begin(self) -> bool:
        """Begins a step; False where it would probably not be done in time."""
        self._begun = time.monotonic()
        return self._begun + self._longest * 1.5 + _SPARE < self._end

    def done(self) -> None:
        """The step is done."""
        self._longest = max(self._longest, time.monotonic() - self._begun)


class Work:
    """Work on one project."""

    def __init__(self, kept: Kept, said: Said, clock: Clock) -> None:
        self.kept, self.said, self.clock = kept, said, clock
        self.in_time = True

    @property
    def project(self) -> Project:
        """The project."""
        return self.kept.project

    def go(self) -> None:
        """Writes and reviews until all is done or the time is over."""
        disk.ready()
        try:
            if self._write() and self._review():
                return
        except (Refusal, Failure) as error:
            if isinstance(error, refusal.Cancelled) or not self.project.unfinished:
                raise
            told = failure.of(error, "")
            more = f"{self._done()}, and `resume` goes on"
            hint = f"{told.hint}; {more}" if told.hint else more
            raise Failure(told.message, hint=hint, kind=told.kind) from error
        self.in_time = False
        self.said(f"The time of this call is nearly over, {self._done()}. `resume` goes on.")

    def settle(self) -> None:
        """Finds out what became of writes in the middle of which a call was cut off, and of files that were deleted."""
        for file in self.project.files:
            if file.intended:
                self._sweep(file)
                if self._digest(file) == file.intended:
                    file.written, file.todo, file.optional = file.intended, "", False
                file.intended = ""
            if file.written and not file.todo and self._digest(file) is None and not self._blocked(file):
                self.said(f"`{file.path}` was deleted: it is written again")
                file.todo, file.written, file.reviewed = "write", "", ""

    def adopt(self) -> None:
        """Takes files as they are for the project's own, so that they may be changed."""
        for file in self.project.files:
            text = self._text(file)
            if text is not None and self.is_theirs(file):
                wrong = checks.problem(file.path, text) if len(text.encode(errors="replace")) > disk.MOST_BYTES else None
                if wrong or "\ufffd" in text:
                    self.said(f"`{file.path}` stays yours: {wrong or 'it is no text in UTF-8'}")
                    continue
                file.written, file.reviewed, file.optional = self._digest(file) or "", "", False
                file.todo = "" if file.todo == "write" else file.todo
                self.said(f"`{file.path}` is taken over as it is")

    def is_theirs(self, file: File) -> bool:
        """Whether something is there that this skill did not write."""
        if self._blocked(file):
            return True
        found = self._digest(file)
        return found is not None and found not in (file.written, file.intended)

    def state(self, file: File) -> str:
        """How far a file is, for people."""
        if self.is_theirs(file):
            return "yours"
        if self._digest(file) is None:
            return "to write" if file.todo or not file.written else "deleted"
        if file.todo and not (file.intended and self._digest(file) == file.intended):
            return "to change"
        return "reviewed" if file.reviewed == file.written else "written"

    def files(self) -> list[tuple[File, str]]:
        """The files that are there, with what is in them."""
        found = [(file, self._text(file)) for file in self.project.files]
        return [(file, text) for file, text in found if text is not None]

    def _write(self) -> bool:
        """Writes what is to be written; False where the time was over before."""
        todo = self.project.unfinished
        total, there = len(self.project.files), len(self.project.files) - len(todo)
        for done, file in enumerate(todo, there):
            if not self.clock.begin():
                return False
            progress.report(done, total, f"writing {file.path}")
            self._write_one(file)
            self.clock.done()
        if todo:
            progress.report(total, total, "written")
        return True

    def _write_one(self, file: File) -> None:
        theirs = self.is_theirs(file)
        if theirs and (file.optional or file.todo == "write" or self._blocked(file)):
            self.said(f"`{file.path}` is yours and stays as it is")
            self._over(file)
            return
        found = self._digest(file)
        # What is written anew is not a change of what was there.
        now = None if file.todo == "write" else self._text(file)
        others = [(other, text) for other, text in self.files() if other is not file]
        left = max(500, room() - texts.estimate_tokens(now or ""))
        text = dialogue.file(prompts.write(self.project, file, now, others, left), file.path)
        data = text.encode()
        if theirs:
            self._propose(file, data)
            return
        file.intended = disk.digest(data)
        self.kept.save()
        try:
            disk.write(self.project.name, file.path, data, found)
        except disk.Theirs as error:
            self.said(f"`{file.path}` is not written: {error}")
            file.intended = ""
            self._over(file)
            return
        if file.written != file.intended:
            file.reviewed = ""
        file.written, file.intended = file.intended, ""
        lines = text.count("\n")
        self.said(f"{'wrote' if found is None else 'changed'} `{file.path}` ({lines} line{'' if lines == 1 else 's'})")
        self._over(file)

    def _propose(self, file: File, data: bytes) -> None:
        """Both are kept: the person's at its place, and the new one beside it."""
        path = f"{file.path}.proposed"
        try:
            there = disk.read(self.project.name, path)
            expected = None if there is None else disk.digest(there)
            if expected not in (None, file.proposed, disk.digest(data)):
                raise disk.Theirs("it is there already and not this skill's: move it away")
            disk.write(self.project.name, path, data, expected)
        except disk.Theirs as error:
            self.said(f"`{file.path}` is yours and stays as it is; `{path}` is not written: {error}")
        else:
            file.proposed = disk.digest(data)
            self.said(f"`{file.path}` is yours and stays as it is; the changed one is `{path}`")
        self._over(file)

    def _over(self, file: File) -> None:
        file.todo, file.optional = "", False
        self.kept.save()

    def _review(self) -> bool:
        """Reads what was written, and corrects it, as often as is left; False where the time was over before."""
        project = self.project
        while project.rounds > 0:
            files = self.files()
            new = [(file, text) for file, text in files if self._unread(file)]
            if not new:
                project.rounds = 0
                self.kept.save()
                break
            if not self.clock.begin():
                return False
            progress.say("reviewing")
            findings = self._findings(new, files)
            self.clock.done()
            if findings is None:
                return True
            self._assign(findings, new)
            if not project.unfinished:
                self.said("reviewed: nothing to correct" if not project.notes else "reviewed: nothing that could be corrected")
            if not self._write():
                return False
        unread = [f"`{file.path}`" for file in project.files if self._unread(file)]
        if unread:
            self.said(f"not read again after its last change: {', '.join(unread)}")
        return True

    def _unread(self, file: File) -> bool:
        return bool(file.written) and file.reviewed != file.written and not self.is_theirs(file)

    def _findings(self, new: list[tuple[File, str]], files: list[tuple[File, str]]) -> list[prompts.Finding] | None:
        """What is wrong; None where the model cannot say."""
        wrong = [(file.path, checks.problem(file.path, text)) for file, text in new]
        found = [prompts.Finding(path, problem, "Correct it.") for path, problem in wrong if problem]
        for group in _groups(new, room()):
            names = [file.path for file, _ in group]
            others = [each for each in files if each[0].path not in names]
            try:
                found += dialogue.value(prompts.review(self.project, group, others, room()), prompts.Review, "review").findings
            except Failure as error:
                # The files are there and stay: a review that fails takes nothing from them.
                log.warn("there is no review", why=error.message)
                self.said(f"not reviewed: {error.message}")
                return None
        return [each for each in found if each.problem.strip()][:_MOST_FINDINGS]

    def _assign(self, findings: list[prompts.Finding], new: list[tuple[File, str]]) -> None:
        """Makes findings into work, and keeps that together with the round that is used up by it."""
        project = self.project
        project.notes = []
        wrong: dict[str, list[str]] = {}
        for each in findings:
            file = project.file(meant(each.path))
            line = f"{each.problem.strip()} {each.fix.strip()}".strip()[:_LONGEST_FINDING]
            if file is None or self.is_theirs(file) or not file.written:
                project.notes.append(f"{each.path[:100]}: {line}")
            else:
                wrong.setdefault(file.path, []).append(line)
        for file, _ in new:
            if file.path not in wrong:
                file.reviewed = file.written
        for path, lines in wrong.items():
            file = project.file(path)
            assert file is not None
            file.todo, file.optional, file.reviewed = "\n".join(f"- {line}" for line in lines), True, ""
            self.said(f"to correct in `{path}`: {'; '.join(lines)}")
        for note in project.notes:
            self.said(f"noticed, and left to you: {note}")
        project.rounds -= 1
        self.kept.save()

    def _digest(self, file: File) -> str | None:
        try:
            found = disk.read(self.project.name, file.path)
        except disk.Theirs:
            return None
        return None if found is None else disk.digest(found)

    def _text(self, file: File) -> str | None:
        try:
            found = disk.read(self.project.name, file.path)
        except disk.Theirs:
            return None
        return None if found is None else found.decode(errors="replace")

    def _blocked(self, file: File) -> bool:
        try:
            disk.read(self.project.name, file.path)
        except disk.Theirs:
            return True
        return False

    def _sweep(self, file: File) -> None:
        disk.sweep(self.project.name, file.path, file.intended)

    def _done(self) -> str:
        project = self.project
        return f"{len(project.files) - len(project.unfinished)} of {len(project.files)} files are done"


def meant(path: str) -> str:
    """The path that a finding means: models write it as they saw it, or with `./`."""
    return path.strip().strip("`").removeprefix("./")


def _groups(files: list[tuple[File, str]], room: int) -> list[list[tuple[File, str]]]:
    """Files that are looked at together: as many as fit into one question."""
    groups: list[list[tuple[File, str]]] = []
    left = 0
    for file, text in files:
        size = texts.estimate_tokens(text) + 40
        if not groups or size > left:
            groups.append([])
            left = room
        groups[-1].append((file, text))
        left -= size
    return groups


def room() -> int:
    """How many tokens of files go into one question: half of the model's window, at most 24,000."""
    window = next((each.context_window for each in model.models() if each.name == "default"), None)
    return max(500, min(24000, (window or 16000) // 2))
