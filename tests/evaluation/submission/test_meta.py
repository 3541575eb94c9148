"""Meta information of a submission, and the evaluation report that it takes results from."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from helpers.tiny_model import changed, tiny_model
from scenelet.config import AugmentConfig, FeatureConfig, MixingConfig, WindowConfig
from scenelet.errors import DataError
from scenelet.evaluation.submission.details import EXAMPLE, read_details
from scenelet.evaluation.submission.form import LABELS, meta_text
from scenelet.evaluation.submission.meta import meta_information, read_report
from scenelet.evaluation.submission.validate_meta import check_meta
from scenelet.model.scene_model import TrainingCounts
from scenelet.model.sizes import sizes

NAME = "Lastname_INST_task1b_1"


@pytest.fixture
def details_file(tmp_path: Path) -> Path:
    path = tmp_path / "details.toml"
    path.write_text(EXAMPLE)
    return path


def report(**changes: object) -> dict:
    per_class = {label: {"accuracy": 0.9 + k / 100, "log_loss": 0.1, "clips": 5} for k, label in enumerate(LABELS)}
    figures = {"macro_accuracy": 0.91, "accuracy": 0.5, "log_loss": 0.25, "per_class": per_class, "clips": 15}
    return {**figures, "model": "m.scn", "model_sha256": "0", "split": "test", "synthetic": False, **changes}


def training_settings(mixing: MixingConfig, augment: AugmentConfig) -> dict:
    """The part of a model's provenance that names its augmentations."""
    return {"mixing": mixing.model_dump(), "augment": augment.model_dump()}


def test_meta_information_describes_the_model(details_file: Path, tmp_path: Path) -> None:
    model, details = tiny_model(), read_details(details_file)
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report()))
    text = meta_text(meta_information(model, details, read_report(path)))
    assert check_meta("x", text.encode(), NAME) == []
    meta = yaml.safe_load(text)
    assert meta["submission"]["label"] == NAME
    assert meta["submission"]["authors"][0]["affiliation"]["department"] == "Department of Acoustics"
    assert meta["system"]["description"] == {
        "input_sampling_rate": "8.0kHz",
        "acoustic_features": "log-mel energies",
        "embeddings": None,
        "data_augmentation": None,
        "machine_learning_method": "ResNet",
        "ensemble_method_subsystem_count": None,
        "decision_making": "average",
        "external_data_usage": None,
        "complexity_management": "pruning, half precision",
    }
    complexity = meta["system"]["complexity"]
    assert complexity["total_parameters"] == model.counts.parameters
    assert complexity["total_parameters_non_zero"] == model.counts.parameters_kept
    assert complexity["model_size"] == pytest.approx(sizes(model, 0)["dcase2020"] / 1024, abs=5e-4)
    measured = meta["results"]["development_dataset"]
    assert measured["overall"] == {"accuracy": 91.0, "logloss": 0.25}  # the mean over classes, in percent
    assert measured["class_wise"]["transportation"] == {"accuracy": 92.0, "logloss": 0.1}


