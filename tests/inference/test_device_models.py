"""Models chosen by the recording device, on models that always give the same answer."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.device_folder import constant_model, write_device_folder
from scenelet.errors import AudioError, ModelFileError, UsageError
from scenelet.inference.device_models import DeviceModels, load_for_device
from scenelet.model.file import write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_device_folder(tmp_path / "models", {"general": "other", "a": "low", "s1": "high"})


@pytest.fixture
def recording(tmp_path: Path, rng: np.random.Generator) -> Path:
    soundfile.write(tmp_path / "a.wav", rng.uniform(-0.5, 0.5, 4000), 8000)
    return tmp_path / "a.wav"


@pytest.mark.parametrize("threads", [1, 2])
def test_predict_many_uses_the_model_of_each_device(folder: Path, recording: Path, threads: int) -> None:
    models = DeviceModels(folder, threads=threads)
    assert (models.labels, models.devices) == (("high", "low", "other"), ("a", "s1"))
    devices = ["s1", "a", None, "unknown", "s9", "general", "../s1"]
    found = models.predict_many([recording] * 7, devices)
    assert [prediction.label for prediction in found] == ["high", "low", *["other"] * 5]


def test_for_device_keeps_its_classifiers(folder: Path) -> None:
    models = DeviceModels(folder, threads=1)
    assert models.for_device("s1") is models.for_device("s1")
    assert models.for_device(None) is models.for_device("s9")
    assert models.path_for("s1") == folder / "s1.scn"
    assert models.path_for("s9") == folder / "general.scn"


def test_predict_many_returns_or_raises_errors(folder: Path, recording: Path) -> None:
    models = DeviceModels(folder, threads=2)
    first, second = models.predict_many([recording.parent / "gone.wav", recording], ["a", "a"], errors="return")
    assert isinstance(first, AudioError)
    assert not isinstance(second, AudioError)
    with pytest.raises(AudioError, match="gone"):
        list(models.predict_many([recording.parent / "gone.wav"], ["a"]))


@pytest.mark.parametrize("devices", [["a"], ["a", "a", "a"]])
def test_predict_many_needs_a_device_per_recording(folder: Path, recording: Path, devices: list[str]) -> None:
    with pytest.raises(UsageError, match=f"{len(devices)} devices for 2 recordings"):
        list(DeviceModels(folder, threads=1).predict_many([recording] * 2, devices))


def test_predict_many_of_one_text_raises(folder: Path, recording: Path) -> None:
    with pytest.raises(UsageError, match="give a list with the device of each recording"):
        DeviceModels(folder, threads=1).predict_many([recording] * 2, "s1")


@pytest.mark.parametrize("labels", [("low", "high", "other"), ("high", "low", "rain")])
def test_models_of_other_labels_are_named(folder: Path, labels: tuple[str, ...]) -> None:
    write_model(constant_model("low", labels), folder / "s2.scn")
    with pytest.raises(ModelFileError, match=r"s2\.scn: its labels are not those of .*general\.scn, in the same order"):
        DeviceModels(folder)


def test_folder_without_a_general_model_is_named(folder: Path) -> None:
    (folder / "general.scn").unlink()
    for device in ("s1", None):
        with pytest.raises(ModelFileError, match=r"models: holds no general\.scn, which answers for devices"):
            load_for_device(folder, device)


def test_damaged_model_is_named_at_once(folder: Path) -> None:
    (folder / "s1.scn").write_bytes(b"no model")
    with pytest.raises(ModelFileError, match=r"s1\.scn"):
        DeviceModels(folder)


def test_load_for_device_chooses_from_a_folder_only(
    folder: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for device, label in (("s1", "high"), (None, "other"), ("unknown", "other"), ("s7", "other")):
        assert load_for_device(folder, device).predict(recording).label == label
        assert ("holds no model of device s7" in capsys.readouterr().err) == (device == "s7")
    for device in ("../models/s1", "手机", ""):  # no file can have these names
        assert load_for_device(folder, device).predict(recording).label == "other"
        assert f"holds no model of device {device}, so the general one answers" in capsys.readouterr().err
    assert load_for_device(folder / "s1.scn").predict(recording).label == "high"
    with pytest.raises(UsageError, match=r"--device s1: .*s1\.scn is not a folder of models"):
        load_for_device(folder / "s1.scn", "s1")
