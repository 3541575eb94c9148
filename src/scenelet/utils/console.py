"""Talk to the user on stderr; stdout is for results."""

import contextlib
import contextvars
import functools
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from scenelet.utils.text import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Item = TypeVar("Item")
FIRST_SECONDS, LINE_SECONDS = 2.0, 30.0
"""Until the first plain line of progress, and between two of them, where there is no terminal for a bar."""
BEAT_SECONDS = 0.5
"""Between two looks at whether a line is due, while an item is waited for."""
LONG_SECONDS = 300.0
"""Of sound: in a longer recording progress is told by what of it was read."""

_quiet = contextvars.ContextVar("scenelet_quiet", default=False)
_steps: contextvars.ContextVar["_Steps | None"] = contextvars.ContextVar("scenelet_steps", default=None)


@contextlib.contextmanager
def quiet(wanted: bool = True) -> Iterator[None]:
    """No talk and no bars within, in this thread or task alone; what went wrong is still said (`print_warning`)."""
    token = _quiet.set(_quiet.get() or wanted)
    try:
        yield
    finally:
        _quiet.reset(token)


def is_quiet() -> bool:
    """Whether this is within `quiet`."""
    return _quiet.get()


@functools.cache
def stderr() -> "Console":
    """The one console for talk."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_message(message: str) -> None:
    """One line of talk."""
    if not is_quiet():
        print_warning(message)


def print_warning(message: str) -> None:
    """One line that is said within `quiet` too: what went wrong while the rest goes on."""
    stderr().print(message, markup=False, soft_wrap=True)


def shows_progress() -> bool:
    """Whether bars show: on a terminal, and not within `quiet`."""
    return not is_quiet() and stderr().is_terminal


def progress_bar() -> "Progress":
    """A bar with what is done, time spent and time left; it shows only where `shows_progress`."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    return Progress(*columns, *times, console=stderr(), transient=True, disable=not shows_progress())


def track(items: Iterable[Item], description: str, total: int) -> Generator[Item, None, None]:
    """Yield the items under a progress bar; without a terminal, with a plain line now and then.

    While an item is waited for that reads a long recording in this thread, its seconds show too: see `report_progress`.
    """
    iterator = iter(items)
    with progress_bar() as bar:
        steps = _Steps(bar, description, total)
        with _heartbeat(steps.speak):
            while True:
                token = _steps.set(steps)
                try:
                    item = next(iterator)
                except StopIteration:
                    return
                finally:
                    _steps.reset(token)
                yield item
                steps.advance()


def report_progress(seconds: float, of: float) -> None:
    """Tell how much of a recording was read, s; it shows where `track` waits for it in this thread."""
    steps = _steps.get()
    if steps is not None and of > LONG_SECONDS:
        steps.report_progress(seconds, of)


class _Steps:
    """How far `track` is: items, and the sound of the one that it waits for; as a bar, or as lines."""

    def __init__(self, bar: "Progress", description: str, total: int) -> None:
        self.bar, self.description, self.total = bar, description, total
        self.task = bar.add_task(description, total=total, note="")
        self.started, self.lines = time.monotonic(), RateLimiter(FIRST_SECONDS)
        self.done, self.part, self.note = 0, 0.0, ""

    def advance(self) -> None:
        self.done, self.part, self.note = self.done + 1, 0.0, ""
        self.bar.update(self.task, completed=self.done, note="")
        if self.done < self.total:
            self.speak()

    def report_progress(self, seconds: float, of: float) -> None:
        self.part, self.note = min(seconds / of, 1.0), f"{duration(seconds)} of {duration(of)} of sound"
        self.bar.update(self.task, completed=self.done + self.part, note=self.note)

    def speak(self) -> None:
        """A plain line, where one is due."""
        if not self.bar.disable or not self.lines.due():
            return
        spent, done = time.monotonic() - self.started, self.done + self.part
        when = f"about {duration(spent / done * (self.total - done))} left" if done else f"{duration(spent)} so far"
        note = f"{self.note}, " if self.note else ""
        print_message(f"{self.description}: {self.done:,} of {self.total:,}, {note}{when}")


@contextlib.contextmanager
def spinner(description: str) -> Iterator[None]:
    """A spinner and the time spent, around one piece of work of unknown length; without a terminal, lines of it.

    Neither bars nor lines of talk may come from within.
    """
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), "[progress.description]{task.description}", TimeElapsedColumn())
    started, lines = time.monotonic(), RateLimiter(FIRST_SECONDS)

    def speak() -> None:
        if lines.due():
            print_message(f"{description}: {duration(time.monotonic() - started)} so far")

    with (
        Progress(*columns, console=stderr(), transient=True, disable=not shows_progress()) as progress,
        _heartbeat(speak),
    ):
        progress.add_task(description, total=None)
        yield


@contextlib.contextmanager
def _heartbeat(speak: Callable[[], None]) -> Iterator[None]:
    """Call `speak` again and again from a thread, where there are lines in place of a bar."""
    if shows_progress() or is_quiet():
        yield
        return
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_SECONDS):
            speak()

    thread = threading.Thread(target=contextvars.copy_context().run, args=(beat,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class RateLimiter:
    """Whether another plain line of progress is due: each `LINE_SECONDS` one, the first after `first` seconds."""

    def __init__(self, first: float = LINE_SECONDS) -> None:
        self._next = time.monotonic() + first
        self._one = threading.Lock()

    def due(self) -> bool:
        """True at most once in `LINE_SECONDS`, whichever thread asks."""
        with self._one:
            if time.monotonic() < self._next:
                return False
            self._next = time.monotonic() + LINE_SECONDS
            return True
