"""`--quiet` and `--format json`: only results on stdout, and only errors on stderr."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scenelet.config.recipes import load_recipe

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def train(tone_set: Path, tiny_settings: list[str]) -> list[object]:
    settings = (*tiny_settings, "schedule.epochs=1", "prune.epochs=0")
    changes = [part for setting in settings for part in ("--set", setting)]
    return ["train", tone_set, "--fold", "1", *changes]


def test_quiet_prints_the_same_results_and_no_messages(
    command: Command, model: Path, tone_set: Path, tmp_path: Path
) -> None:
    recording = tone_set.parent / "low0.wav"
    for arguments in (
        ("check", tone_set, "--fold", "1", "--workers", 1, "--format", "json"),
        ("info", model, "--format", "json"),
        ("predict", model, recording),
        ("export", model, "--out", tmp_path / "m.onnx"),
        ("export", model, "--out", tmp_path / "m.md", "--format", "json"),
    ):
        normal, quiet = command(*arguments), command(*arguments, "--quiet")
        assert quiet == (normal[0], normal[1], "")
        assert normal[1] != ""


def test_quiet_still_prints_errors(command: Command, model: Path, tmp_path: Path) -> None:
    code, out, err = command("predict", "-q", model, tmp_path / "absent.wav", "--format", "json")
    assert (code, json.loads(out)) == (1, [])
    assert err.startswith(f"error: {tmp_path / 'absent.wav'}")
    assert command("info", "-q", tmp_path / "absent.scn")[2].startswith("error: ")


def test_quiet_fetch_without_accept_license_is_an_error(command: Command, tmp_path: Path) -> None:
    code, _, err = command("fetch", "-q", "esc10", "--out", tmp_path / "data")
    assert code == 2
    assert err == "error: --quiet asks no questions; run without it to read the license, or give --accept-license\n"


def test_quiet_train_and_compress_print_json(command: Command, train: list[object], tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / "m.scn"
    code, out, err = command(*train, "--out", run, "-q", "--format", "json")
    assert (code, err) == (0, "")
    metrics = json.loads(out)
    assert metrics.pop("run") == str(run)
    assert metrics == json.loads((run / "metrics.json").read_text())
    code, out, err = command("compress", run, "--out", file, "-q", "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)["bytes"] == file.stat().st_size
    code, out, err = command("compress", run, "--out", file, "--sparsity", "0", "--ramp", "0.5")
    assert (code, out) == (2, "")
    assert "--ramp prunes step by step, and nothing is pruned; give --sparsity" in err
    without_epochs = ("--sparsity", "0.5", "--ramp", "0.5", "--set", "prune.epochs=0")
    assert "prune.epochs is 0" in command("compress", run, "--out", file, *without_epochs)[2]


def test_train_resume_without_a_run_starts_one(command: Command, train: list[object], tmp_path: Path) -> None:
    code, out, err = command(*train, "--out", tmp_path / "run", "--resume")
    assert code == 0
    assert f"{tmp_path / 'run'}: holds no run yet, so a new run is started" in err.splitlines()
    assert "1 epoch of 16 clips" in err
    assert out.startswith("test: macro accuracy")
    assert "a new run is started" not in command(*train, "--out", tmp_path / "run", "--resume")[2]


def test_train_resume_of_an_empty_run_uses_the_recipe(
    command: Command, tone_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resume an empty folder with the settings of the recipe, and a run with its own settings."""
    run, configs = tmp_path / "run", list[object]()
    run.mkdir()
    (run / ".lock").touch()
    monkeypatch.setattr("scenelet.training.train.train", lambda data, out, config, **_: configs.append(config) or {})
    assert command("train", tone_set, "--out", run, "--resume")[0] == 0
    (run / "run.json").touch()
    assert command("train", tone_set, "--out", run, "--resume")[0] == 0
    assert configs == [load_recipe("default", []), None]
