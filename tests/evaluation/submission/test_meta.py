"""Meta information of a submission."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from helpers.example_submission import YEARS, report_values
from helpers.tiny_model import changed, tiny_model
from scenelet.config import AugmentConfig, FeatureConfig, MixingConfig, WindowConfig
from scenelet.evaluation.submission.challenge import CHALLENGES
from scenelet.evaluation.submission.details import Details, example, read_details
from scenelet.evaluation.submission.form import meta_text
from scenelet.evaluation.submission.meta import complexity, describe, meta_information
from scenelet.evaluation.submission.results import EvaluationReport, read_report
from scenelet.evaluation.submission.validate_meta import check_meta
from scenelet.model.costs import torchinfo_macs
from scenelet.model.scene_model import SceneModel, TrainingCounts
from scenelet.model.sizes import sizes

FIRST = CHALLENGES[2020]
NAME = "Lastname_INST_task1b_1"


@pytest.fixture
def details_file(tmp_path: Path) -> Path:
    path = tmp_path / "details.toml"
    path.write_text(example(FIRST))
    return path


def information(model: SceneModel, details: Details, measured: EvaluationReport | None = None) -> dict[str, Any]:
    """The meta information of a submission of 2020."""
    return meta_information({"": model}, details, FIRST, {} if measured is None else {"": measured})


def training_settings(mixing: MixingConfig, augment: AugmentConfig) -> dict:
    """The part of a model's provenance that names its augmentations."""
    return {"mixing": mixing.model_dump(), "augment": augment.model_dump()}


def test_meta_information_describes_the_model(details_file: Path, tmp_path: Path) -> None:
    model, details = tiny_model(), read_details(details_file, FIRST)
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report_values(FIRST)))
    text = meta_text(information(model, details, read_report(path, FIRST)), FIRST.title)
    assert check_meta("x", text.encode(), FIRST, NAME) == []
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
    tiny, details = tiny_model(), read_details(details_file, FIRST)
    model = changed(
        tiny,
        encodings=dict.fromkeys(tiny.encodings, "fp32"),
        counts=TrainingCounts(conv=100, conv_kept=100),
        window=WindowConfig(seconds=10),
        provenance=training_settings(MixingConfig(freqmix=True, mixup=True, cutmix=False), AugmentConfig(time_roll=0)),
    )
    described = information(model, details)["system"]["description"]
    assert described["complexity_management"] is None
    assert described["decision_making"] is None
    assert described["data_augmentation"] == "mixup, freqmix"
    pool = MixingConfig(freqmix=False, mixup=False, timemix=True, freq_mixstyle=True)
    mixed = changed(model, provenance=training_settings(pool, AugmentConfig(time_roll=0)))
    assert information(mixed, details)["system"]["description"]["data_augmentation"] == "timemix, freq_mixstyle"
    no_mixing = MixingConfig(combine="none")
    rolled = changed(model, provenance=training_settings(no_mixing, AugmentConfig(time_roll=3)))
    assert information(rolled, details)["system"]["description"]["data_augmentation"] == "time rolling"
    every = AugmentConfig(
        time_roll=3, time_stretch=0.1, crop_frames=9, frequency_shift=1, gain_db=1, filter_augment_db=1
    )
    words = "time rolling, time stretching, cropping, frequency shifting, gain, filtering"
    augmented = changed(model, provenance=training_settings(no_mixing, every))
    assert information(augmented, details)["system"]["description"]["data_augmentation"] == words
    under = changed(
        model, provenance=training_settings(no_mixing, AugmentConfig(time_roll=0, background_probability=1))
    )
    assert information(under, details)["system"]["description"]["data_augmentation"] is None
    heard = changed(under, background=under.labels[0])
    assert information(heard, details)["system"]["description"]["data_augmentation"] == "mixing with background"
    provenance = training_settings(no_mixing, AugmentConfig(time_roll=0))
    waveform = {"train": True, "speed": 0.1, "mix_probability": 0.5, "noise_probability": 0.5}
    mixed = changed(model, provenance={**provenance, "waveform": waveform})
    words = "speed perturbation, between-class mixing, noise"
    assert information(mixed, details)["system"]["description"]["data_augmentation"] == words
    given = details.model_copy(update={"data_augmentation": "pitch shifting", "ensemble_count": 3})
    described = information(model, given)["system"]["description"]
    assert described["data_augmentation"] == "pitch shifting"
    assert described["ensemble_method_subsystem_count"] == 3


def test_meta_information_of_an_ensemble_counts_its_members(details_file: Path) -> None:
    tiny, details = tiny_model(), read_details(details_file, FIRST)
    nets = {f"members.{k}.{name}": (k, name) for k in range(3) for name in tiny.arrays}
    ensemble = changed(
        tiny,
        arrays={new: tiny.arrays[name] for new, (_, name) in nets.items()},
        encodings={new: tiny.encodings[name] for new, (_, name) in nets.items()},
        nodes=(),
        window=WindowConfig(seconds=10),
    )
    described = describe(ensemble, details, FIRST)
    assert (described["ensemble_method_subsystem_count"], described["decision_making"]) == (3, "average")
    given = details.model_copy(update={"ensemble_count": 2})
    assert describe(ensemble, given, FIRST)["ensemble_method_subsystem_count"] == 2
    alone = details.model_copy(update={"ensemble_count": 1})
    assert describe(ensemble, alone, FIRST)["ensemble_method_subsystem_count"] is None


