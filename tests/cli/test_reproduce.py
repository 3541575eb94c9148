"""`scenelet reproduce`: the dry run."""

import json
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., tuple[int, str, str]]


def test_reproduce_dry_run_needs_no_recordings(command: Run, tone_set: Path) -> None:
    code, printed, _ = command("reproduce", "table3", "--recipe", "paper", "--dry-run")
    assert code == 0
    assert "DIFFERS marks 0 settings" in printed
    options = ("--recipe", "paper", "--dry-run", "--format", "json")
    code, printed, _ = command("reproduce", "table3", tone_set, *options)
    assert code == 0
    assert json.loads(printed)[1]["network"]["parameters"] < 603_668  # two classes in place of ten


def test_reproduce_without_recordings_is_refused(command: Run) -> None:
    for table in ("table3", "table2"):
        code, printed, talk = command("reproduce", table)
        assert (code, printed) == (2, "")
        assert "give the recordings after the table" in talk
