"""Steps of exported files and of the model they come from: one window, ONNX Runtime with all its threads."""

from collections.abc import Callable
from pathlib import Path

from scenelet.export.onnx_file import onnx_bytes, run_onnxruntime, synthetic_windows
from scenelet.export.onnx_int8 import int8_bytes
from scenelet.inference.classifier import Classifier
from scenelet.inference.onnx_frontend import WAVEFORM
from scenelet.model import file as modelfile
from scenelet.model.ops import INPUT


def ours(row: str, path: Path) -> Callable[[], object]:
    """int8: log-mel by the file with int8 activations. waveform: samples by the graph with the front end."""
    model = modelfile.read_model(path)
    if row == "int8":
        x = synthetic_windows(model, "log-mel")[0]
        run = run_onnxruntime(int8_bytes(model, [x]), INPUT)
    else:
        x = synthetic_windows(model, "waveform")[0]
        run = run_onnxruntime(onnx_bytes(model, "waveform"), WAVEFORM)
    return lambda: run(x[None])


def reference(row: str, path: Path) -> Callable[[], object]:
    """int8: the same log-mel by the file in fp32. waveform: the same samples by `Classifier`."""
    model = modelfile.read_model(path)
    if row == "int8":
        x = synthetic_windows(model, "log-mel")[0]
        run = run_onnxruntime(onnx_bytes(model, "log-mel"), INPUT)
        return lambda: run(x[None])
    classifier, samples = Classifier(model), synthetic_windows(model, "waveform")[0]
    return lambda: classifier.predict_proba(samples, model.features.sample_rate)
