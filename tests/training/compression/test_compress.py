"""Warnings of `compress`: layers that pruning nearly empties, few clips, and a loss of accuracy."""

from pathlib import Path

import pytest

from scenelet.config import PruneConfig
from scenelet.config.recipes import load_recipe
from scenelet.training.compression.build_model import BuiltModel, Compressed
from scenelet.training.compression.compress import _print_warnings, compress
from scenelet.training.train import train


@pytest.mark.parametrize(("sparsity", "warned"), [(0.995, True), (0.3, False)])
def test_compress_nearly_empty_layers_warns_once(
    sparsity: float,
    warned: bool,
    tone_set: Path,
    tiny_settings: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = [*tiny_settings, "schedule.epochs=1", "prune.epochs=0", 'split.fold="1"']
    train(tone_set, tmp_path / "run", load_recipe("paper_short", settings))
    capsys.readouterr()
    compress(tmp_path / "run", tmp_path / "m.scn", sparsity=sparsity)
    lines = [line for line in capsys.readouterr().err.splitlines() if "nearly empty" in line]
    assert len(lines) == warned
    if warned:
        assert "% left)" in lines[0]


def report(accuracy: float, clips: int) -> dict[str, float]:
    return {"accuracy": accuracy, "clips": clips}


@pytest.mark.parametrize(
    ("before", "after", "clips", "words"),
    [
        (
            1.0,
            0.5,
            4,
            ["test: 4 clips are few; one clip is 25.0 points", "lowers the accuracy from 100.0 % [51.0, 100.0]"],
        ),
        (1.0, 0.75, 4, ["4 clips are few"]),
        (0.917, 1.0, 24, ["24 clips are few; one clip is 4.2 points"]),
        (0.9, 0.8, 100, ["lowers the accuracy from 90.0 % [82.6, 94.5] to 80.0 %"]),
        (0.9, 0.85, 100, []),
        (0.9, 0.88, 4000, ["lowers the accuracy"]),
    ],
)
def test_compress_warns_of_few_clips_and_lost_accuracy(
    before: float, after: float, clips: int, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    compression = Compressed(PruneConfig(), {}, 0.0)
    reports = {"test": report(before, clips)}, {"test": report(after, clips)}
    _print_warnings(BuiltModel(b"", None, compression, {}, {}, *reports))  # type: ignore[arg-type]
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning:" in line]
    assert len(lines) == len(words)
    assert all(word in line for word, line in zip(words, lines, strict=True))


def test_compress_without_held_out_clips_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    _print_warnings(BuiltModel(b"", None, Compressed(PruneConfig(), {}, 0.0), {}, {}, {}, {}))  # type: ignore[arg-type]
    assert "no clips were held out, so the accuracy of the file is not known" in capsys.readouterr().err
