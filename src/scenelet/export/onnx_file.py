"""A model as one ONNX file, from log-mel or from samples, and what runtimes make of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows_of_array
from scenelet.inference.classifier import Classifier
from scenelet.inference.onnx_frontend import WAVEFORM, FrontendGraph
from scenelet.inference.onnx_network import to_onnx
from scenelet.inference.telemetry import import_runtime
from scenelet.model.ops import INPUT, OUTPUT
from scenelet.model.scene_model import SceneModel

GraphInput = Literal["log-mel", "waveform"]
Values = NDArray[np.float32]
MADE, COMPARED = 12, 4
"""Windows that are made, and how many of them are compared."""


@dataclass(frozen=True)
class RuntimeCheck:
    """Of an exported file with the model file.

    Attributes:
        runtime: what ran it.
        largest_difference: of a probability; None: it could not be run.
        windows: how many were compared.
        other_labels: windows to which the two give different labels.
        refusal: why it could not be run.
    """

    runtime: str
    largest_difference: float | None
    windows: int = 0
    other_labels: int = 0
    error: str = ""


def onnx_bytes(model: SceneModel, graph_input: GraphInput) -> bytes:
    """The model as an ONNX file, weights inside.

    Input "log_mel" (batch, channels, n_mels, frames), or "waveform" (1, channels, n): one window at the model's rate.
    Output "probabilities". Labels, feature settings, window rule and licenses are in its metadata as JSON.

    Raises:
        ModelFileError: as `scenelet.model.ops.shapes`.
    """
    front = FrontendGraph(model.features, model.window) if graph_input == "waveform" else None
    metadata = metadata_of(model)
    proto = to_onnx(model.nodes, model.arrays, model.input_shape, metadata=metadata, front=front)
    exported: bytes = proto.SerializeToString()
    return exported


def metadata_of(model: SceneModel) -> dict[str, str]:
    """What an exported file says of itself."""
    return {
        "labels": json.dumps(model.labels),
        "features": model.features.model_dump_json(),
        "window": model.window.model_dump_json(),
        "licenses": json.dumps(model.licenses),
    }


def compare_runtimes(
    exported: bytes, classifier: Classifier, graph_input: GraphInput, windows: Sequence[Values] = ()
) -> list[RuntimeCheck]:
    """The file run by ONNX Runtime, and by OpenVINO where it is installed, beside the classifier.

    Args:
        exported: the file.
        classifier: the model that it was made of.
        graph_input: what it takes.
        windows: to compare on; none: `synthetic_windows`, of which those are taken that the model is least sure of: where a
            probability is 1, nothing that is wrong shows.
    """
    inputs = list(windows) or synthetic_windows(classifier.model, graph_input)
    expected = np.stack([_expected(classifier, one, graph_input) for one in inputs])
    if not windows:
        least_sure = np.argsort(expected.max(axis=1), kind="stable")[:COMPARED]
        inputs, expected = [inputs[index] for index in least_sure], expected[least_sure]
    name = WAVEFORM if graph_input == "waveform" else INPUT
    found = []
    for runtime, opened in _runtimes().items():
        try:
            run = opened(exported, name)
            rows = np.stack([run(one[None])[0] for one in inputs])
        except RuntimeError as error:  # of OpenVINO: an operation that it lacks
            found.append(RuntimeCheck(runtime, None, error=str(error).strip().splitlines()[-1]))
            continue
        others = int((rows.argmax(1) != expected.argmax(1)).sum())
        found.append(RuntimeCheck(runtime, float(np.abs(rows - expected).max()), len(inputs), others))
    return found


def synthetic_windows(model: SceneModel, graph_input: GraphInput) -> list[Values]:
    """Noise, bursts and tones of several levels and colors, half of them with silent ends; or the log-mel of these."""
    rng = np.random.default_rng(0)
    features, n = model.features, model.window.samples(model.features.sample_rate)
    channels = 1 if features.channels == "mono" else 2
    windows: list[Values] = []
    for index in range(MADE):
        sound = rng.normal(0.0, 1.0, (channels, n))
        if index % 3 == 1:  # brown
            sound = np.cumsum(sound, axis=1) / np.sqrt(n)
        elif index % 3 == 2:  # tones in little noise
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


def run_onnxruntime(exported: bytes, name: str) -> Callable[[Values], Values]:
    """An exported file, ready to be called by ONNX Runtime on the CPU."""
    onnxruntime = import_runtime("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])

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


def _runtimes() -> Mapping[str, Callable[[bytes, str], Callable[[Values], Values]]]:
    runtimes = {"ONNX Runtime": run_onnxruntime}
    if find_spec("openvino") is not None:
        runtimes["OpenVINO"] = _run_openvino
    return runtimes


def _expected(classifier: Classifier, one: Values, graph_input: GraphInput) -> Values:
    if graph_input == "log-mel":
        return np.asarray(classifier.probabilities(one[None])[0], np.float32)
    return classifier.predict_proba(one, classifier.model.features.sample_rate)
