"""Path of a training: the data set is recognized, and its recordings are looked up, once per command."""

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.cli import main
from scenelet.data import load

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
