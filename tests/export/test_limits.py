"""Exports of models that would need too much memory are refused before any work."""

import pytest

from helpers.tiny_model import changed, tiny_model
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import ModelFileError
from scenelet.export import limits
from scenelet.export.c.project import project_files
from scenelet.export.limits import check_exportable
from scenelet.export.onnx_file import onnx_bytes
from scenelet.export.onnx_int8 import int8_bytes
from scenelet.model.scene_model import SceneModel


def long_window() -> SceneModel:
    features = FeatureConfig(sample_rate=8000, n_fft=65536, hop_length=65536, n_mels=16, channels="stereo")
    return changed(tiny_model(), features=features, window=WindowConfig(seconds=600))


@pytest.mark.parametrize(
    "export",
    [
        lambda model: onnx_bytes(model, "log-mel"),
        lambda model: onnx_bytes(model, "waveform"),
        lambda model: int8_bytes(model, []),
        lambda model: project_files(model, "m"),
    ],
)
def test_every_export_refuses_a_window_that_is_too_long(export: object) -> None:
    with pytest.raises(ModelFileError, match=r"9,600,000 samples in a window, too many for an export"):
        export(long_window())  # type: ignore[operator]


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        ("MAX_PARAMETERS", "parameters"),
        ("MAX_WINDOW_VALUES", "samples in a window"),
        ("MAX_FRAME_VALUES", "numbers in the frames of a window"),
        ("MAX_ACTIVATIONS", "numbers in memory for a window"),
    ],
)
def test_check_exportable_names_the_bound(monkeypatch: pytest.MonkeyPatch, bound: str, words: str) -> None:
    check_exportable(tiny_model())
    monkeypatch.setattr(limits, bound, 10)
    with pytest.raises(ModelFileError, match=rf"{words}, too many for an export \(limit 10\)"):
        check_exportable(tiny_model())
