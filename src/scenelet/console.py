"""Talk to the user on stderr; stdout is for results."""

import contextlib
import contextvars
import functools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Item = TypeVar("Item")
_silent = contextvars.ContextVar("silent", default=False)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Inside it, nothing is said and no bar is shown; other threads go on as they were."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


@functools.cache
def stderr() -> "Console":
    """The one console for talk."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(message: str) -> None:
    """One line of talk."""
    if not _silent.get():
        stderr().print(message, markup=False, soft_wrap=True)


def progress_bar() -> "Progress":
    """A bar with what is done, time spent and time left; it shows only on a terminal."""
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
    hidden = _silent.get() or not stderr().is_terminal
    return Progress(*columns, *times, console=stderr(), transient=True, disable=hidden)


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yield the items under a progress bar."""
    with progress_bar() as progress:
        task = progress.add_task(description, total=total, note="")
        for item in items:
            yield item
            progress.advance(task)
