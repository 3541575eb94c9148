"""The commands of the quick start and of the page on own recordings, line by line, on made recordings.

The lines are the pages' own; only what the recipes say is made small, by the fixture `low_complexity`.
"""

import json
from collections.abc import Callable
from pathlib import Path

from helpers import doc_pages as pages

NOT_RUN = {
    ("pip",): "would change the environment of the tests",
    ("make", "demo"): "scenelet demo in an environment of its own",
    ("scenelet", "demo"): "tests/experiments/test_demo.py runs it, on fewer scenes",
    ("scenelet", "serve"): "goes on until it is stopped",
}
MICROPHONE = ["scenelet", "listen", "model.scn"]  # a machine that tests has none


def to_run(page: str) -> list[list[str]]:
    """The page's commands without those that are not run."""
    found = pages.commands((pages.ROOT / "docs" / page).read_text(encoding="utf-8"))
    run = [words for words in found if not any(tuple(words[: len(start)]) == start for start in NOT_RUN)]
    return [words for words in run if words != MICROPHONE]


def test_the_quick_start_runs(examples: Path, run: Callable[[list[str]], str]) -> None:
    lines = to_run("quickstart.md")
    printed = [run(words[1:]) for words in lines]
    assert [words[1] for words in lines] == ["predict", "predict", "info"]
    assert printed[0].split()[:2] == ["recording.wav", "dog"]
    assert [row["label"] for row in json.loads(printed[1])] == ["dog", "dog"]
    assert "275,953 kept" in printed[2]


def test_from_recordings_to_a_prediction(
    examples: Path, recordings: Path, tiny: None, run: Callable[[list[str]], str]
) -> None:
    (examples / "model.scn").unlink()  # the page makes one
    lines = to_run("own_recordings.md")
    printed = [(words[1], run(words[1:])) for words in lines]
    done = [name for name, _ in printed]
    assert done == ["check", *["train"] * 4, "compress", "compress", "evaluate", "predict", "predict", "listen"]
    assert {path.name for path in examples.glob("*.scn")} == {"model.scn", "small.scn"}
    assert (examples / "small.scn").stat().st_size <= 128_000
    assert json.loads((examples / "report" / "report.json").read_text())["groups"] == 2  # a fifth of each class's five
    assert [line.split()[0] for line in printed[-3][1].splitlines()] == ["new.wav", "more/a.wav"]
    assert "macro accuracy" in printed[1][1]


def test_what_is_not_run_is_on_a_page() -> None:
    words = [
        w
        for page in ("quickstart.md", "own_recordings.md")
        for w in pages.commands((pages.ROOT / "docs" / page).read_text())
    ]
    for start in NOT_RUN:
        assert any(tuple(line[: len(start)]) == start for line in words), f"{start} is on neither page any more"
