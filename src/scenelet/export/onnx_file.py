"""Export of a model to one ONNX file, and a comparison of runtimes with the model file."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows_of_array
from scenelet.export.limits import check_exportable
from scenelet.inference.classifier import Classifier
from scenelet.inference.onnx_frontend import WAVEFORM, FrontendGraph
from scenelet.inference.onnx_network import to_onnx
from scenelet.inference.telemetry import import_runtime
from scenelet.model.ops import INPUT, OUTPUT
from scenelet.model.scene_model import SceneModel

GraphInput = Literal["log-mel", "waveform"]
Values = NDArray[np.float32]
Loader = Callable[[bytes, str], Callable[[Values], Values]]
"""Function that loads an exported file, given the name of its input, and returns a function that runs it."""
SYNTHETIC_WINDOWS, COMPARED_WINDOWS = 12, 4


@dataclass(frozen=True)
class RuntimeCheck:
    """Comparison of an exported file in one runtime with the model file.

    Attributes:
        runtime: the name of the runtime.
        largest_difference: the largest difference of a probability, or None if the runtime failed.
        windows: the count of compared windows.
        other_labels: the count of windows with different labels.
        error: why the runtime failed.
    """

    runtime: str
    largest_difference: float | None
    windows: int = 0
    other_labels: int = 0
    error: str = ""


def onnx_bytes(model: SceneModel, graph_input: GraphInput, *, with_similarity: bool = False) -> bytes:
    """Return the bytes of an ONNX file that contains the whole model, without its rule for unknown sounds.

    The output is "probabilities". The metadata hold labels, feature settings, window rule and licenses as JSON.

    Args:
        model: the content of a `.scn` file.
        graph_input: "log-mel" for the input "log_mel" (batch, channels, n_mels, frames); "waveform" for the input
            "waveform" (1, channels, n), one window of samples at the model's rate.
        with_similarity: add the output for the rule if the model has one, see
            `scenelet.inference.onnx_network.to_onnx`.

    Raises:
        ModelFileError: as `scenelet.export.limits.check_exportable`.
    """
    check_exportable(model)
    frontend = FrontendGraph(model.features, model.window) if graph_input == "waveform" else None
    known = model.known if with_similarity else None
    metadata = metadata_of(model)
    proto = to_onnx(model.nodes, model.arrays, model.input_shape, metadata=metadata, front=frontend, known=known)
    exported: bytes = proto.SerializeToString()
    return exported


def metadata_of(model: SceneModel) -> dict[str, str]:
    """Return the metadata of an exported file: labels, features, window and licenses as JSON."""
    return {
        "labels": json.dumps(model.labels),
        "features": model.features.model_dump_json(),
        "window": model.window.model_dump_json(),
        "licenses": json.dumps(model.licenses),
    }


def compare_runtimes(
    exported: bytes,
    classifier: Classifier,
    graph_input: GraphInput,
    windows: Sequence[Values] = (),
    runtimes: Mapping[str, Loader] | None = None,
) -> list[RuntimeCheck]:
    """Compare an exported file with its model, in ONNX Runtime and, if it is installed, in OpenVINO.

    Args:
        exported: the bytes of the ONNX file.
        classifier: the model.
        graph_input: the input of the file.
        windows: the windows to compare. By default those of `synthetic_windows` with the lowest maximum probability
            are used, because a probability of 1 hides errors.
        runtimes: the runtimes to compare, by default `installed_runtimes()`.
    """
    inputs, expected = comparison_windows(classifier, graph_input, windows)
    name = WAVEFORM if graph_input == "waveform" else INPUT
    checks = []
    for runtime, load in (runtimes or installed_runtimes()).items():
        try:
            run = load(exported, name)
            rows = np.stack([run(window[None])[0] for window in inputs])
        except RuntimeError as error:  # OpenVINO lacks some operations
            checks.append(RuntimeCheck(runtime, None, error=str(error).strip().splitlines()[-1]))
            continue
        checks.append(compare_rows(runtime, rows, expected))
    return checks


def comparison_windows(
    classifier: Classifier, graph_input: GraphInput, windows: Sequence[Values] = ()
) -> tuple[list[Values], Values]:
    """Return the windows of a comparison, and the probabilities (windows, classes) that the model gives for them.

    Args:
        classifier, graph_input, windows: as `compare_runtimes`.
    """
    inputs = list(windows) or synthetic_windows(classifier.model, graph_input)
    expected = np.stack([_expected(classifier, window, graph_input) for window in inputs])
    if not windows:
        lowest = np.argsort(expected.max(axis=1), kind="stable")[:COMPARED_WINDOWS]
        inputs, expected = [inputs[index] for index in lowest], expected[lowest]
    return inputs, expected


def compare_rows(runtime: str, rows: Values, expected: Values) -> RuntimeCheck:
    """Compare the probabilities (windows, classes) that a runtime gives with those of the model.

    >>> compare_rows("some", np.float32([[0.5, 0.5], [1, 0]]), np.float32([[0.25, 0.75], [1, 0]]))
    RuntimeCheck(runtime='some', largest_difference=0.25, windows=2, other_labels=1, error='')
    """
    other_labels = int((rows.argmax(1) != expected.argmax(1)).sum())
    return RuntimeCheck(runtime, float(np.abs(rows - expected).max()), len(rows), other_labels)


def synthetic_windows(model: SceneModel, graph_input: GraphInput) -> list[Values]:
    """Return windows of noise, bursts and tones at several levels, half of them with silent ends.

    Args:
        model: the model, for rate, channels and duration.
        graph_input: "waveform" for samples (channels, n), "log-mel" for their features (channels, n_mels, frames).
    """
    rng = np.random.default_rng(0)
    features, n = model.features, model.window.samples(model.features.sample_rate)
    channels = features.n_channels
    windows: list[Values] = []
    for index in range(SYNTHETIC_WINDOWS):
        sound = rng.normal(0.0, 1.0, (channels, n))
        if index % 3 == 1:  # brown noise
            sound = np.cumsum(sound, axis=1) / np.sqrt(n)
        elif index % 3 == 2:  # tones in weak noise
            hz = features.sample_rate / 2 * rng.uniform(0.02, 0.5, 3)[:, None]
            tones = np.sin(2 * np.pi * hz * np.arange(n) / features.sample_rate)
            sound = 0.02 * sound + tones.sum(0) * rng.uniform(0.5, 1.0, (channels, 1))
        if index % 2:
            sound[:, : n // 5] = 0.0
            sound[:, n // 2 :] = 0.0
        windows.append((0.3 * 10.0 ** -(index % 4) * sound).astype(np.float32))
    if graph_input == "waveform":
        return windows
    rate = features.sample_rate
    cuts = [cut for sound in windows for cut in windows_of_array(sound, rate, features, model.window)]
    return [LogMel(features)(cut) for cut in cuts]


def open_session(exported: bytes) -> Any:
    """Return a session of ONNX Runtime on the CPU, which prints errors only."""
    onnxruntime = import_runtime("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])


def run_onnxruntime(exported: bytes, name: str) -> Callable[[Values], Values]:
    """Return a function that runs an exported file in ONNX Runtime on the CPU. `name` is the name of its input."""
    session = open_session(exported)

    def run(values: Values) -> Values:
        return np.asarray(session.run([OUTPUT], {name: values})[0], np.float32)

    return run


def _run_openvino(exported: bytes, name: str) -> Callable[[Values], Values]:
    openvino = import_runtime("openvino")
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(exported), "CPU", settings)

    def run(values: Values) -> Values:
        return np.asarray(compiled({name: values})[OUTPUT], np.float32)

    return run


def installed_runtimes() -> Mapping[str, Loader]:
    """Return a loader per installed runtime by its name: ONNX Runtime, and OpenVINO if it is installed."""
    runtimes = {"ONNX Runtime": run_onnxruntime}
    if find_spec("openvino") is not None:
        runtimes["OpenVINO"] = _run_openvino
    return runtimes


def _expected(classifier: Classifier, window: Values, graph_input: GraphInput) -> Values:
    if graph_input == "log-mel":
        return np.asarray(classifier.probabilities(window[None])[0], np.float32)
    model = classifier.model
    cuts = windows_of_array(window, model.features.sample_rate, model.features, model.window)
    return _expected(classifier, LogMel(model.features)(next(cuts)), "log-mel")
