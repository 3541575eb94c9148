"""Commands refuse wrong arguments before they load PyTorch, which takes seconds."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the import of modules that load PyTorch fail, with an error that is not ours."""
    for module in ("training.train", "training.compression.compress", "experiments.reproduce", "experiments.demo"):
        monkeypatch.setitem(sys.modules, f"scenelet.{module}", None)


@pytest.mark.usefixtures("no_training")
def test_commands_refuse_before_pytorch_is_loaded(command: Command, tone_set: Path, tmp_path: Path) -> None:
    run, model, full = tmp_path / "run", tmp_path / "m.scn", tmp_path / "full"
    full.mkdir()
    many = full / "many.toml"
    many.write_text('base = "comparison"\ntrainer.devices = 2\n')
    (full / "thesis.txt").touch()
    cases = [
        (
            ("train", tone_set, "--out", full),
            1,
            "exists already; choose another --out, or resume the run with --resume",
        ),
        (("train", tmp_path / "nix", "--out", run), 1, "nix: no such file or folder"),
        (("train", tone_set, "--out", run, "--fold", "11"), 1, "no fold '11'; there are 1 2 3"),
        (("train", tone_set, "--out", run, "--recipe", "defualt"), 2, "did you mean 'default'?"),
        (("train", tone_set, "--out", run, "--set", "mixing.mixupp=1"), 2, "did you mean 'mixing.mixup'?"),
        (("train", tone_set, "--out", run, "--set", "loss.activation=sotfmax"), 2, "did you mean 'softmax'?"),
        (("train", tone_set, "--out", run, "--teacher", tmp_path), 1, "not a run folder"),
        (("train", tone_set, "--out", run, "--max-macs", "many"), 2, "--max-macs many"),
        (("train", tone_set, "--out", run, "--rule", "dcase24"), 2, "did you mean 'dcase2024'?"),
        (
            ("train", tone_set, "--out", run, "--rule", "paper"),
            2,
            "this size rule has no limits; give one of dcase2020",
        ),
        (
            ("train", tone_set, "--out", run, "--set", "trainer.devices=3", "--set", "schedule.batch_size=2"),
            2,
            "trainer.devices x trainer.num_nodes is 3, and schedule.batch_size 2 leaves some without a clip",
        ),
        (("train", tone_set, "--out", run, "--set", "trainer.num_nodes=2"), 2, "NODE_RANK, MASTER_ADDR, MASTER_PORT"),
        (
            ("train", tone_set, "--out", run, "--set", "mixing.mixup=sometimes"),
            2,
            "mixing.mixup is 'sometimes'; it must be true or false",
        ),
        (("compress", tmp_path, "--out", model), 1, "not a run folder"),
        (("compress", tmp_path, "--out", tmp_path / "models"), 1, "not a run folder"),
        (("compress", tmp_path, "--out", model, "--max-bytes", "1kB", "--sparsity", "0.5"), 2, "not both"),
        (("reproduce", "table3", tmp_path / "nix"), 1, "no such file or folder"),
        (("reproduce", "table3", tone_set, "--fold", "1", "--cities"), 2, "not both"),
        (("reproduce", "table3", tone_set, "--recipe", "comparsion"), 2, "did you mean 'comparison'?"),
        (("reproduce", "table3", tone_set, "--reference", "CP-ResNet"), 2, "did you mean"),
        (("reproduce", "table3", tone_set, "--recipe", many), 2, "reproduce trains on one device"),
        (("demo", "--out", full), 1, "exists already; choose another --out"),
    ]
    for arguments, expected, words in cases:
        code, out, err = command(*arguments)
        assert (code, out, len(err.splitlines())) == (expected, "", 1)
        assert err.startswith("error: ")
        assert words in err
    assert sorted(tmp_path.iterdir()) == [full]
