"""A data set in the official TAU layout, from real recordings: train, compress, evaluate and predict."""

import csv
from pathlib import Path

import soundfile

import scenelet
from scenelet.config.recipes import load_recipe
from scenelet.evaluation.evaluate import evaluate
from scenelet.training.compression.compress import compress
from scenelet.training.train import train

TEST_IDENTIFIERS = ("paris-9", "vienna-87", "london-149", "helsinki-92")
UNUSED_IDENTIFIERS = ("vienna-201",)  # in no split, as some clips of Milan in the published sets


def lay_out(clips: Path, root: Path) -> None:
    """Write 24-bit WAV files, meta.csv and evaluation_setup/fold1_*.csv, tab-separated, as published."""
    rows = list(csv.DictReader((clips / "clips.csv").read_text().splitlines()))
    (root / "audio").mkdir(parents=True)
    (root / "evaluation_setup").mkdir()
    meta = ["filename\tscene_label\tidentifier\tsource_label"]
    lines: dict[bool, list[str]] = {True: [], False: []}  # of the test clips, and of the training clips
    for row in rows:
        name = "audio/" + row["filename"].replace(".flac", ".wav")
        samples, rate = soundfile.read(clips / row["filename"], dtype="int32")
        soundfile.write(root / name, samples, rate, subtype="PCM_24")
        meta.append(f"{name}\t{row['scene_label']}\t{row['identifier']}\ta")
        if row["identifier"] not in UNUSED_IDENTIFIERS:
            lines[row["identifier"] in TEST_IDENTIFIERS].append(f"{name}\t{row['scene_label']}")
    (root / "meta.csv").write_text("\n".join(meta) + "\n")
    header = "filename\tscene_label"
    for name, is_test in (("train", False), ("evaluate", True)):
        (root / "evaluation_setup" / f"fold1_{name}.csv").write_text("\n".join([header, *lines[is_test]]) + "\n")
    names = [line.split("\t")[0] for line in lines[True]]
    (root / "evaluation_setup" / "fold1_test.csv").write_text("\n".join(["filename", *names]) + "\n")


def test_train_to_predict_tau_root_of_real_clips_works(tau: Path, tmp_path: Path) -> None:
    root = tmp_path / "TAU-urban-acoustic-scenes-2020-3class-development"
    lay_out(tau / "clips", root)
    config = load_recipe("paper", ["schedule.epochs=1", "network.width=8", "prune.epochs=1"])
    metrics = train(root, tmp_path / "run", config, recipe="paper")
    assert metrics["test"]["clips"] == 4
    compress(tmp_path / "run", tmp_path / "m.scn")
    report = evaluate(str(tmp_path / "m.scn"), root, tmp_path / "report")
    assert report["clips"] == 4
    assert {city: part["seen_in_training"] for city, part in report["per_city"].items()} == {
        "helsinki": True,
        "london": True,
        "paris": True,
        "vienna": False,
    }
    assert (report["seen_cities"]["clips"], report["unseen_cities"]["clips"]) == (3, 1)
    assert {device: part["seen_in_training"] for device, part in report["per_device"].items()} == {"a": True}
    with_unused = evaluate(str(tmp_path / "m.scn"), root, include_unused=True)
    assert (with_unused["clips"], with_unused["unseen_cities_with_unused"]["clips"]) == (4, 2)
    assert with_unused["macro_accuracy"] == report["macro_accuracy"]
    assert list(report["per_class"]) == ["indoor", "outdoor", "transportation"]
    classifier = scenelet.load(tmp_path / "m.scn")
    assert classifier.model.input_shape == (2, 256, 431)
    flac = classifier.predict(next((tau / "clips").glob("park-*.flac")))
    assert len(flac.windows) == 1
    wav = classifier.predict(next((root / "audio").glob("park-*.wav")))
    assert wav.label in classifier.labels
