"""Talk, bars and what silences them."""

import threading

import pytest

from scenelet import console
from scenelet.console import complain, is_quiet, quiet, say, track, working


def test_quiet_silences_talk_and_not_complaints(capsys: pytest.CaptureFixture[str]) -> None:
    say("before")
    with quiet():
        say("within")
        complain("error: within")
        with quiet(False):  # what is asked for further out holds
            say("further in")
    say("after")
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
    with working("Loading"):
        pass
    assert capsys.readouterr().err == ""
