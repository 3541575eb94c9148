"""Recordings of several devices, from their table to the report of a model."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from scenelet.config.recipes import load_recipe
from scenelet.evaluation.evaluate import evaluate
from scenelet.experiments.reproduce import reproduce
from scenelet.model.file import read_model, write_model
from scenelet.training.compression.compress import compress
from scenelet.training.train import train

RECIPE = """
base = "comparison"
precision = "fp32"
features = { sample_rate = 8000, n_fft = 256, hop_length = 256, n_mels = 64 }
window = { seconds = 0.6 }
augment = { time_roll = 2 }
schedule = { epochs = 1, batch_size = 4 }
"""


@pytest.fixture
def table(tone_set: Path, tmp_path: Path) -> Path:
    """The tone set with devices: fold 1 holds all clips of s4, and some of a."""
    lines = ["filename,label,fold,group,device"]
    for row in csv.DictReader(tone_set.read_text().splitlines()):
        number = int(row["filename"].removesuffix(".wav").removeprefix(row["label"]))
        device = ("s4" if number < 6 else "a") if row["fold"] == "1" else ("a", "b")[number % 2]
        lines.append(f"{tone_set.parent / row['filename']},{row['label']},{row['fold']},{row['filename']},{device}")
    path = tmp_path / "devices.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_train_to_evaluate_tells_seen_from_unseen_devices(
    table: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    config = load_recipe("paper_short", [*tiny_settings, "schedule.epochs=1", "prune.epochs=1", 'split.fold="1"'])
    train(table, tmp_path / "run", config)
    compress(tmp_path / "run", tmp_path / "m.scn")
    model = read_model(tmp_path / "m.scn")
    assert model.provenance["train_devices"] == ["a", "b"]

    report = evaluate(str(tmp_path / "m.scn"), table, tmp_path / "report")
    assert {device: (own["clips"], own["seen_in_training"]) for device, own in report["per_device"].items()} == {
        "a": (4, True),
        "s4": (4, False),
    }
    assert (report["seen_devices"]["clips"], report["unseen_devices"]["clips"]) == (4, 4)
    assert (tmp_path / "report" / "devices.svg").is_file()
    written = list(csv.DictReader((tmp_path / "report" / "predictions.csv").read_text().splitlines()))
    assert {row["device"] for row in written} == {"a", "s4"}

    old = {key: value for key, value in model.provenance.items() if key != "train_devices"}
    write_model(replace(model, provenance=old), tmp_path / "old.scn")
    unknown = evaluate(str(tmp_path / "old.scn"), table, tmp_path / "report")
    assert [own["seen_in_training"] for own in unknown["per_device"].values()] == [None, None]
    assert "unseen_devices" not in unknown
    assert "The devices seen in training are not known." in (tmp_path / "report" / "report.html").read_text()


def test_reproduce_compares_systems_by_device(table: Path, tmp_path: Path) -> None:
    rows = [f'[[rows]]\nname = "{width}"\nsettings.network = {{ width = {width}, repeats = 1 }}' for width in (4, 8)]
    head = 'title = "Two widths"\nreference = "4"\nmean_row = "mean of the widths"'
    (tmp_path / "widths.toml").write_text("\n\n".join([head, *rows]) + "\n")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    compared = reproduce(
        str(tmp_path / "widths.toml"), table, tmp_path / "out", recipe=str(tmp_path / "tiny.toml"), folds=["1"]
    )
    for row in (*compared["rows"], compared["mean_row"]):
        assert {device: own["seen_in_training"] for device, own in row["per_device"].items()} == {
            "a": True,
            "s4": False,
        }
    accuracies = [row["macro_accuracy"]["value"] for row in compared["rows"]]
    assert compared["mean_row"]["macro_accuracy"]["value"] == pytest.approx(sum(accuracies) / 2)
    name = compared["name"]
    text = (tmp_path / "out" / f"{name}.md").read_text()
    assert "| system | a | s4 | all seen | all unseen | seen minus unseen, points |" in text
    assert text.count("| mean of the widths |") == 2
    assert "macro_accuracy_s4" in (tmp_path / "out" / f"{name}-trials.csv").read_text()