def test_meta_information_counts_zeros_as_the_rules_of_the_year(details_file: Path) -> None:
    """Weights that the pruning kept, but that are zero in the file, count in 2020 only."""
    model, details = tiny_model(), read_details(details_file, FIRST)
    weights = model.arrays["shared.weight"]
    weights.flat[np.flatnonzero(weights)[:5]] = 0
    kept = model.counts.parameters_kept
    assert complexity(model, details, FIRST)["total_parameters_non_zero"] == kept
    for year in (2022, 2023):
        assert complexity(model, details, CHALLENGES[year])["total_parameters_non_zero"] == kept - 5


@pytest.mark.parametrize(("rate", "text"), [(48000, "48.0kHz"), (44100, "44.1kHz"), (22050, "22.05kHz")])
def test_meta_information_formats_the_sample_rate(rate: int, text: str, details_file: Path) -> None:
    model = changed(tiny_model(), features=FeatureConfig(sample_rate=rate))
    meta = information(model, read_details(details_file, FIRST))
    assert meta["system"]["description"]["input_sampling_rate"] == text
    assert check_meta("x", meta_text(meta, FIRST.title).encode(), FIRST) == []  # and the results may be left out


def test_meta_information_shows_a_single_byte_too_many(details_file: Path) -> None:
    limit = 250 * 1024
    for kept, faults in ((limit, 0), (limit + 1, 1)):
        model = changed(tiny_model(), counts=TrainingCounts(conv=2 * limit, conv_kept=kept))
        text = meta_text(information(model, read_details(details_file, FIRST)), FIRST.title)
        assert len(check_meta("x", text.encode(), FIRST)) == faults


@pytest.mark.parametrize("year", YEARS)
def test_meta_information_of_each_year_is_valid(year: int, tmp_path: Path) -> None:
    challenge = CHALLENGES[year]
    path = tmp_path / "d.toml"
    path.write_text(example(challenge))
    details = read_details(path, challenge)
    models = {split: tiny_model(labels=challenge.labels) for split in challenge.splits}
    measured = {split: EvaluationReport.model_validate(report_values(challenge)) for split in challenge.splits}
    for reports in ({}, measured):
        meta = meta_information(models, details, challenge, reports)
        found = check_meta("x", meta_text(meta, challenge.title).encode(), challenge, challenge.example_label)
        assert found == []
        assert tuple(meta["system"]["description"]) == challenge.description
        assert tuple(meta["system"]["complexity"]) == challenge.complexity


def test_meta_information_counts_macs_of_one_recording(tmp_path: Path) -> None:
    challenge, model = CHALLENGES[2022], tiny_model(labels=CHALLENGES[2022].labels)
    path = tmp_path / "d.toml"
    path.write_text(f"memory_use = 4000\n{example(challenge)}")
    found = meta_information({"": model}, read_details(path, challenge), challenge)["system"]["complexity"]
    one_window = torchinfo_macs(model)
    assert found == {
        "total_parameters": model.counts.parameters,
        "total_parameters_non_zero": model.counts.parameters_kept,
        "memory_use": 4000,
        "macs": 5 * one_window,  # five windows of 0.2 s in a clip of 1 s
    }


def test_meta_information_of_splits_takes_the_largest_complexity(tmp_path: Path) -> None:
    challenge = CHALLENGES[2024]
    path = tmp_path / "d.toml"
    path.write_text(f'split_adaptations = "epochs"\n{example(challenge)}')
    small = tiny_model(labels=challenge.labels)
    large = changed(small, counts=TrainingCounts(conv=60_000, conv_kept=60_000))
    models = {**dict.fromkeys(challenge.splits, small), "split_10": large}
    reports = {"split_5": EvaluationReport.model_validate(report_values(challenge))}
    meta = meta_information(models, read_details(path, challenge), challenge, reports)
    assert meta["system"]["complexity"]["total_parameters"] == 60_000
    assert meta["system"]["complexity"]["total_model_size"] == 120_000  # in fp16
    assert meta["system"]["description"]["split_adaptations"] == "epochs"
    assert meta["system"]["description"]["framework"] == "pytorch"
    measured = meta["results"]["development_dataset"]
    assert measured["split_5"]["overall"] == {"accuracy": 91.0, "logloss": 0.25}
    assert measured["split_10"] == {"overall": None, "class_wise": None, "device_wise": None}


def test_meta_information_of_2023_has_energy(tmp_path: Path) -> None:
    challenge = CHALLENGES[2023]
    path = tmp_path / "d.toml"
    path.write_text(f"{example(challenge)}\n[energy_consumption]\ntraining = 0.3\n")
    meta = meta_information({"": tiny_model(labels=challenge.labels)}, read_details(path, challenge), challenge)
    assert meta["system"]["energy_consumption"] == {"training": 0.3, "inference": None, "baseline_inference": None}
