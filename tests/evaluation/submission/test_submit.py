"""What is written: rows that keep their answer and sum to 1, meta information that says what is so, and details."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from helpers.tiny_model import changed, tiny_model
from scenelet.config import AugmentConfig, FeatureConfig, MixingConfig, WindowConfig
from scenelet.errors import DataError, OutputError, UsageError
from scenelet.evaluation.submission.details import EXAMPLE, Details, read_details, write_example
from scenelet.evaluation.submission.form import LABELS, OutputRow, meta_text, output_text, write_pair
from scenelet.evaluation.submission.meta import meta_information, read_report
from scenelet.evaluation.submission.validate_meta import check_meta
from scenelet.evaluation.submission.validate_output import check_output
from scenelet.model.scene_model import TrainingCounts
from scenelet.model.sizes import sizes

NAME = "Lastname_INST_task1b_1"
SHARES = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3).filter(lambda shares: sum(shares) > 1e-3)


@pytest.fixture
def details_file(tmp_path: Path) -> Path:
    path = tmp_path / "details.toml"
    path.write_text(EXAMPLE)
    return path


def report(**changes: object) -> dict:
    per_class = {label: {"accuracy": 0.9 + k / 100, "log_loss": 0.1, "clips": 5} for k, label in enumerate(LABELS)}
    figures = {"macro_accuracy": 0.91, "accuracy": 0.5, "log_loss": 0.25, "per_class": per_class, "clips": 15}
    return {**figures, "model": "m.scn", "split": "test", "synthetic": False, **changes}


def training_settings(mixing: MixingConfig, augment: AugmentConfig) -> dict:
    """The part of a model's provenance that names its augmentations."""
    return {"mixing": mixing.model_dump(), "augment": augment.model_dump()}


@given(st.lists(SHARES, min_size=1, max_size=20))
def test_any_probabilities_are_read_back_valid(table: list[list[float]]) -> None:
    rows = []
    for number, shares in enumerate(table):
        best = LABELS[int(np.argmax(shares))]
        rows.append(OutputRow(number, best, dict(zip(LABELS, shares, strict=True))))
    text = output_text(rows)
    assert check_output("x", text.encode(), partial=True) == []
    for row, line in zip(rows, text.splitlines()[1:], strict=True):
        name, label, *shares = line.split("\t")
        assert (name, label) == (f"{row.number}.wav", row.label)
        written = dict(zip(LABELS, map(float, shares), strict=True))
        assert sum(int(share.replace(".", "")) for share in shares) == 10**9  # exactly 1
        assert written[label] == max(written.values())
        total = sum(row.probabilities.values())
        assert all(abs(written[k] - row.probabilities[k] / total) < 1e-8 for k in LABELS)


def test_a_tie_stays_with_its_answer() -> None:
    text = output_text([OutputRow(7, "outdoor", dict.fromkeys(LABELS, 1 / 3))])
    assert text.splitlines()[1].split("\t") == ["7.wav", "outdoor", "0.333333333", "0.333333334", "0.333333333"]


def test_columns_do_not_depend_on_the_models_order() -> None:
    shares = {"transportation": 0.5, "outdoor": 0.3, "indoor": 0.2}
    line = output_text([OutputRow(0, "transportation", shares)]).splitlines()[1]
    assert line.split("\t")[2:] == ["0.200000000", "0.300000000", "0.500000000"]


