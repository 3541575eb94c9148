"""Talk to the user on stderr; stdout is for results."""

import contextlib
import contextvars
import functools
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from scenelet.wording import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Item = TypeVar("Item")
LINE_SECONDS = 30.0
"""Between two plain lines of progress, where there is no terminal for a bar."""

_quiet = contextvars.ContextVar("scenelet_quiet", default=False)


@contextlib.contextmanager
def quiet(wanted: bool = True) -> Iterator[None]:
    """No talk and no bars within, in this thread or task alone; what went wrong is still said (`complain`)."""
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


def say(message: str) -> None:
    """One line of talk."""
    if not is_quiet():
        complain(message)


def complain(message: str) -> None:
    """One line that is said within `quiet` too: what went wrong while the rest goes on."""
    stderr().print(message, markup=False, soft_wrap=True)


def has_bars() -> bool:
    """Whether bars show: on a terminal, and not within `quiet`."""
    return not is_quiet() and stderr().is_terminal


def progress_bar() -> "Progress":
    """A bar with what is done, time spent and time left; it shows only where `has_bars`."""
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
    return Progress(*columns, *times, console=stderr(), transient=True, disable=not has_bars())


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yield the items under a progress bar; without a terminal, with a plain line now and then."""
    started, lines = time.monotonic(), NowAndThen()
    with progress_bar() as progress:
        task = progress.add_task(description, total=total, note="")
        for done, item in enumerate(items, 1):
            yield item
            progress.advance(task)
            if progress.disable and done < total and lines.due():
                left = (time.monotonic() - started) / done * (total - done)
                say(f"{description}: {done:,} of {total:,}, about {duration(left)} left")


@contextlib.contextmanager
def working(description: str) -> Iterator[None]:
    """A spinner and the time spent, around one piece of work of unknown length; only where `has_bars`.

    Neither bars nor lines of talk may come from within.
    """
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), "[progress.description]{task.description}", TimeElapsedColumn())
    with Progress(*columns, console=stderr(), transient=True, disable=not has_bars()) as progress:
        progress.add_task(description, total=None)
        yield


class NowAndThen:
    """Whether another plain line of progress is due: each `LINE_SECONDS` one."""

    def __init__(self) -> None:
        self._next = time.monotonic() + LINE_SECONDS

    def due(self) -> bool:
        """True at most once in `LINE_SECONDS`."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + LINE_SECONDS
        return True
