"""From a CSV of recordings to a model file and back to probabilities, with a tiny network."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import scenelet
from scenelet.config import run_folder as runs
from scenelet.config.recipes import load_recipe
from scenelet.data.load import load_table
from scenelet.errors import DataError, OutputError, RunError, SceneletError, UsageError
from scenelet.evaluation.evaluate import evaluate
from scenelet.model.file import read_model
from scenelet.nn.prune import convolution_weights
from scenelet.training.batches import epoch_batches
from scenelet.training.compression.compress import compress
from scenelet.training.dataset import load_dataset
from scenelet.training.module import SceneModule
from scenelet.training.preflight import load_recorded_table
from scenelet.training.train import train

SETTINGS = [
    "schedule.epochs=30",
    "schedule.learning_rate=1e-2",
    "prune.epochs=5",
    "prune.self_distillation=0.5",
    "window.pad_mode=repeat",
    'split.fold="1"',
]


@pytest.fixture(scope="module")
def trained(
    tone_set: Path, tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("trained")
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS])
    metrics = train(tone_set, folder / "run", config, recipe="paper_short")
    return folder, metrics


@pytest.fixture(scope="module")
def compressed(trained: tuple[Path, dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
    folder, _ = trained
    return folder / "m.scn", compress(folder / "run", folder / "m.scn")


def test_train_tone_set_learns_and_writes_the_run_folder(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, metrics = trained
    run = folder / "run"
    assert metrics["test"]["macro_accuracy"] >= 0.75
    assert [row["epoch"] for row in metrics["history"]] == list(range(1, 31))
    assert json.loads((run / "metrics.json").read_text())["test"] == metrics["test"]
    record = runs.read_record(run)
    assert record.labels == ("high", "low")
    assert record.train_counts == (8, 8)
    assert record.versions["scenelet"] == scenelet.__version__
    splits = [row["split"] for row in csv.DictReader((run / "split.csv").read_text().splitlines())]
    assert (splits.count("train"), splits.count("test")) == (16, 8)
    for name in ("curves.png", "model.pt", "logs/csv/version_0/metrics.csv", "checkpoints/last.ckpt"):
        assert (run / name).stat().st_size > 0
    assert list((run / "logs" / "tensorboard").rglob("events*"))
    assert not list(run.rglob("*partial*"))


def test_compress_trained_run_gives_a_small_accurate_file(
    trained: tuple[Path, dict[str, Any]], compressed: tuple[Path, dict[str, Any]]
) -> None:
    path, result = compressed
    assert result["bytes"] == path.stat().st_size < 20_000
    assert result["sparsity"] == 0.6
    assert result["dense"]["test"]["macro_accuracy"] == trained[1]["test"]["macro_accuracy"]
    model = scenelet.load(path).model
    assert model.provenance["recipe"] == "paper_short"
    assert model.results["compressed"]["test"]["clips"] == 8
    nonzero = sum(np.count_nonzero(model.arrays[n]) for n, e in model.encodings.items() if e == "masked_fp16")
    assert nonzero <= model.counts.conv_kept == round(model.counts.conv * 0.4)


def test_predict_gives_the_predictions_of_evaluate(
    compressed: tuple[Path, Any], tone_set: Path, tmp_path: Path
) -> None:
    path, result = compressed
    report = evaluate(str(path), tone_set, tmp_path / "report")
    assert report["clips"] == 8
    assert report["macro_accuracy"] == result["compressed"]["test"]["macro_accuracy"]
    assert {"accuracy", "macro_accuracy", "log_loss", "per_class", "clips"} <= set(report)
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == report
    classifier = scenelet.load(path)
    for row in csv.DictReader((tmp_path / "report" / "predictions.csv").read_text().splitlines()):
        prediction = classifier.predict(tone_set.parent / row["filename"])
        assert prediction.label == row["predicted"]
        assert prediction.probabilities[row["label"]] == pytest.approx(float(row[row["label"]]), abs=1e-6)


def test_evaluate_other_splits_and_unknown_labels(compressed: tuple[Path, Any], tone_set: Path, tmp_path: Path) -> None:
    path, _ = compressed
    assert evaluate(str(path), tone_set, split="all")["clips"] == 24
    lines = tone_set.read_text().splitlines()
    names = [line.split(",")[:2] for line in lines[1:] if "low" in line or "high1" in line]
    others = tmp_path / "others.csv"  # other recordings, without folds: `evaluate` measures all of them
    others.write_text("filename,label\n" + "\n".join(",".join(name) for name in names) + "\n")
    report = evaluate(str(path), others, audio_dir=tone_set.parent)
    assert (report["clips"], report["split"]) == (len(names), "all")
    assert evaluate(str(path), tone_set, fold="2", split="train")["clips"] == 16
    with pytest.raises(DataError, match="validation split is empty"):
        evaluate(str(path), tone_set, split="validation")
    with pytest.raises(UsageError, match="--split dev"):
        evaluate(str(path), tone_set, split="dev")
    strange = tmp_path / "strange.csv"
    strange.write_text(tone_set.read_text().replace(",low,", ",medium,"))
    with pytest.raises(DataError, match="label 'medium' is not one of the model's"):
        evaluate(str(path), strange, audio_dir=tone_set.parent)


def test_compress_max_bytes_limits_the_file_size(trained: tuple[Path, Any]) -> None:
    folder, _ = trained
    result = compress(folder / "run", folder / "small.scn", max_bytes=9_000)
    assert (folder / "small.scn").stat().st_size == result["bytes"] <= 9_000
    with pytest.raises(UsageError, match="out of reach"):
        compress(folder / "run", folder / "none.scn", max_bytes=3_000)
    assert not (folder / "none.scn").exists()


def test_compress_sparsity_zero_keeps_the_log_loss(trained: tuple[Path, Any]) -> None:
    folder, metrics = trained
    compress(folder / "run", folder / "dense.scn", sparsity=0.0)
    uncalibrated = read_model(folder / "dense.scn").results["calibration"]["before"]["log_loss"]
    assert uncalibrated == pytest.approx(metrics["test"]["log_loss"], abs=2e-3)


@pytest.mark.slow
def test_train_same_seed_gives_same_weights_and_file(
    trained: tuple[Path, Any], compressed: tuple[Path, Any], tone_set: Path, tmp_path: Path
) -> None:
    folder, _ = trained
    train(
        tone_set,
        tmp_path / "run",
        runs.read_record(folder / "run").config,
        recipe="paper_short",
    )
    first, second = (torch.load(f / "run" / "model.pt", weights_only=True) for f in (folder, tmp_path))
    assert all(torch.equal(first[name], second[name]) for name in first)
    compress(tmp_path / "run", tmp_path / "m.scn")
    assert (tmp_path / "m.scn").read_bytes() == compressed[0].read_bytes()


@pytest.mark.slow
def test_train_killed_in_third_epoch_resumes_bit_for_bit(
    trained: tuple[Path, Any], tone_set: Path, tmp_path: Path
) -> None:
    folder, metrics = trained
    config = runs.read_record(folder / "run").config
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from scenelet.config import RunConfig\n"
        "from scenelet.training.batches import EpochBatches\n"
        "from scenelet.training.train import train\n"
        "original_iter = EpochBatches.__iter__\n"
        "def killed_iter(self):\n"
        "    for i, batch in enumerate(original_iter(self)):\n"
        "        if self.epoch == 2 and i == 2:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        yield batch\n"
        "EpochBatches.__iter__ = killed_iter\n"
        "if __name__ == '__main__':\n"
        "    config = RunConfig.model_validate_json(sys.argv[3])\n"
        "    train(Path(sys.argv[1]), Path(sys.argv[2]), config, recipe='paper_short')\n"
    )
    run = tmp_path / "run"
    command = [sys.executable, str(script), str(tone_set), str(run), config.model_dump_json()]
    with (tmp_path / "stderr.txt").open("w") as stderr:  # a file: children of the killed process would keep a pipe open
        killed = subprocess.run(command, stderr=stderr, timeout=120)
    assert killed.returncode == -9, (tmp_path / "stderr.txt").read_text()
    assert not (run / "model.pt").exists()
    with pytest.raises(RunError, match="has not finished"):
        compress(run, tmp_path / "m.scn")
    with pytest.raises(RunError, match="--resume"):
        train(tone_set, run, config, recipe="paper_short")
    resumed = train(tone_set, run, None, resume=True)
    uninterrupted, after = (torch.load(f / "run" / "model.pt", weights_only=True) for f in (folder, tmp_path))
    assert all(torch.equal(uninterrupted[name], after[name]) for name in uninterrupted)
    assert resumed["test"] == metrics["test"]
    losses = [[row["loss"] for row in m["history"]] for m in (metrics, resumed)]
    assert losses[0] == losses[1]


def test_train_resume_with_other_settings_is_an_error(
    trained: tuple[Path, Any], tone_set: Path, tmp_path: Path
) -> None:
    folder, _ = trained
    config = runs.read_record(folder / "run").config.model_copy(update={"seed": 9})
    with pytest.raises(RunError, match="other settings"):
        train(tone_set, folder / "run", config, resume=True)
    with pytest.raises(RunError, match="no run to resume"):
        train(tone_set, tmp_path / "new", None, resume=True)


def test_compress_and_resume_refuse_changed_recordings(
    trained: tuple[Path, Any], tone_set: Path, tmp_path: Path
) -> None:
    folder, _ = trained
    changed = tmp_path / "changed.csv"
    changed.write_text(tone_set.read_text().replace("low0.wav,low", "low0.wav,high"))
    for action in (
        lambda: compress(folder / "run", tmp_path / "m.scn", data=load_table(changed, tone_set.parent)),
        lambda: train(load_table(changed, tone_set.parent), folder / "run", None, resume=True),
    ):
        with pytest.raises(RunError, match=r"not those that split\.csv lists"):
            action()
    assert not (tmp_path / "m.scn").exists()


def test_train_impossible_settings_fail_before_training(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    # the last setting gives more parameters than a model file may hold
    for setting in ("features.n_mels=30", "window.seconds=0.1", "network.sub_bands=32", "network.width=512"):
        with pytest.raises(SceneletError) as caught:
            train(tone_set, tmp_path / "run", load_recipe("paper_short", [*tiny_settings, *SETTINGS, setting]))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "run").exists()


def test_compress_bad_output_path_fails_before_fine_tuning(trained: tuple[Path, Any], tmp_path: Path) -> None:
    folder, _ = trained
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        compress(folder / "run", tmp_path / "file" / "m.scn")
    with pytest.raises(UsageError, match=r"ends in \.scn"):
        compress(folder / "run", tmp_path / "m.onnx")


def test_train_divergence_names_the_clips(tone_set: Path, tiny_settings: list[str], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="training diverged"):
        train(
            tone_set,
            tmp_path / "run",
            load_recipe("paper_short", [*tiny_settings, *SETTINGS, "schedule.learning_rate=1e30"]),
        )
    clips = json.loads((tmp_path / "run" / "diverged.json").read_text())["clips"]
    rows = csv.DictReader((tmp_path / "run" / "split.csv").read_text().splitlines())
    assert clips
    assert set(clips) <= {row["filename"] for row in rows if row["split"] == "train"}


def test_train_checkpoint_validation_takes_the_best_epoch(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    changes = [
        *tiny_settings,
        *SETTINGS,
        "schedule.epochs=4",
        "checkpoint=validation",
        "split.validation_fraction=0.25",
    ]
    metrics = train(tone_set, tmp_path / "run", load_recipe("paper_short", changes))
    best = max(row["validation_macro_accuracy"] for row in metrics["history"])
    assert metrics["validation"]["macro_accuracy"] == best
    rows = list(csv.DictReader((tmp_path / "run" / "split.csv").read_text().splitlines()))
    groups = {
        split: {row["group"] for row in rows if row["split"] == split} for split in ("train", "validation", "test")
    }
    assert groups["validation"]
    assert not groups["validation"] & groups["train"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["augment.crop_frames=3"], r"augment.crop_frames is 3, and the strides of shared_resnet leave no frame"),
        (
            ["network.name=dcase2020_baseline", "network.width=64", "network.repeats=3", "augment.crop_frames=30"],
            "dense layers",
        ),
    ],
)
def test_train_crop_too_small_for_the_network_is_an_error(
    changes: list[str], words: str, tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS, *changes])
    with pytest.raises(UsageError, match=words):
        train(tone_set, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_epoch_batches_last_epochs_are_not_mixed(trained: tuple[Path, Any], tiny_settings: list[str]) -> None:
    folder, _ = trained
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS, "schedule.epochs=4"])
    dataset = load_dataset(load_recorded_table(runs.read_record(folder / "run").data), config)

    def any_mixed(epoch_fraction: float, epoch: int, first: int = 0) -> bool:
        mixing = config.mixing.model_copy(update={"epoch_fraction": epoch_fraction})
        batches = epoch_batches(dataset.train, config.model_copy(update={"mixing": mixing}), first)(epoch)
        return any(float(y.max(1).values.min()) < 1 for _, y in batches)

    assert [any_mixed(0.5, epoch) for epoch in range(4)] == [True, True, False, False]
    assert [any_mixed(1.0, epoch) for epoch in (0, 3)] == [True, True]
    assert (any_mixed(0.5, 0, first=4), any_mixed(1.0, 0, first=4)) == (False, True)  # fine-tuning


def test_compress_self_distillation_teacher_is_not_pruned(
    trained: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = trained
    zero_fractions = []

    def record_zeros(module: SceneModule, *_: Any, **__: Any) -> None:
        module.on_train_epoch_start()
        assert module.distillation is not None
        networks = (module.network, *module.distillation.networks)
        zero_fractions.extend(
            [float((weight == 0).float().mean()) for weight in convolution_weights(network).values()]
            for network in networks
        )

    monkeypatch.setattr("scenelet.training.compression.finetune.run_trainer", record_zeros)
    compress(folder / "run", tmp_path / "m.scn")
    student, teacher = zero_fractions
    assert max(student) > 0.3
    assert max(teacher) < 0.01
