"""`scenelet compress`: the lines that it prints."""

import re
from collections.abc import Callable
from pathlib import Path

from scenelet.model.file import read_model

Command = Callable[..., tuple[int, str, str]]


def test_compress_prints_size_accuracies_and_threshold(
    command: Command, tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    run, out = tmp_path / "run", tmp_path / "m.scn"
    settings = [*tiny_settings, "schedule.epochs=1", "prune.epochs=0"]
    options = [part for setting in settings for part in ("--set", setting)]
    assert command("train", tone_set, "--out", run, "--fold", "1", *options)[0] == 0
    code, printed, _ = command("compress", run, "--out", out, "--sparsity", "0.5", "--dtype", "int8")
    assert code == 0
    size, accuracies, path, calibration, threshold = printed.splitlines()
    assert size.startswith(f"{out}: {out.stat().st_size:,} bytes, weights in int8, 50.")
    numbers = r"macro accuracy \d+\.\d % before, \d+\.\d % after, on 8 clips; one clip is 12\.5 points on average"
    assert re.fullmatch(f"test: {numbers}", accuracies)
    assert "cached features in fp16" in path
    results = read_model(out).results
    stored, temperature = results["threshold"], results["calibration"]["temperature"]
    start = f"calibrated on the 8 clips of the test split: temperature {temperature:.2f}; log loss "
    assert calibration.startswith(start)
    assert threshold.startswith("unsure below ")
    assert "to prove that, 59 sure clips are needed, not" in threshold
    assert f"on {stored['clips']} clips of the test split; " in threshold


def test_compress_set_changes_the_fine_tuning(
    command: Command, tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    run, out = tmp_path / "run", tmp_path / "m.scn"
    options = [part for setting in [*tiny_settings, "schedule.epochs=1"] for part in ("--set", setting)]
    assert command("train", tone_set, "--out", run, "--fold", "1", *options)[0] == 0
    code, _, err = command("compress", run, "--out", out, "--set", "network.width=4")
    assert (code, out.exists()) == (2, False)
    assert "network.width: belongs to the trained network" in err
    assert command("compress", run, "--out", out, "--set", "prune.epochs=1", "--set", "prune.seed=2")[0] == 0
    provenance = read_model(out).provenance
    assert (provenance["fine_tuning_epochs"], provenance["prune"]["seed"]) == (1, 2)
