"""A run with a folder of background: its record, its model file, and the evaluation of that."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.config import DataConfig, SplitConfig
from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import read_metrics, read_record
from scenelet.data.background import add_background
from scenelet.data.load import load_table
from scenelet.data.splits import make_split
from scenelet.errors import UsageError
from scenelet.evaluation.evaluate import evaluate
from scenelet.evaluation.history import read_history
from scenelet.model.file import read_model
from scenelet.training.compression.compress import compress
from scenelet.training.data_warnings import print_data_warnings
from scenelet.training.dataset import load_dataset
from scenelet.training.estimator import SceneClassifier
from scenelet.training.train import train


@pytest.fixture(scope="module")
def noises(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three recordings of noise; one is long."""
    folder = tmp_path_factory.mktemp("noises")
    rng = np.random.default_rng(3)
    for name, seconds in (("a", 0.6), ("b", 6.0), ("c", 0.6)):
        soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(int(seconds * 8000)), 8000)
    return folder


def test_run_with_a_folder_of_background(
    tone_set: Path,
    tiny_settings: list[str],
    noises: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, model = tmp_path / "run", tmp_path / "run" / "model.scn"
    monkeypatch.chdir(noises.parent)
    changes = [*tiny_settings, "schedule.epochs=2", "prune.epochs=1", f"data.background={noises.name}", "split.fold=1"]
    changes += ["augment.background_probability=0.5"]
    config = load_recipe("low_complexity", changes)
    train(tone_set, run, config, recipe="low_complexity")
    monkeypatch.chdir(tmp_path)  # the run knows the folder's absolute path
    record = read_record(run)
    assert record.config.data.background == str(noises)
    assert record.labels == ("background", "high", "low")
    assert record.train_counts == (2, 8, 8)
    assert read_metrics(run)["test"]["per_class"]["background"]["clips"] == 1
    assert train(tone_set, run, None, resume=True) == read_metrics(run)
    compress(run, model)
    stored = read_model(model)
    assert stored.background == "background"
    assert stored.results["compressed"]["test"]["clips"] == 9
    assert len(read_history(run, stored)) == 2
    report = evaluate(str(model), tone_set)  # the folder is not part of the data, the split is the same
    assert (report["split"], report["clips"], report["warning"]) == ("test", 8, None)
    capsys.readouterr()
    evaluate(str(model), tone_set, background=noises)
    assert "the model was trained with these recordings of background" in capsys.readouterr().err
    (other := tmp_path / "other").mkdir()
    for path in noises.iterdir():  # the same names, other sound
        soundfile.write(other / path.name, soundfile.read(path)[0][::-1], 8000)
    evaluate(str(model), tone_set, background=other)
    assert "trained with these recordings" not in capsys.readouterr().err


def test_waveforms_with_background_under_them(
    tone_set: Path, tiny_settings: list[str], noises: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loss differs from that without, and a second training is the same."""
    own = ["schedule.epochs=1", f"data.background={noises}", "waveform.train=true", "waveform.reuse_epochs=2"]
    losses = []
    for index, share in enumerate((1, 1, 0)):
        run, changes = tmp_path / str(index), [*tiny_settings, *own, f"augment.background_probability={share}"]
        train(tone_set, run, load_recipe("low_complexity", changes))
        losses.append(read_metrics(run)["test"]["log_loss"])
        assert ("not mixed, and under 100 % of the other clips" in capsys.readouterr().err) == bool(share)
    assert losses[0] == losses[1] != losses[2]


def test_warnings_advise_no_background_if_there_is_one(
    tone_set: Path, noises: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("a", "background"), ("b", str(noises)), ("c", "low")):
        table = add_background(load_table(tone_set), DataConfig(background=value))
        (tmp_path / name).mkdir()
        print_data_warnings(tmp_path / name, table, make_split(table, SplitConfig(fold="1")), 0.6)
        assert ("--set data.background=FOLDER" in capfd.readouterr().err) == (value == "background")


def test_statistics_for_standardization_are_those_of_the_other_classes(
    tone_set: Path, tiny_settings: list[str], noises: Path
) -> None:
    table, settings = load_table(tone_set), [*tiny_settings, "split.fold=1"]
    plain = load_dataset(table, load_recipe("low_complexity", settings))
    other = load_dataset(table, load_recipe("low_complexity", [*settings, f"data.background={noises}"]))
    assert other.train.background == 0
    for own, expected in zip(other.band_statistics(), plain.band_statistics(), strict=True):
        np.testing.assert_array_equal(own, expected)


def test_classifier_for_scikit_learn_wants_background_as_a_label(
    clips: tuple[list[str], list[str], list[str]], noises: Path
) -> None:
    classifier = SceneClassifier("low_complexity", settings={"data.background": str(noises)})
    with pytest.raises(UsageError, match="give its recordings in X, with the label 'background'"):
        classifier.fit(*clips)
