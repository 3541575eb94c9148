"""Messages, progress bars and spinners on stderr. Results go to stdout."""

import contextlib
import contextvars
import functools
import itertools
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from scenelet.errors import hide_secrets
from scenelet.utils.text import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task

Item = TypeVar("Item")
MIN_LONG_SECONDS = 300.0
"""Duration from which a recording reports its own progress while it is read."""
FIRST_LINE_SECONDS, LINE_SECONDS = 2.0, 30.0
"""Time until the first plain progress line, and between two of them. They replace bars if stderr is not a terminal."""

_quiet = contextvars.ContextVar("scenelet_quiet", default=False)
_progress_only = contextvars.ContextVar("scenelet_progress_only", default=False)

# `track` stores its bar here while it waits, and `report_progress` looks it up. Each thread has its own value.
_waiting: contextvars.ContextVar["Progress | None"] = contextvars.ContextVar("scenelet_waiting", default=None)


@contextlib.contextmanager
def _set(variable: contextvars.ContextVar[Item], value: Item) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


@contextlib.contextmanager
def quiet(wanted: bool = True) -> Iterator[None]:
    """Suppress messages and progress bars in this thread or task. Warnings are still shown.

    >>> with quiet():
    ...     print_message("this is not printed")
    """
    with _set(_quiet, is_quiet() or wanted):
        yield


@contextlib.contextmanager
def progress_only() -> Iterator[None]:
    """Suppress messages in this thread or task, but show progress: the block is a step of a larger task.

    >>> with progress_only():
    ...     print_message("this is not printed")
    """
    with _set(_progress_only, True):
        yield


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
    stderr().print(hide_secrets(message), markup=False, soft_wrap=True)


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


@contextlib.contextmanager
def progress_lines(bar: "Progress") -> Iterator[None]:
    """Print plain lines with the state of a bar during the block, unless the bar is shown or `quiet` is active."""
    if not bar.disable or is_quiet():
        yield
        return
    ended = threading.Event()

    def print_lines() -> None:
        seconds = FIRST_LINE_SECONDS
        while not ended.wait(seconds):
            print_progress(_describe(bar.tasks[0]))
            seconds = LINE_SECONDS

    thread = threading.Thread(target=print_lines, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _describe(task: "Task") -> str:
    spent, done, note = task.elapsed or 0.0, task.completed, task.fields["note"]
    when = f"about {duration(spent / done * task.remaining)} left" if done and task.remaining else None
    counts = f"{int(done):,} of {int(task.total):,}" if task.total is not None else None
    parts = filter(None, (counts, note, when or f"{duration(spent)} so far"))
    return f"{task.description}: {', '.join(parts)}"


def track(items: Iterable[Item], description: str, total: int) -> Generator[Item, None, None]:
    """Yield the items and show a progress bar, or plain progress lines if stderr is not a terminal.

    The progress within an item is shown too, if the item reads a long recording in this thread: see `report_progress`.

    >>> with quiet():
    ...     list(track("abc", "Reading", 3))
    ['a', 'b', 'c']
    """
    iterator = iter(items)
    bar = progress_bar()
    task = bar.add_task(description, total=total, note="")
    with bar, progress_lines(bar):
        for done in itertools.count(1):
            try:
                with _set(_waiting, bar):
                    item = next(iterator)
            except StopIteration:
                return
            yield item
            bar.update(task, completed=done, note="")


def report_progress(seconds: float, total_seconds: float) -> None:
    """Report how much of a recording has been read. It is shown if `track` waits for this recording in this thread."""
    bar = _waiting.get()
    if bar is not None and total_seconds > MIN_LONG_SECONDS:
        task, fraction = bar.tasks[0], min(seconds / total_seconds, 0.999)  # below 1, for the item is not finished
        note = f"{duration(seconds)} of {duration(total_seconds)} of sound"
        bar.update(task.id, completed=int(task.completed) + fraction, note=note)


@contextlib.contextmanager
def spinner(description: str) -> Iterator[None]:
    """Show a spinner and the time spent during the block, or plain lines if stderr is not a terminal.

    The block must not print messages or show bars.
    """
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), "[progress.description]{task.description}", TimeElapsedColumn())
    bar = Progress(*columns, console=stderr(), transient=True, disable=not shows_progress())
    bar.add_task(description, total=None, note="")
    with bar, progress_lines(bar):
        yield