def test_both_files_or_none(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.meta.yaml").mkdir()
    with pytest.raises(OutputError, match=r"meta\.yaml"):
        write_pair(tmp_path, NAME, "output", "meta")
    assert not (tmp_path / f"{NAME}.output.csv").exists()
    (tmp_path / f"{NAME}.output.csv").write_text("before")
    with pytest.raises(OutputError):
        write_pair(tmp_path, NAME, "output", "meta")
    assert (tmp_path / f"{NAME}.output.csv").read_text() == "before"


def test_meta_information_says_what_the_model_is(details_file: Path, tmp_path: Path) -> None:
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


def test_meta_information_claims_nothing_that_is_not_so(details_file: Path) -> None:
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
    no_mixing = MixingConfig(combine="none")
    rolled = changed(model, provenance=training_settings(no_mixing, AugmentConfig(time_roll=3)))
    assert meta_information(rolled, details)["system"]["description"]["data_augmentation"] == "time rolling"
    every = AugmentConfig(
        time_roll=3, time_stretch=0.1, crop_frames=9, frequency_shift=1, gain_db=1, filter_augment_db=1
    )
    words = "time rolling, time stretching, cropping, frequency shifting, gain, filtering"
    augmented = changed(model, provenance=training_settings(no_mixing, every))
    assert meta_information(augmented, details)["system"]["description"]["data_augmentation"] == words
    told = details.model_copy(update={"data_augmentation": "pitch shifting", "ensemble_count": 3})
    described = meta_information(model, told)["system"]["description"]
    assert described["data_augmentation"] == "pitch shifting"
    assert described["ensemble_method_subsystem_count"] == 3


@pytest.mark.parametrize(("rate", "text"), [(48000, "48.0kHz"), (44100, "44.1kHz"), (22050, "22.05kHz")])
def test_sampling_rates_as_the_challenge_writes_them(rate: int, text: str, details_file: Path) -> None:
    model = changed(tiny_model(), features=FeatureConfig(sample_rate=rate))
    meta = meta_information(model, read_details(details_file))
    assert meta["system"]["description"]["input_sampling_rate"] == text
    assert check_meta("x", meta_text(meta).encode()) == []  # and the results may be left out


def test_one_byte_too_many_shows(details_file: Path) -> None:
    most = 250 * 1024
    for kept, faults in ((most, 0), (most + 1, 1)):
        model = changed(tiny_model(), counts=TrainingCounts(conv=2 * most, conv_kept=kept))
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
def test_a_report_that_cannot_be_used(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(DataError) as caught:
        read_report(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert "scenelet evaluate MODEL DATA --out DIR" in str(caught.value)


def test_doubts_about_a_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report()))
    assert read_report(path).doubts("m.scn") == []
    path.write_text(json.dumps(report(split="all", synthetic=True)))
    model, split, made = read_report(path).doubts("other.scn")
    assert "m.scn" in model
    assert "'all'" in split
    assert "synthetic" in made


def test_the_example_is_valid_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    write_example(path)
    assert isinstance(read_details(path), Details)
    with pytest.raises(OutputError, match="exists already"):
        write_example(path)
    with pytest.raises(OutputError, match="cannot be written"):
        write_example(tmp_path / "nowhere" / "d.toml")


def test_the_examples_optional_keys_are_known(tmp_path: Path) -> None:
    more = (
        'source_code = "https://example.org/repository"\nembeddings = "OpenL3"\nensemble_count = 2\n'
        'data_augmentation = "mixup, freqmix"\nexternal_data_usage = "pre-trained model"\n'
    )
    tail = '[[external_datasets]]\nname = "AudioSet"\nurl = "https://example.org"\ntotal_audio_length = 347980.0\n'
    for line in (*more.splitlines(), *tail.splitlines()):
        assert f"# {line.partition(' = ')[0]}" in EXAMPLE
    path = tmp_path / "d.toml"
    path.write_text(EXAMPLE.replace("[[authors]]", f"{more}\n[[authors]]", 1) + tail)
    details = read_details(path)
    assert (details.ensemble_count, details.external_datasets[0].name) == (2, "AudioSet")
    meta = meta_text(meta_information(tiny_model(), details))
    assert check_meta("x", meta.encode(), NAME) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "A', 'nome = "A', "'nome'; did you mean 'name'?"),
        ('email = "', 'emial = "', "'authors #1.emial'; did you mean 'email'?"),
        ('label = "Lastname_INST_task1b_1"', 'label = "Lastname_INST_task1a_1"', "'label': must be <Name>"),
        ('label = "Lastname_INST_task1b_1"', "", "'label' is missing"),
        ('abbreviation = "Short"', 'abbreviation = "Far too long"', "'abbreviation': has 12 characters; 10 at most"),
        ("first.last@example.org", "first.last", "'authors #1.email': must be an address"),
        ("\ncorresponding = true", "\ncorresponding = false", "stands at 0 authors; mark exactly one"),
        ("\ncorresponding = true", '\ncorresponding = "yes"', "'authors #1.corresponding'"),
        ('location = "City, Country"', "", "'authors #1.affiliation.location' is missing"),
        ('lastname = "Lastname"', 'lastname = " "', "'authors #1.lastname': must be one line of text"),
        ("# ensemble_count = 1 ", 'ensemble_count = "2" ', "'ensemble_count'"),
        ("# ensemble_count = 1 ", "ensemble_count = 0 ", "'ensemble_count'"),
        ('# source_code = "https:', 'source_code = "ftp:', "'source_code': must be an address that begins"),
        ("# external_data_usage", "external_data_usage", "list the data under external_datasets"),
        ("[[authors]]", "[[authors", "not valid TOML"),
    ],
)
def test_details_errors(details_file: Path, old: str, new: str, words: str) -> None:
    assert old in EXAMPLE
    details_file.write_text(EXAMPLE.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        read_details(details_file)
    assert str(caught.value).startswith(f"{details_file}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_corresponding_authors_and_unused_data(details_file: Path) -> None:
    author = EXAMPLE[EXAMPLE.index("[[authors]]") : EXAMPLE.index("# [[authors]]")]
    details_file.write_text(EXAMPLE + author)
    with pytest.raises(UsageError, match="stands at 2 authors"):
        read_details(details_file)
    details_file.write_text(
        EXAMPLE + '[[external_datasets]]\nname = "A"\nurl = "https://example.org"\ntotal_audio_length = 1\n'
    )
    with pytest.raises(UsageError, match="say in external_data_usage"):
        read_details(details_file)


def test_details_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="scenelet submit details"):
        read_details(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not valid TOML"):
        read_details(tmp_path / "binary.toml")
