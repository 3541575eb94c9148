"""`evaluate` on a tiny model: the report's content, and errors before any prediction."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from helpers.device_folder import write_device_folder
from helpers.tiny_model import changed, tiny_model, with_known_sounds
from scenelet.errors import AudioError, DataError, SceneletError, UsageError
from scenelet.evaluation.evaluate import evaluate
from scenelet.evaluation.report import background_model_text
from scenelet.inference.classifier import load
from scenelet.model.file import read_model, write_model
from scenelet.model.temperature import scale_logits


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "m.scn"
    write_model(changed(tiny_model(), labels=("high", "low", "other")), path)
    return str(path)


def test_evaluate_counts_the_predictions_of_the_classifier(model: str, tone_set: Path) -> None:
    report = evaluate(model, tone_set, split="all")
    classifier = load(model)
    paths = sorted(tone_set.parent.glob("*.wav"))
    right = sum(path.name.startswith(classifier.predict(path).label) for path in paths)
    assert report["clips"] == len(paths) == 24
    assert report["accuracy"] == pytest.approx(right / len(paths))
    assert report["per_class"]["other"]["clips"] == 0
    assert (report["split"], report["fold"], report["warning"]) == ("all", None, None)


def test_evaluate_of_another_split_warns(model: str, tone_set: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = evaluate(model, tone_set, fold="2")
    assert report["clips"] == 8
    assert (report["split"], report["fold"]) == ("test", "2")
    assert "not the split that the model was trained with" in report["warning"]
    assert report["warning"] in capfd.readouterr().err


def test_evaluate_of_other_data_measures_every_clip(model: str, tone_set: Path, tmp_path: Path) -> None:
    names = ("low0", "low1", "high0", "high1")
    rows = [f"{name}.wav,{name[:-1]}" for name in names]
    (tmp_path / "few.csv").write_text("\n".join(["filename,label", *rows]) + "\n")
    report = evaluate(model, tmp_path / "few.csv", audio_dir=tone_set.parent)
    assert (report["split"], report["clips"]) == ("all", 4)
    assert "if some of these clips were seen in training" in report["warning"]


def test_evaluate_of_one_class_is_allowed(model: str, tone_set: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("filename,label\nlow0.wav,other\nlow1.wav,other\n")
    report = evaluate(model, tmp_path / "other.csv", audio_dir=tone_set.parent)
    assert report["clips"] == report["per_class"]["other"]["clips"] == 2
    assert report["per_class"]["low"]["clips"] == 0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"examples": -1}, UsageError, "--examples -1: give 0 or more"),
        ({"run": Path("run")}, UsageError, "give --out too"),
        ({"audio": "mp3"}, UsageError, "--audio mp3: give one of link, embed, none"),
        ({"split": "dev"}, UsageError, "--split dev: give one of test, validation, train, all"),
        ({"fold": "9"}, DataError, "no fold '9'"),
        ({"fold": "1", "split": "validation"}, DataError, "its validation split is empty"),
        ({"include_unused": True, "fold": "1"}, UsageError, "does not name the cities seen in training"),
    ],
    ids=["examples", "run", "audio", "split", "fold", "empty", "unused"],
)
def test_evaluate_rejects_invalid_options(
    model: str, tone_set: Path, options: dict[str, Any], error: type[SceneletError], words: str
) -> None:
    with pytest.raises(error, match=words):
        evaluate(model, tone_set, **options)


def test_evaluate_rejects_labels_that_the_model_does_not_know(model: str, tone_set: Path, tmp_path: Path) -> None:
    data = tmp_path / "unknown.csv"
    data.write_text(tone_set.read_text().replace(",high,", ",hihg,"))
    with pytest.raises(DataError, match=r"label 'hihg' is not one of the model's .*; did you mean 'high'"):
        evaluate(model, data, audio_dir=tone_set.parent, split="all")


def test_evaluate_names_a_recording_that_cannot_be_read(model: str, tmp_path: Path, rng: np.random.Generator) -> None:
    for label in ("high", "low"):
        (tmp_path / "data" / label).mkdir(parents=True)
        soundfile.write(tmp_path / "data" / label / "a.wav", 0.1 * rng.standard_normal(4000), 8000)
    (tmp_path / "data" / "low" / "b.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"b\.wav"):
        evaluate(model, tmp_path / "data", tmp_path / "report")
    assert not (tmp_path / "report" / "report.html").exists()


@pytest.mark.parametrize(
    "provenance",
    [
        {"split": []},
        {"split": {"fold": {"a": 1}}},
        {"split": {"test_fraction": "much"}},
        {"split": 3, "train_cities": 7, "split_hash": [1], "tau_3_class": "yes", "multi_label": 5, "recipe": None},
        {"train_cities": [{"a": 1}, "lyon"], "train_devices": {"a": 1}},
    ],
)
def test_evaluate_survives_a_foreign_files_provenance(tmp_path: Path, tone_set: Path, provenance: dict) -> None:
    path = tmp_path / "foreign.scn"
    write_model(changed(tiny_model(), provenance=provenance), path)
    clips = sorted(tone_set.parent.rglob("*.wav"))[:4]
    rows = [f"{clip.relative_to(tone_set.parent)},{('indoor', 'outdoor')[i % 2]}" for i, clip in enumerate(clips)]
    (tmp_path / "clips.csv").write_text("\n".join(["filename,label", *rows]) + "\n")
    report = evaluate(str(path), tmp_path / "clips.csv", tmp_path / "report", audio_dir=tone_set.parent)
    assert report["split"] == "all"
    assert (tmp_path / "report" / "report.html").exists()


def test_evaluate_undoes_the_temperature(model: str, tone_set: Path, tmp_path: Path) -> None:
    effect = {"log_loss": 0.2, "ece": 0.1}
    stored = {"temperature": 1.7, "subset": "test", "clips": 9, "before": effect, "after": effect}
    plain = read_model(Path(model))
    write_model(changed(scale_logits(plain, 1.7), results={"calibration": stored}), tmp_path / "m.scn")
    before, after = (evaluate(str(path), tone_set, split="all") for path in (model, tmp_path / "m.scn"))
    assert before["calibration"] is None
    assert after["calibration"].pop("without") == {
        "log_loss": pytest.approx(before["log_loss"], abs=1e-5),
        "ece": pytest.approx(before["reliability"]["ece"], abs=1e-5),
    }
    assert after["calibration"] == {"temperature": 1.7, "subset": "test", "clips": 9}
    assert after["log_loss"] != pytest.approx(before["log_loss"], abs=1e-3)


@pytest.mark.parametrize(("own", "others", "share"), [(0, None, 1), (None, 0, 0)])
def test_evaluate_counts_sure_answers_by_the_threshold_of_their_label(
    model: str, tone_set: Path, tmp_path: Path, own: float | None, others: float | None, share: int
) -> None:
    """All answers of the random network are its third label."""
    stored = {"probabilities": {"high": others, "low": others, "other": own}, "false_alarms_per_hour": 1, "hours": 2}
    write_model(changed(read_model(Path(model)), results={"label_thresholds": stored}), tmp_path / "m.scn")
    report = evaluate(str(tmp_path / "m.scn"), tone_set, split="all")
    assert [row[2] for row in report["confusion"]] == [12, 12, 0]
    sure = {"thresholds": [others, others, own], "min_similarity": None, "clips": 24 * share, "right": 0}
    assert report["sure"] == sure


def test_evaluate_treats_several_labels_as_training_did(tmp_path: Path, tone_set: Path) -> None:
    path, table = tmp_path / "m.scn", tmp_path / "clips.csv"
    provenance = {**tiny_model().provenance, "multi_label": "first"}
    write_model(changed(tiny_model(), labels=("high", "low", "other"), provenance=provenance), path)
    names = sorted(file.name for file in tone_set.parent.glob("*.wav"))
    table.write_text(f'filename,label\n{names[0]},"high,other"\n{names[1]},other\n')
    report = evaluate(str(path), table, audio_dir=tone_set.parent)
    assert [report["per_class"][label]["clips"] for label in report["labels"]] == [1, 0, 1]
    with pytest.raises(DataError, match="'high,other' is several labels"):
        evaluate(str(path), table, audio_dir=tone_set.parent, multi_label="refuse")


def test_evaluate_counts_sure_answers(model: str, tone_set: Path) -> None:
    report = evaluate(model, tone_set, split="all")
    sure = report["sure"]
    assert sure["thresholds"] == list(load(model).thresholds)
    assert 0 <= sure["right"] <= sure["clips"] <= report["clips"]


def test_evaluate_counts_unlike_sounds_as_unsure(tmp_path: Path, tone_set: Path, model: str) -> None:
    stored = read_model(Path(model))
    assert stored.known is None
    before = evaluate(model, tone_set, split="all")["sure"]
    assert before["clips"] > 0
    assert before["min_similarity"] is None
    for minimum, clips in ((-1.0, before["clips"]), (1.0, 0)):
        write_model(with_known_sounds(stored, minimum), tmp_path / "m.scn")
        report = evaluate(str(tmp_path / "m.scn"), tone_set, split="all")
        assert (report["sure"]["min_similarity"], report["sure"]["clips"]) == (minimum, clips)
        assert (report["detection"]["precision"][0] is None) == (clips == 0)


@pytest.fixture
def device_table(tone_set: Path, tmp_path: Path) -> Path:
    """Six recordings of the devices a, s1 and unknown ones; the names begin with the label."""
    names = ("low0", "high0", "low1", "high1", "low2", "high2")
    devices = ("a", "a", "s1", "s1", "s9", "")
    rows = [f"{tone_set.parent}/{name}.wav,{name[:-1]},{device}" for name, device in zip(names, devices, strict=True)]
    (tmp_path / "devices.csv").write_text("\n".join(["filename,label,device", *rows]) + "\n")
    return tmp_path / "devices.csv"


def test_evaluate_of_a_folder_uses_the_model_of_each_device(device_table: Path, tmp_path: Path) -> None:
    folder = write_device_folder(tmp_path / "models", {"general": "other", "a": "low", "s1": "high", "s8": "low"})
    report = evaluate(str(folder), device_table, tmp_path / "report")
    assert report["confusion"] == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]  # rows high, low, other
    assert report["device_models"] == {
        name: {
            "clips": clips,
            "sha256": hashlib.sha256((folder / f"{name}.scn").read_bytes()).hexdigest(),
            "bytes": (folder / f"{name}.scn").stat().st_size,
        }
        for name, clips in {"general": 2, "a": 2, "s1": 2, "s8": 0}.items()
    }
    assert report["accuracy"] == pytest.approx(2 / 6)
    page = (tmp_path / "report/report.html").read_text()
    sizes = [own["bytes"] for own in report["device_models"].values()]
    sentence = "Clips that each model answered: general 2, a 2, s1 2, s8 0."
    assert page.index("<dt>Models</dt>") < page.index(sentence) < page.index("<h2>Classes</h2>")
    assert f"a folder of 4 models, the largest of {max(sizes):,} bytes" in page
    assert f"s1 {sizes[2]:,} bytes" in page
    assert "Provenance and settings of the general model" in page
    assert "heard the recordings of background" not in page


def test_evaluate_of_a_folder_counts_the_false_alarms_of_the_general_model(
    device_table: Path, tone_set: Path, tmp_path: Path
) -> None:
    folder = write_device_folder(tmp_path / "models", {"general": "other", "a": "low"})
    report = evaluate(str(folder), device_table, tmp_path / "report", background=tone_set.parent)
    assert background_model_text(report).startswith("The general model heard")
    page = (tmp_path / "report/report.html").read_text()
    assert page.index("<h2>False alarms") < page.index(background_model_text(report)) < page.index("<h2>Devices</h2>")

    assert evaluate(str(folder / "a.scn"), device_table)["accuracy"] == pytest.approx(3 / 6)


def test_evaluate_of_a_folder_stores_no_thresholds(device_table: Path, tone_set: Path, tmp_path: Path) -> None:
    folder = write_device_folder(tmp_path / "models", {"general": "other", "a": "low"})
    with pytest.raises(UsageError, match="thresholds belong to one model file; give that file"):
        evaluate(str(folder), device_table, background=tone_set.parent, store=True)
