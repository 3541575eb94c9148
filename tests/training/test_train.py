"""Path of a training: the data set is recognized, and its recordings are looked up, once per command."""

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from scenelet.cli import main
from scenelet.config.recipes import load_recipe
from scenelet.data import load
from scenelet.model.file import read_model
from scenelet.training import batches
from scenelet.training.compression.compress import compress
from scenelet.training.module import SceneModule
from scenelet.training.train import train

LABELS = {"indoor": 200.0, "outdoor": 2000.0}  # tones in Hz
SCENES = {"indoor": "airport", "outdoor": "park"}


@pytest.fixture(scope="module")
def tau_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root in the layout of TAU Urban Acoustic Scenes 2020 3Class, with tones of 0.6 s."""
    root = tmp_path_factory.mktemp("tau") / "TAU-urban-acoustic-scenes-2020-3class-development"
    (root / "audio").mkdir(parents=True)
    (root / "evaluation_setup").mkdir()
    rng = np.random.default_rng(0)
    meta, train, test = ["filename\tscene_label\tidentifier\tsource_label"], [], []
    for label, hz in LABELS.items():
        for location in range(4):
            for segment in range(2):
                name = f"audio/{SCENES[label]}-paris-{location}-{segment}-a.wav"
                tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(4800) / 8000) + 0.02 * rng.standard_normal(4800)
                soundfile.write(root / name, tone, 8000)
                meta.append(f"{name}\t{label}\tparis-{location}\ta")
                (train if location else test).append(f"{name}\t{label}")
    (root / "meta.csv").write_text("\n".join(meta) + "\n")
    for part, rows in (("train", train), ("evaluate", test)):
        text = "\n".join(["filename\tscene_label", *rows])
        (root / "evaluation_setup" / f"fold1_{part}.csv").write_text(text + "\n")
    names = "\n".join(["filename", *(row.split("\t")[0] for row in test)])
    (root / "evaluation_setup" / "fold1_test.csv").write_text(names + "\n")
    return root


@pytest.fixture
def run_command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Counter[str], list[Path]]]:
    """Run a command; return how often it looked up each recording, and the data sets that it recognized."""

    def run(*arguments: object) -> tuple[Counter[str], list[Path]]:
        lookups: Counter[str] = Counter()
        recognized: list[Path] = []
        isfile, load_tau = os.path.isfile, load.load_tau

        def count_lookup(path: os.PathLike[str]) -> bool:
            if os.fspath(path).endswith(".wav"):
                lookups[os.path.basename(path)] += 1
            return isfile(path)

        def count_data_set(root: Path, *rest: object) -> object:
            recognized.append(root)
            return load_tau(root, *rest)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(os.path, "isfile", count_lookup)
            patch.setattr(load, "load_tau", count_data_set)
            patch.setattr(sys, "argv", ["scenelet", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main()
        assert not ended.value.code
        return lookups, recognized

    return run


@pytest.mark.parametrize("limits", [(), ("--max-macs", "2M")], ids=["plain", "width search"])
def test_train_looks_up_each_recording_once(
    limits: tuple[str, ...],
    tau_root: Path,
    tiny_settings: list[str],
    run_command: Callable[..., tuple[Counter[str], list[Path]]],
    tmp_path: Path,
) -> None:
    settings = [setting for setting in tiny_settings if not (limits and setting.startswith("network.width"))]
    options = [word for setting in (*settings, "schedule.epochs=1", "prune.epochs=1") for word in ("--set", setting)]
    run = tmp_path / "run"
    lookups, recognized = run_command("train", tau_root, "--out", run, "--recipe", "paper_short", *options, *limits)
    assert recognized == [tau_root]
    assert (len(lookups), set(lookups.values())) == (16, {1})
    if not limits:
        lookups, recognized = run_command("compress", run, "--out", tmp_path / "model.scn")
        assert recognized == [tau_root.resolve()]
        assert (len(lookups), set(lookups.values())) == (16, {1})


def test_train_on_waveforms_interrupted_resumes_bit_for_bit(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resumed run computes its batches in another number of threads. `compress` trains on waveforms too."""
    waveform = ["train=true", "speed=0.1", "shift_seconds=0.2", "mix_probability=0.5", "noise_probability=0.5"]
    settings = [*tiny_settings, "schedule.epochs=3", "prune.epochs=1", "split.fold=1"]
    config = load_recipe("paper_short", [*settings, *(f"waveform.{setting}" for setting in waveform)])
    train(tone_set, tmp_path / "whole", config)
    start_epoch, run = SceneModule.on_train_epoch_start, tmp_path / "run"

    def interrupt_second_epoch(self: SceneModule) -> None:
        if self.current_epoch == 1:
            raise ConnectionAbortedError
        start_epoch(self)

    with monkeypatch.context() as patch:
        patch.setattr(SceneModule, "on_train_epoch_start", interrupt_second_epoch)
        with pytest.raises(ConnectionAbortedError):
            train(tone_set, run, config)
    monkeypatch.setattr(batches, "cpu_count", lambda: 3)
    train(tone_set, run, None, resume=True)
    whole, resumed = (torch.load(folder / "model.pt", weights_only=True) for folder in (tmp_path / "whole", run))
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
    compress(run, tmp_path / "model.scn")
    provenance = read_model(tmp_path / "model.scn").provenance["waveform"]
    assert provenance == {
        "train": True,
        "speed": 0.1,
        "shift_seconds": 0.2,
        "mix_probability": 0.5,
        "noise_probability": 0.5,
    }
