"""Inside `silence` nothing is said, in this thread alone."""

import contextlib
import io
import threading

import pytest
from rich.console import Console

from scenelet import console


def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system=None)
    monkeypatch.setattr(console, "stderr", lambda: terminal)
    with contextlib.suppress(KeyError), console.silence():
        console.say("unheard")
        assert console.progress_bar().disable
        assert list(console.track([1, 2], "unseen", 2)) == [1, 2]
        other = threading.Thread(target=console.say, args=["from elsewhere"])
        other.start()
        other.join()
        raise KeyError
    assert terminal.file.getvalue() == "from elsewhere\n"
    assert not console.progress_bar().disable
    console.say("again")
    assert terminal.file.getvalue().endswith("again\n")
