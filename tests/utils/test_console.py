"""Messages, progress bars, plain progress lines, and `quiet`."""

import threading
from collections.abc import Callable, Iterator

import pytest

from scenelet.utils import console
from scenelet.utils.console import (
    LineTiming,
    TrackedItems,
    is_quiet,
    print_message,
    print_warning,
    progress_bar,
    progress_only,
    quiet,
    report_progress,
    spinner,
    track,
)

AT_ONCE = LineTiming(first_seconds=0.0, interval_seconds=0.0, poll_seconds=0.001)
"""A line at each check."""


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Forget the terminal of the test's caller; the fixture's value pretends that stderr is a terminal."""
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(variable, raising=False)
    console.stderr.cache_clear()

    def pretend() -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        console.stderr.cache_clear()

    yield pretend
    console.stderr.cache_clear()


def test_quiet_hides_messages_and_shows_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    print_message("before")
    with quiet():
        print_message("within")
        print_warning("error: within")
        with quiet(False):  # the outer block decides
            print_message("nested")
    print_message("after")
    assert capsys.readouterr() == ("", "before\nerror: within\nafter\n")


def test_progress_only_hides_messages_and_shows_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_only():
        print_message("hidden")
        list(track("ab", "Reading", 2, AT_ONCE))
    print_message("shown")
    assert capsys.readouterr().err.splitlines() == ["Reading: 1 of 2, about 0.0 s left", "shown"]


def test_quiet_ends_when_the_block_fails() -> None:
    with pytest.raises(ValueError, match="x"), quiet():
        raise ValueError("x")
    assert not is_quiet()


def test_quiet_does_not_affect_other_threads() -> None:
    seen: list[bool] = []
    with quiet():
        thread = threading.Thread(target=lambda: seen.append(is_quiet()))
        thread.start()
        thread.join()
        assert is_quiet()
    assert seen == [False]


def test_progress_bar_needs_a_terminal_and_no_quiet(terminal: Callable[[], None]) -> None:
    assert progress_bar().disable
    terminal()
    assert not progress_bar().disable
    with quiet():
        assert progress_bar().disable


def test_track_prints_a_line_per_interval(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    timing = LineTiming(first_seconds=2.0, interval_seconds=30.0, poll_seconds=60.0, clock=lambda: now[0])

    def ten_seconds_each() -> Iterator[int]:
        for item in range(10):
            now[0] += 10
            yield item

    assert list(track(ten_seconds_each(), "Features", 10, timing)) == list(range(10))
    assert capsys.readouterr().err.splitlines() == [
        "Features: 1 of 10, about 90 s left",  # early, so that the user sees that the command works
        "Features: 4 of 10, about 60 s left",
        "Features: 7 of 10, about 30 s left",
    ]
    with quiet():
        assert list(track(ten_seconds_each(), "Features", 10, timing)) == list(range(10))
    assert capsys.readouterr().err == ""


def test_spinner_prints_nothing_for_short_work(capsys: pytest.CaptureFixture[str]) -> None:
    with spinner("Loading", LineTiming(clock=lambda: 0.0)):
        pass
    assert capsys.readouterr().err == ""


@pytest.fixture
def wait_for_line(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Block until a line with these words is printed, however long that takes."""
    lines: list[str] = []
    printed, original = threading.Condition(), console.print_warning

    def record(line: str) -> None:
        original(line)
        with printed:
            lines.append(line)
            printed.notify_all()

    def wait(words: str) -> None:
        with printed:
            assert printed.wait_for(lambda: any(words in line for line in lines), timeout=60)

    monkeypatch.setattr(console, "print_warning", record)
    return wait


def test_track_prints_lines_while_an_item_is_read(wait_for_line: Callable[[str], None]) -> None:
    def one_long_recording() -> Iterator[int]:
        report_progress(20 * 60, 12 * 3600)
        wait_for_line("Checking: 0 of 1, 20 min of 12 h 00 min of sound, about ")
        yield 1

    assert list(track(one_long_recording(), "Checking", 1, AT_ONCE)) == [1]


def test_spinner_prints_lines_while_the_block_runs(wait_for_line: Callable[[str], None]) -> None:
    with spinner("Loading", AT_ONCE):
        wait_for_line("Loading: 0.")


def test_report_progress_ignores_short_recordings(capsys: pytest.CaptureFixture[str]) -> None:
    report_progress(20 * 60, 12 * 3600)  # no `track` waits for it

    def short_recordings() -> Iterator[int]:
        for item in range(3):
            report_progress(5, 10)
            yield item

    timing = LineTiming(first_seconds=0.0, interval_seconds=0.0, poll_seconds=60.0)
    assert list(track(short_recordings(), "Checking", 3, timing)) == [0, 1, 2]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Checking: 1 of 3, about 0.")


def test_tracked_items_move_the_bar_within_a_recording(terminal: Callable[[], None]) -> None:
    terminal()
    bar = progress_bar()
    tracked = TrackedItems(bar, "Checking", 2)
    tracked.set_fraction(900, 3600)
    assert (bar.tasks[0].completed, bar.tasks[0].fields["note"]) == (0.25, "15 min of 60 min of sound")
    tracked.advance()
    assert (bar.tasks[0].completed, bar.tasks[0].fields["note"]) == (1, "")