def test_meta_information_lists_only_the_methods_in_use(details_file: Path) -> None:
    tiny, details = tiny_model(), read_details(details_file)
    model = changed(
        tiny,
        encodings=dict.fromkeys(tiny.encodings, "fp32"),
        counts=TrainingCounts(conv=100, conv_kept=100),
        window=WindowConfig(seconds=10),
        provenance=training_settings(MixingConfig(freqmix=True, mixup=True, cutmix=False), AugmentConfig(time_roll=0)),
    )
    described = meta_information(model, details)["system"]["description"]
    assert described["complexity_management"] is None
    assert described["decision_making"] is None
    assert described["data_augmentation"] == "mixup, freqmix"
    pool = MixingConfig(freqmix=False, mixup=False, timemix=True, freq_mixstyle=True)
    mixed = changed(model, provenance=training_settings(pool, AugmentConfig(time_roll=0)))
    assert meta_information(mixed, details)["system"]["description"]["data_augmentation"] == "timemix, freq_mixstyle"
    no_mixing = MixingConfig(combine="none")
    rolled = changed(model, provenance=training_settings(no_mixing, AugmentConfig(time_roll=3)))
    assert meta_information(rolled, details)["system"]["description"]["data_augmentation"] == "time rolling"
    every = AugmentConfig(
        time_roll=3, time_stretch=0.1, crop_frames=9, frequency_shift=1, gain_db=1, filter_augment_db=1
    )
    words = "time rolling, time stretching, cropping, frequency shifting, gain, filtering"
    augmented = changed(model, provenance=training_settings(no_mixing, every))
    assert meta_information(augmented, details)["system"]["description"]["data_augmentation"] == words
    under = changed(
        model, provenance=training_settings(no_mixing, AugmentConfig(time_roll=0, background_probability=1))
    )
    assert meta_information(under, details)["system"]["description"]["data_augmentation"] is None
    heard = changed(under, background=under.labels[0])
    assert meta_information(heard, details)["system"]["description"]["data_augmentation"] == "mixing with background"
    provenance = training_settings(no_mixing, AugmentConfig(time_roll=0))
    waveform = {"train": True, "speed": 0.1, "mix_probability": 0.5, "noise_probability": 0.5}
    mixed = changed(model, provenance={**provenance, "waveform": waveform})
    words = "speed perturbation, between-class mixing, noise"
    assert meta_information(mixed, details)["system"]["description"]["data_augmentation"] == words
    given = details.model_copy(update={"data_augmentation": "pitch shifting", "ensemble_count": 3})
    described = meta_information(model, given)["system"]["description"]
    assert described["data_augmentation"] == "pitch shifting"
    assert described["ensemble_method_subsystem_count"] == 3


@pytest.mark.parametrize(("rate", "text"), [(48000, "48.0kHz"), (44100, "44.1kHz"), (22050, "22.05kHz")])
def test_meta_information_formats_the_sample_rate(rate: int, text: str, details_file: Path) -> None:
    model = changed(tiny_model(), features=FeatureConfig(sample_rate=rate))
    meta = meta_information(model, read_details(details_file))
    assert meta["system"]["description"]["input_sampling_rate"] == text
    assert check_meta("x", meta_text(meta).encode()) == []  # and the results may be left out


def test_meta_information_shows_a_single_byte_too_many(details_file: Path) -> None:
    limit = 250 * 1024
    for kept, faults in ((limit, 0), (limit + 1, 1)):
        model = changed(tiny_model(), counts=TrainingCounts(conv=2 * limit, conv_kept=kept))
        text = meta_text(meta_information(model, read_details(details_file)))
        assert len(check_meta("x", text.encode())) == faults


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("\xff", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no keys"),
        ("{}", "macro_accuracy"),
        (json.dumps(report(macro_accuracy=91)), "macro_accuracy"),
        (json.dumps(report(log_loss=float("nan"))), "log_loss"),
        (json.dumps(report(per_class={"rain": {"accuracy": 1, "log_loss": 0}})), "rain"),
        (json.dumps(report(per_class={"indoor": {"accuracy": None, "log_loss": None}})), "per_class.indoor.accuracy"),
    ],
)
def test_read_report_rejects_other_files(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(DataError) as caught:
        read_report(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert "scenelet evaluate MODEL DATA --out DIR" in str(caught.value)


def test_check_model_refuses_the_report_of_another_model(tmp_path: Path) -> None:
    model, other, path = tmp_path / "m.scn", tmp_path / "other.scn", tmp_path / "report.json"
    model.write_bytes(b"one")
    other.write_bytes(b"two")
    path.write_text(json.dumps(report(model=str(model), model_sha256=hashlib.sha256(b"one").hexdigest())))
    read_report(path).check_model(path, str(model))
    read_report(path).check_model(path, str(model.rename(tmp_path / "moved.scn")))
    with pytest.raises(DataError, match=rf"is not the report of {other} but of another model, {model}; run scenelet"):
        read_report(path).check_model(path, str(other))
    model.write_bytes(b"three")
    with pytest.raises(DataError, match="another version of this file"):
        read_report(path).check_model(path, str(model))


def test_mismatches_name_split_and_data(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report()))
    assert read_report(path).mismatches() == []
    path.write_text(json.dumps(report(split="all", synthetic=True)))
    split, data = read_report(path).mismatches()
    assert "'all'" in split
    assert "synthetic" in data
