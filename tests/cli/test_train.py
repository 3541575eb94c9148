"""`scenelet train`: its lines, a finished run, moved recordings, folds with odd names, and a missing extra."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scenelet.config import RunConfig
from scenelet.config.run_folder import read_record

Command = Callable[..., tuple[int, str, str]]
FROZEN = ["--set", "transfer.freeze=true"]  # which takes a second


@pytest.fixture
def changes(tiny_settings: list[str]) -> list[str]:
    return [part for setting in [*tiny_settings, "schedule.epochs=1"] for part in ("--set", setting)]


def test_train_says_how_many_test_clips_there_are(
    command: Command, tone_set: Path, changes: list[str], tmp_path: Path
) -> None:
    code, out, err = command("train", tone_set, "--out", tmp_path / "run", "--fold", "1", *changes)
    assert code == 0
    assert out.splitlines()[-1].endswith(" % of 8 clips (one clip is worth 12.5 points)")
    assert "warning: the test has 8 clips, and one is worth up to 12.5 points of macro accuracy" in err


def test_train_resume_of_a_finished_run_is_one_sentence(
    command: Command, tone_set: Path, changes: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert command("train", tone_set, "--out", run, *changes)[0] == 0
    weights = (run / "model.pt").stat().st_mtime_ns
    code, out, err = command("train", tone_set, "--out", run, "--resume")
    assert code == 0
    assert f"{run}: its training is finished, so nothing is left to resume" in err
    assert "macro accuracy" in out
    assert (run / "model.pt").stat().st_mtime_ns == weights
    code, _, err = command("train", tmp_path / "gone", "--out", run, "--resume")
    assert code == 1
    assert "if the recordings of" in err
    assert "give their new path" in err


def test_train_from_a_built_in_model(command: Command, tone_set: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, out, err = command(
        "train", tone_set, "--out", run, "--fold", "1", "--from", "esc10", *FROZEN, "--set", "seed=3"
    )
    assert code == 0, err
    assert "from esc10: all layers but the last, frozen, with a new last layer" in err
    assert "last layer fitted to 16 clips, with an L2 penalty of " in err
    assert "macro accuracy" in out
    record = read_record(run)
    assert record.source is not None
    assert (record.source.path, record.config.features.n_mels, record.config.seed) == ("esc10", 64, 3)
    assert command("compress", run, "--out", tmp_path / "m.scn")[0] == 0
    code, out, _ = command("info", tmp_path / "m.scn")
    assert "started from        esc10, frozen" in out


def test_train_on_few_clips_starts_from_the_default_source(
    command: Command, tone_set: Path, changes: list[str], tmp_path: Path
) -> None:
    code, _, err = command("train", tone_set, "--out", tmp_path / "run", "--fold", "1", *FROZEN)
    assert code == 0
    assert "from esc10: all layers but the last, frozen" in err
    for number, options in enumerate((["--from", "none", *changes], changes)):
        code, _, err = command("train", tone_set, "--out", tmp_path / str(number), "--fold", "1", *options)
        assert code == 0
        assert read_record(tmp_path / str(number)).source is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from", "default"], "default: no such file, and no built-in model has this name; give a .scn file"),
        (["--from", "TABLE"], "tones.csv: "),
        (["--from", "esc10", "--set", "network.width=8"], "network.width: 8 contradicts --from esc10"),
        (["--from", "esc10", "--max-macs", "2M"], "choose the network, and --from has one"),
        (["--from", "esc10", "--rule", "dcase2024"], "choose the network, and --from has one"),
        (
            ["--from", "none", "--set", "transfer.freeze=true"],
            "there are no trained weights to freeze; name some with --from",
        ),
        (["--set", "transfer.freeze=maybe"], "transfer.freeze"),
    ],
)
def test_train_from_an_unusable_source_is_one_sentence(
    command: Command, tone_set: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    words = [str(tone_set) if word == "TABLE" else word for word in options]
    code, _, err = command("train", tone_set, "--out", tmp_path / "run", "--quiet", *words)
    assert code in (1, 2)
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        (["--rule", "dcase2024"], (30_000_000, 128_000, "dcase2024")),
        (["--rule", "dcase2024", "--max-macs", "5M"], (5_000_000, 128_000, "dcase2024")),
        (["--rule", "dcase2021", "--max-bytes", "64kB"], (None, 64_000, "dcase2021")),
        (["--max-bytes", "64kB"], (None, 64_000, None)),
    ],
    ids=["rule", "fewer macs", "fewer bytes", "no rule"],
)
def test_train_rule_sets_the_limits_that_no_option_sets(
    command: Command,
    tone_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    limits: tuple[int | None, int | None, str | None],
) -> None:
    """A network within limits is a new one, so few clips are no reason to start from trained weights."""
    from scenelet.training import train as training

    given: dict[str, Any] = {}
    monkeypatch.setattr(training, "train", lambda *_, **options: given.update(options) or {})
    assert command("train", tone_set, "--out", tmp_path / "run", "--fold", "1", *options)[0] == 0
    found = given["limits"]
    assert (found.macs, found.parameter_bytes, found.rule and found.rule.name) == limits
    assert given["source"] is None


@pytest.mark.slow
def test_train_by_a_rule_makes_a_model_within_it(
    command: Command, tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    run, path = tmp_path / "run", tmp_path / "m.scn"
    settings = [setting for setting in tiny_settings if not setting.startswith("network.width")]
    small = [part for setting in [*settings, "schedule.epochs=1"] for part in ("--set", setting)]
    limits = ("--rule", "dcase2024", "--max-bytes", "9kB")
    code, _, err = command("train", tone_set, "--out", run, "--fold", "1", *small, *limits)
    assert code == 0, err
    assert "multiply-accumulates per clip of 1 s" in err
    assert command("compress", run, "--out", path)[0] == 0
    code, printed, _ = command("info", path, "--rule", "dcase2024", "--format", "json")
    assert code == 0
    assert 0 < json.loads(printed)["bytes"] <= 9_000


@pytest.mark.parametrize("fold", ['a"b', r"A\1"])
def test_train_takes_the_name_of_a_fold_as_it_is(
    command: Command, tone_set: Path, changes: list[str], tmp_path: Path, fold: str
) -> None:
    quoted = '"' + fold.replace('"', '""') + '"'
    table = tmp_path / "tones.csv"
    rows = tone_set.read_text().splitlines()
    table.write_text("\n".join([rows[0], *(row.replace(",1,", f",{quoted},") for row in rows[1:])]) + "\n")
    folder = tone_set.parent
    code, _, err = command(
        "train", table, "--out", tmp_path / "run", "--audio-dir", folder, "--fold", fold, "--seed", 3, *changes
    )
    assert code == 0, err
    config: RunConfig = read_record(tmp_path / "run").config
    assert (config.split.fold, config.seed) == (fold, 3)


@pytest.mark.parametrize("arguments", [("train", "TONES"), ("reproduce", "table3", "TONES"), ("demo",)])
def test_training_commands_without_pytorch_name_the_extra(
    tone_set: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import scenelet.cli as c; c.main()"
    for name in ("torch", "lightning"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}', name={name!r})")
    words = [str(tone_set) if word == "TONES" else word for word in arguments]
    command = [sys.executable, "-c", program, *words, "--quiet", "--out", str(tmp_path / "out")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith('error: this needs torch; install it with: pip install "scenelet[train]"')
    assert ran.stderr.count("\n") == 1


def test_train_each_device_prints_every_run(
    command: Command, device_set: Path, changes: list[str], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    settings = ["--recipe", "low_complexity", *changes, "--set", "prune.epochs=0", "--set", "prune.sparsity=0"]
    settings += ["--set", "prune.dtype=fp16"]
    code, out, err = command("train", device_set, "--each-device", "--out", runs, *settings)
    assert code == 0, err
    assert [line.partition(":")[0] for line in out.splitlines()] == ["general, test", "a, test", "s1, test"]
    assert f"next: scenelet compress {runs} --out runs_models" in err
    code, out, err = command("train", device_set, "--each-device", "--out", runs, *settings)
    assert code == 1
    assert "resume the run with --resume" in err
    code, out, _ = command(
        "train", device_set, "--each-device", "--out", runs, *settings, "--resume", "--format", "json"
    )
    assert [Path(run).name for run in json.loads(out)["runs"]] == ["general", "a", "s1"]
    record = (runs / "s1" / "run.json").read_text()
    shutil.rmtree(runs / "s1")
    code, _, err = command("train", device_set, "--each-device", "--out", runs, "--resume")
    assert code == 0, err
    assert (runs / "s1" / "run.json").read_text() == record
    models = tmp_path / "models"
    code, out, err = command("compress", runs, "--out", models, "--format", "json")
    assert code == 0, err
    assert [row["model"] for row in json.loads(out)] == [str(models / f"{name}.scn") for name in ("a", "general", "s1")]
    code, out, _ = command("evaluate", models, device_set)
    assert "Clips that each model answered: general 6, a 4, s1 4." in " ".join(out.split())


def test_train_each_device_resumes_no_foreign_folder(command: Command, device_set: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    code, _, err = command("train", device_set, "--each-device", "--out", tmp_path, "--resume")
    assert code == 1
    assert "exists already; choose another --out" in err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_train_each_device_refuses_before_it_trains(command: Command, tone_set: Path, tmp_path: Path) -> None:
    code, _, err = command("train", tone_set, "--each-device", "--out", tmp_path / "runs")
    assert code == 1
    assert "add a column device to the table, or leave --each-device out" in err
    assert not (tmp_path / "runs").exists()
