"""A `.tflite` file: its input, output, metadata and errors."""

import json
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from helpers.tiny_model import changed, model_of, random_network, tiny_model
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import MissingExtraError, ModelFileError
from scenelet.export import limits
from scenelet.export.tflite import file
from scenelet.export.tflite.file import PACKAGES, check_tflite_exportable, tflite_bytes
from scenelet.export.tflite.interpreters import load_litert
from scenelet.model.scene_model import SceneModel


def log_mels(model: SceneModel, count: int = 5) -> list[np.ndarray]:
    return list(np.random.default_rng(1).normal(-40, 12, (count, *model.input_shape)).astype(np.float32))


def metadata(exported: bytes) -> dict[str, Any]:
    import tflite

    model = tflite.Model.GetRootAs(exported)
    entries = [model.Metadata(index) for index in range(model.MetadataLength())]
    texts = {one.Name().decode(): model.Buffers(one.Buffer()).DataAsNumpy().tobytes() for one in entries}
    return {name: json.loads(text) for name, text in texts.items()}


@pytest.mark.parametrize("int8", [False, True])
def test_file_has_input_output_and_metadata(int8: bool) -> None:
    model = changed(tiny_model(), labels=("métro", "地铁", "c"))
    exported = tflite_bytes(model, log_mels(model) if int8 else ())
    loaded = load_litert(exported, reference=True)
    assert loaded.source["name"] == "log_mel"
    assert loaded.result["name"] == "probabilities"
    assert loaded.source["shape"].tolist() == [1, 16, 13, 2]
    assert loaded.result["shape"].tolist() == [1, 3]
    assert loaded.source["dtype"] == loaded.result["dtype"] == (np.int8 if int8 else np.float32)
    if int8:
        lowest, highest = np.min(log_mels(model)), np.max(log_mels(model))
        step, zero_point = loaded.source["quantization"]
        assert step == pytest.approx(max(highest, 0) / 255 - lowest / 255)
        assert step * (-128 - zero_point) == pytest.approx(lowest, abs=step)
        assert loaded.result["quantization"] == (1 / 256, -128)
    found = metadata(exported)
    assert set(found) == {"labels", "features", "window", "licenses", "input"}
    assert found["labels"] == list(model.labels)
    assert found["licenses"] == list(model.licenses)
    assert FeatureConfig.model_validate(found["features"]) == model.features
    assert WindowConfig.model_validate(found["window"]) == model.window
    assert found["input"] == {"value": "log-mel", "unit": "dB", "axes": ["batch", "mel band", "frame", "channel"]}


def test_tflite_bytes_is_deterministic_and_depends_on_the_calibration() -> None:
    model = tiny_model()
    assert tflite_bytes(model) == tflite_bytes(model)
    assert tflite_bytes(model, log_mels(model)) == tflite_bytes(model, log_mels(model))
    assert tflite_bytes(model, log_mels(model)) != tflite_bytes(model, log_mels(model, 2))


@pytest.mark.parametrize("package", PACKAGES)
def test_missing_package_is_one_sentence(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingExtraError, match=rf'^this needs {package}; install it with: pip install "scenelet\[tflite'
    ):
        tflite_bytes(tiny_model())


@pytest.mark.parametrize("has_wheel", [True, False])
def test_missing_tflite_micro_is_an_error_where_it_exists(has_wheel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, file.MICRO, None)
    monkeypatch.setattr(file, "has_micro_wheel", lambda: has_wheel)
    assert find_spec(file.MICRO) is None
    if has_wheel:
        with pytest.raises(MissingExtraError, match="this needs tflite_micro"):
            check_tflite_exportable(tiny_model(), int8=True)
    else:
        check_tflite_exportable(tiny_model(), int8=True)


def test_residual_norm_is_refused_before_the_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "quantize_model", lambda *_: pytest.fail("the calibration has begun"))
    model = model_of(random_network(1))
    check_tflite_exportable(model, int8=False)
    with pytest.raises(ModelFileError, match="no int8 form"):
        tflite_bytes(model, log_mels(model))


def test_model_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PARAMETERS", 10)
    with pytest.raises(ModelFileError, match="too many for an export"):
        tflite_bytes(tiny_model())
