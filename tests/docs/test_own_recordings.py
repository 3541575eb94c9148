"""Tests that run the commands of the quick start and of the page on own recordings, on synthetic recordings.

The command lines are the pages' own. The fixture `tiny` makes the recipes small.
"""

import json
from collections.abc import Callable
from pathlib import Path

from helpers import doc_pages as pages

NOT_RUN = {
    ("pip",): "would change the environment of the tests",
    ("make", "demo"): "runs scenelet demo in its own environment",
    ("scenelet", "demo"): "tests/experiments/test_demo.py runs it, on fewer scenes",
    ("scenelet", "serve"): "runs until it is interrupted",
    ("scenelet", "train", "answers.csv"): "the listening page saves this table in a browser",
}
USE = ["predict", "predict", "listen"]
MICROPHONE = ["scenelet", "listen", "model.scn"]  # a test machine has no microphone


def to_run(page: str) -> list[list[str]]:
    """Return the page's commands without those in NOT_RUN."""
    found = pages.commands((pages.ROOT / "docs" / page).read_text(encoding="utf-8"))
    run = [words for words in found if not any(tuple(words[: len(start)]) == start for start in NOT_RUN)]
    return [words for words in run if words != MICROPHONE]


def test_quick_start_commands_run(examples: Path, run: Callable[[list[str]], str]) -> None:
    lines = to_run("quickstart.md")
    printed = [run(words[1:]) for words in lines]
    assert [words[1] for words in lines] == ["predict", "predict", "predict", "info"]
    assert printed[0].split()[1:4] == ["dog", "dog", "100.0"]
    assert printed[1].split()[:2] == ["recording.wav", "dog"]
    assert [row["label"] for row in json.loads(printed[2])] == ["dog", "dog"]
    assert "116,917 kept" in printed[3]


def test_own_recordings_commands_run(
    examples: Path, recordings: Path, background: None, tiny: None, run: Callable[[list[str]], str]
) -> None:
    (examples / "model.scn").unlink()  # the page makes one
    lines = to_run("own_recordings.md")
    printed = [(words[1], run(words[1:])) for words in lines]
    done = [name for name, _ in printed]
    assert done == ["check", *["train"] * 5, "compress", "compress", "evaluate", "train", "compress", "evaluate", *USE]
    assert {path.name for path in examples.glob("*.scn")} == {"model.scn", "small.scn", "garden.scn"}
    assert (examples / "small.scn").stat().st_size <= 128_000
    assert json.loads((examples / "report" / "report.json").read_text())["groups"] == 2  # a fifth of each class's five
    assert [line.split()[0] for line in printed[-3][1].splitlines()] == ["new.wav", "more/a.wav"]
    assert "macro accuracy" in printed[1][1]


def test_commands_not_run_are_on_a_page() -> None:
    words = [
        w
        for page in ("quickstart.md", "own_recordings.md")
        for w in pages.commands((pages.ROOT / "docs" / page).read_text())
    ]
    for start in NOT_RUN:
        assert any(tuple(line[: len(start)]) == start for line in words), f"{start} is no longer on either page"
