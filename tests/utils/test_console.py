"""Messages, progress bars, plain progress lines, and `quiet`."""

import threading
from collections.abc import Callable, Iterator

import pytest

from scenelet.utils import console
from scenelet.utils.console import (
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


def test_progress_only_hides_messages_and_shows_progress(
    capsys: pytest.CaptureFixture[str], wait_for_line: Callable[[str], None]
) -> None:
    with progress_only():
        print_message("hidden")
        with spinner("Loading"):
            wait_for_line("Loading: 0.")
    print_message("shown")
    lines = capsys.readouterr().err.splitlines()
    assert {line[:9] for line in lines[:-1]} == {"Loading: "}
    assert lines[-1] == "shown"


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


def test_lines_come_after_2_s_and_then_every_30_s(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []
    wait = threading.Event.wait

    def record(event: threading.Event, timeout: float | None = None) -> bool:
        if timeout is None:
            return wait(event)
        waits.append(timeout)
        return len(waits) > 3

    monkeypatch.setattr(threading.Event, "wait", record)
    with spinner("Loading"):
        pass
    assert waits == [2.0, 30.0, 30.0, 30.0]
    assert capsys.readouterr().err.count("Loading: ") == 3


def test_quiet_prints_no_lines_and_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    with quiet(), spinner("Loading"):
        assert list(track("ab", "Reading", 2)) == ["a", "b"]


def test_spinner_prints_nothing_for_short_work(capsys: pytest.CaptureFixture[str]) -> None:
    with spinner("Loading"):
        pass
    assert capsys.readouterr().err == ""


@pytest.fixture
def wait_for_line(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Print lines all the time; the fixture's value blocks until one has these words, however long that takes."""
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
    monkeypatch.setattr(console, "FIRST_LINE_SECONDS", 0.001)
    monkeypatch.setattr(console, "LINE_SECONDS", 0.001)
    return wait


def test_track_lines_tell_the_time_left(monkeypatch: pytest.MonkeyPatch, wait_for_line: Callable[[str], None]) -> None:
    now = [0.0]
    monkeypatch.setattr(console.stderr(), "get_time", lambda: now[0])

    def ten_seconds_each() -> Iterator[int]:
        for item in range(10):
            if item in (1, 4):
                wait_for_line(f"Features: {item} of 10, about {100 - 10 * item} s left")
            now[0] += 10
            yield item

    assert list(track(ten_seconds_each(), "Features", 10)) == list(range(10))


def test_track_prints_lines_while_an_item_is_read(wait_for_line: Callable[[str], None]) -> None:
    def one_long_recording() -> Iterator[int]:
        report_progress(20 * 60, 12 * 3600)
        wait_for_line("Checking: 0 of 1, 20 min of 12 h 00 min of sound, about ")
        report_progress(12 * 3600, 12 * 3600)
        wait_for_line("Checking: 0 of 1, 12 h 00 min of 12 h 00 min of sound, about ")
        yield 1

    assert list(track(one_long_recording(), "Checking", 1)) == [1]


def test_report_progress_ignores_short_recordings(wait_for_line: Callable[[str], None]) -> None:
    report_progress(20 * 60, 12 * 3600)  # no `track` waits for it

    def short_recordings() -> Iterator[int]:
        for item in range(3):
            report_progress(5, 10)
            wait_for_line(f"Checking: {item} of 3, " + ("about 0." if item else "0."))
            yield item

    assert list(track(short_recordings(), "Checking", 3)) == [0, 1, 2]


def test_track_moves_the_bar_within_a_recording(terminal: Callable[[], None]) -> None:
    terminal()
    seen: list[tuple[float, str]] = []

    def see() -> None:
        bar = console._waiting.get()
        assert bar is not None
        seen.append((bar.tasks[0].completed, bar.tasks[0].fields["note"]))

    def recordings() -> Iterator[int]:
        report_progress(900, 3600)
        see()
        yield 0
        see()
        yield 1

    assert list(track(recordings(), "Checking", 2)) == [0, 1]
    assert seen == [(0.25, "15 min of 60 min of sound"), (1, "")]
