"""Recordings of several devices, from their table to the report of a model."""

import csv
from dataclasses import replace
from pathlib import Path

from scenelet.config.recipes import load_recipe
from scenelet.evaluation.evaluate import evaluate
from scenelet.model.file import read_model, write_model
from scenelet.training.compression.compress import compress
from scenelet.training.train import train


def test_train_to_evaluate_tells_seen_from_unseen_devices(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    """Fold 1 is tested. It holds all clips of device s4, and some of a."""
    rows = list(csv.DictReader(tone_set.read_text().splitlines()))
    lines = ["filename,label,fold,device"]
    for row in rows:
        number = int(row["filename"].removesuffix(".wav").removeprefix(row["label"]))
        device = ("s4" if number < 6 else "a") if row["fold"] == "1" else ("a", "b")[number % 2]
        lines.append(f"{tone_set.parent / row['filename']},{row['label']},{row['fold']},{device}")
    table = tmp_path / "devices.csv"
    table.write_text("\n".join(lines) + "\n")
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
