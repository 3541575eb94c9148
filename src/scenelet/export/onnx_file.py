"""A model as one ONNX file, from log-mel or from samples, and what runtimes make of it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scenelet.classifier import Classifier
from scenelet.front_graph import WAVEFORM, FrontGraph
from scenelet.graph import to_onnx
from scenelet.modelfile import SceneModel
from scenelet.nodes import INPUT, OUTPUT

GraphInput = Literal["log-mel", "waveform"]
Values = NDArray[np.float32]
WINDOWS = 4


@dataclass(frozen=True)
class Agreement:
    """Of an exported file with the model file: the largest difference of a probability; or why it could not be run."""

    runtime: str
    largest_difference: float | None
    refusal: str = ""


def onnx_bytes(model: SceneModel, graph_input: GraphInput) -> bytes:
    """The model as an ONNX file, weights inside.

    Input "log_mel" (batch, channels, n_mels, frames), or "waveform" (1, channels, n): one window at the model's rate.
    Output "probabilities". Labels, feature settings and window rule are in its metadata as JSON.

    Raises:
        ModelFileError: as `scenelet.nodes.shapes`.
    """
    front = FrontGraph(model.features, model.window) if graph_input == "waveform" else None
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
    }


def agreements(exported: bytes, classifier: Classifier, graph_input: GraphInput) -> list[Agreement]:
    """The file run by ONNX Runtime, and by OpenVINO where it is installed, beside the classifier, on made windows."""
    inputs = made_windows(classifier.model, graph_input)
    expected = np.stack([_expected(classifier, one, graph_input) for one in inputs])
    name = WAVEFORM if graph_input == "waveform" else INPUT
    found = []
    for runtime, opened in _runtimes().items():
        try:
            run = opened(exported, name)
            rows = np.stack([run(one[None])[0] for one in inputs])
        except RuntimeError as error:  # of OpenVINO: an operation that it lacks
            found.append(Agreement(runtime, None, str(error).strip().splitlines()[-1]))
            continue
        found.append(Agreement(runtime, float(np.abs(rows - expected).max())))
    return found


def made_windows(model: SceneModel, graph_input: GraphInput) -> list[Values]:
    """Random log-mel, or noise of several levels and colours, some of it with silent ends."""
    rng = np.random.default_rng(0)
    if graph_input == "log-mel":
        return list(rng.normal(-40.0, 15.0, (WINDOWS, *model.input_shape)).astype(np.float32))
    n = model.window.samples(model.features.sample_rate)
    windows = []
    for index in range(WINDOWS):
        noise = rng.normal(0.0, 10.0 ** -(1 + index), (model.features.n_channels, n))
        if index % 2:
            noise = np.cumsum(noise, axis=1) / np.sqrt(n)
            noise[:, : n // 5] = 0.0
            noise[:, n // 2 :] = 0.0
        windows.append(noise.astype(np.float32))
    return windows


def run_onnxruntime(exported: bytes, name: str) -> Callable[[Values], Values]:
    """An exported file, ready to be called by ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])

    def run(values: Values) -> Values:
        return np.asarray(session.run([OUTPUT], {name: values})[0], np.float32)

    return run


def _run_openvino(exported: bytes, name: str) -> Callable[[Values], Values]:
    import openvino

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
