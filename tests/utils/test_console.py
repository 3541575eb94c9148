"""Talk, bars and what silences them."""

import threading

import pytest

from scenelet.utils import console
from scenelet.utils.console import is_quiet, print_message, print_warning, quiet, report_progress, spinner, track


def test_quiet_silences_talk_and_not_complaints(capsys: pytest.CaptureFixture[str]) -> None:
    print_message("before")
    with quiet():
        print_message("within")
        print_warning("error: within")
        with quiet(False):  # what is asked for further out holds
            print_message("further in")
    print_message("after")
    assert capsys.readouterr() == ("", "before\nerror: within\nafter\n")


def test_quiet_is_left_when_something_fails() -> None:
    with pytest.raises(ValueError, match="x"), quiet():
        raise ValueError("x")
    assert not is_quiet()


def test_quiet_holds_for_one_thread() -> None:
    seen: list[bool] = []
    with quiet():
        thread = threading.Thread(target=lambda: seen.append(is_quiet()))
        thread.start()
        thread.join()
        assert is_quiet()
    assert seen == [False]


def test_bars_show_on_a_terminal_and_not_within_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.stderr(), "_force_terminal", True)
    assert not console.progress_bar().disable
    with quiet():
        assert console.progress_bar().disable
    monkeypatch.setattr(console.stderr(), "_force_terminal", False)
    assert console.progress_bar().disable


def test_a_line_now_and_then_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])

    def slow():
        for item in range(10):
            now[0] += 10
            yield item

    assert list(track(slow(), "Features", 10)) == list(range(10))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Features: 1 of 10, about 90 s left",  # soon, so that nobody thinks it dead
        "Features: 4 of 10, about 60 s left",
        "Features: 7 of 10, about 30 s left",
    ]
    with quiet():
        assert list(track(slow(), "Features", 10)) == list(range(10))
    with spinner("Loading"):
        pass
    assert capsys.readouterr().err == ""


class Waiting:
    """Stands for what takes long: it waits until a line with these words was said, however long that takes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
        self.said, real = threading.Event(), console.print_warning
        monkeypatch.setattr(console, "FIRST_SECONDS", 0.0)
        monkeypatch.setattr(console, "LINE_SECONDS", 0.0)
        monkeypatch.setattr(console, "BEAT_SECONDS", 0.001)
        monkeypatch.setattr(
            console, "print_warning", lambda line: (real(line), self.said.set() if words in line else None)
        )

    def __iter__(self):
        report_progress(20 * 60, 12 * 3600)
        assert self.said.wait(60)
        yield 1


def test_something_is_said_while_an_item_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(track(Waiting(monkeypatch, "Checking: 0 of 1, 20 min of 12 h 00 min of sound, about "), "Checking", 1))
    with spinner("Loading"):
        next(iter(Waiting(monkeypatch, "Loading: 0.")))


def test_sound_is_told_of_long_recordings_alone_and_to_a_track_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "FIRST_SECONDS", 0.0)
    report_progress(20 * 60, 12 * 3600)  # nobody waits

    def short():
        for item in range(3):
            report_progress(5, 10)
            assert console._steps.get().note == ""
            yield item

    assert list(track(short(), "Checking", 3)) == [0, 1, 2]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Checking: 1 of 3, about 0.")


def test_a_bar_moves_within_a_long_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.stderr(), "_force_terminal", True)
    seen = []

    def one():
        report_progress(900, 3600)
        steps = console._steps.get()
        seen.append((steps.bar.tasks[0].completed, steps.bar.tasks[0].fields["note"]))
        yield 1

    assert list(track(one(), "Checking", 1)) == [1]
    assert seen == [(0.25, "15 min of 60 min of sound")]
