"""Messages, progress bars and spinners on stderr. Results go to stdout."""

import contextlib
import contextvars
import functools
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from scenelet.utils.text import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Item = TypeVar("Item")
MIN_LONG_SECONDS = 300.0
"""Duration from which a recording reports its own progress while it is read."""


@dataclass(frozen=True)
class LineTiming:
    """Times at which plain progress lines are printed. They replace bars if stderr is not a terminal.

    Attributes:
        first_seconds: time until the first line.
        interval_seconds: minimum time between two lines.
        poll_seconds: time between two checks whether a line is due.
        clock: a clock that never goes back, in seconds.
    """

    first_seconds: float = 2.0
    interval_seconds: float = 30.0
    poll_seconds: float = 0.5
    clock: Callable[[], float] = time.monotonic


DEFAULT_TIMING = LineTiming()

_quiet = contextvars.ContextVar("scenelet_quiet", default=False)
_progress_only = contextvars.ContextVar("scenelet_progress_only", default=False)

# `track` stores its state here while it waits, and `report_progress` looks it up. Each thread has its own value.
_waiting: contextvars.ContextVar["TrackedItems | None"] = contextvars.ContextVar("scenelet_waiting", default=None)


@contextlib.contextmanager
def quiet(wanted: bool = True) -> Iterator[None]:
    """Suppress messages and progress bars in this thread or task. Warnings are still shown.

    >>> with quiet():
    ...     print_message("this is not printed")
    """
    token = _quiet.set(_quiet.get() or wanted)
    try:
        yield
    finally:
        _quiet.reset(token)


@contextlib.contextmanager
def progress_only() -> Iterator[None]:
    """Suppress messages in this thread or task, but show progress: the block is a step of a larger task.

    >>> with progress_only():
    ...     print_message("this is not printed")
    """
    token = _progress_only.set(True)
    try:
        yield
    finally:
        _progress_only.reset(token)


def is_quiet() -> bool:
    """Return whether `quiet` is active."""
    return _quiet.get()


def shows_messages() -> bool:
    """Return whether `print_message` prints: neither `quiet` nor `progress_only` is active."""
    return not (_quiet.get() or _progress_only.get())


@functools.cache
def stderr() -> "Console":
    """Return the console that all messages and bars share."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_message(message: str) -> None:
    """Print one line on stderr, unless `quiet` or `progress_only` is active."""
    if shows_messages():
        print_warning(message)


def print_progress(message: str) -> None:
    """Print one line of progress on stderr, unless `quiet` is active."""
    if not is_quiet():
        print_warning(message)


def print_warning(message: str) -> None:
    """Print one line on stderr, even if `quiet` is active: something failed, and the command continues."""
    stderr().print(message, markup=False, soft_wrap=True)


def shows_progress() -> bool:
    """Return whether bars are shown: stderr is a terminal, and `quiet` is not active."""
    return not is_quiet() and stderr().is_terminal


def progress_bar() -> "Progress":
    """Return a bar with the number of finished items, the time spent and the time left.

    The bar is disabled unless `shows_progress`.
    """
    import rich.progress as rich

    items = ("[progress.description]{task.description}", rich.BarColumn(), rich.MofNCompleteColumn())
    times = (rich.TimeElapsedColumn(), rich.TextColumn("left"), rich.TimeRemainingColumn())
    return rich.Progress(
        *items, *times, "{task.fields[note]}", console=stderr(), transient=True, disable=not shows_progress()
    )


def track(
    items: Iterable[Item], description: str, total: int, timing: LineTiming = DEFAULT_TIMING
) -> Generator[Item, None, None]:
    """Yield the items and show a progress bar, or plain progress lines if stderr is not a terminal.

    The progress within an item is shown too, if the item reads a long recording in this thread: see `report_progress`.

    >>> with quiet():
    ...     list(track("abc", "Reading", 3))
    ['a', 'b', 'c']
    """
    iterator = iter(items)
    with progress_bar() as bar:
        tracked = TrackedItems(bar, description, total, timing)
        with _heartbeat(tracked.print_line_if_due, timing.poll_seconds):
            while True:
                token = _waiting.set(tracked)
                try:
                    item = next(iterator)
                except StopIteration:
                    return
                finally:
                    _waiting.reset(token)
                yield item
                tracked.advance()


def report_progress(seconds: float, total_seconds: float) -> None:
    """Report how much of a recording has been read. It is shown if `track` waits for this recording in this thread."""
    tracked = _waiting.get()
    if tracked is not None and total_seconds > MIN_LONG_SECONDS:
        tracked.set_fraction(seconds, total_seconds)


class TrackedItems:
    """Progress of `track`: the finished items and the fraction of the current one, as a bar or as lines."""

    def __init__(self, bar: "Progress", description: str, total: int, timing: LineTiming = DEFAULT_TIMING) -> None:
        self.bar, self.description, self.total = bar, description, total
        self.task = bar.add_task(description, total=total, note="")
        self.lines = RateLimiter(timing.first_seconds, timing.interval_seconds, timing.clock)
        self.clock, self.started = timing.clock, timing.clock()
        self.done, self.fraction, self.note = 0, 0.0, ""

    def advance(self) -> None:
        """Count one more finished item."""
        self.done, self.fraction, self.note = self.done + 1, 0.0, ""
        self.bar.update(self.task, completed=self.done, note="")
        if self.done < self.total:
            self.print_line_if_due()

    def set_fraction(self, seconds: float, total_seconds: float) -> None:
        """Show how much of the current item's sound has been read."""
        self.fraction = min(seconds / total_seconds, 1.0)
        self.note = f"{duration(seconds)} of {duration(total_seconds)} of sound"
        self.bar.update(self.task, completed=self.done + self.fraction, note=self.note)

    def print_line_if_due(self) -> None:
        """Print a plain line, if no bar is shown and a line is due."""
        if not self.bar.disable or not self.lines.due():
            return
        spent, done = self.clock() - self.started, self.done + self.fraction
        when = f"about {duration(spent / done * (self.total - done))} left" if done else f"{duration(spent)} so far"
        note = f"{self.note}, " if self.note else ""
        print_progress(f"{self.description}: {self.done:,} of {self.total:,}, {note}{when}")


@contextlib.contextmanager
def spinner(description: str, timing: LineTiming = DEFAULT_TIMING) -> Iterator[None]:
    """Show a spinner and the time spent during the block, or plain lines if stderr is not a terminal.

    The block must not print messages or show bars.
    """
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), "[progress.description]{task.description}", TimeElapsedColumn())
    started, lines = timing.clock(), RateLimiter(timing.first_seconds, timing.interval_seconds, timing.clock)

    def print_line_if_due() -> None:
        if lines.due():
            print_progress(f"{description}: {duration(timing.clock() - started)} so far")

    with (
        Progress(*columns, console=stderr(), transient=True, disable=not shows_progress()) as progress,
        _heartbeat(print_line_if_due, timing.poll_seconds),
    ):
        progress.add_task(description, total=None)
        yield


@contextlib.contextmanager
def _heartbeat(action: Callable[[], None], poll_seconds: float) -> Iterator[None]:
    """Call `action` every `poll_seconds` from a thread during the block, if lines are printed instead of a bar."""
    if shows_progress() or is_quiet():
        yield
        return
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(poll_seconds):
            action()

    thread = threading.Thread(target=contextvars.copy_context().run, args=(beat,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class RateLimiter:
    """Limit on how often something happens, shared by several threads.

    Args:
        first_seconds: time until it is due for the first time.
        interval_seconds: minimum time until it is due again.
        clock: a clock that never goes back, in seconds.

    >>> now = [0.0]
    >>> limiter = RateLimiter(first_seconds=2, interval_seconds=30, clock=lambda: now[0])
    >>> for now[0] in (1, 2, 3, 32):
    ...     print(now[0], limiter.due())
    1 False
    2 True
    3 False
    32 True
    """

    def __init__(
        self,
        first_seconds: float = DEFAULT_TIMING.interval_seconds,
        interval_seconds: float = DEFAULT_TIMING.interval_seconds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval_seconds, self._clock = interval_seconds, clock
        self._next = clock() + first_seconds
        self._lock = threading.Lock()

    def due(self) -> bool:
        """Return True at most once per interval, whichever thread asks."""
        with self._lock:
            if self._clock() < self._next:
                return False
            self._next = self._clock() + self._interval_seconds
            return True
