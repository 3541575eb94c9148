"""Targets for model files: their reader, and the use of a file that can be read."""

import json
import math

from fuzz.targets import SCRATCH, Target, outcome
from scenelet.export.c.project import project_files
from scenelet.export.model_card import model_card
from scenelet.export.onnx_file import onnx_bytes, synthetic_windows
from scenelet.inference.classifier import Classifier
from scenelet.model.costs import macs
from scenelet.model.file import decode_model
from scenelet.model.summary import describe

FRAME = ("not a scenelet model", "truncated", "its checksum", "is empty", "format version", "larger than the")
"""Words in the errors of a file with a broken frame, whose content is not read."""
MAX_OPERATIONS = 1 << 22
"""Maximum operations of a model that is run and exported. The reader accepts larger models, but they are slow."""


def scn(data: bytes) -> str:
    """Read a file. For one file in eight, by its last byte, also build a description and a model card."""

    def use() -> None:
        model = decode_model(data, "x.scn")
        if data[-1] % 8 == 0:
            description = describe(SCRATCH.file("x.scn", data))
            json.dumps(description, allow_nan=False).encode()
            model_card(model, "x", len(data)).encode()

    return outcome(use, FRAME)


def model(data: bytes) -> str:
    """Load a model, run it on a window, and export it."""

    def use() -> None:
        loaded = decode_model(data, "x.scn")
        features, window = loaded.features, loaded.window
        cost = macs(loaded.nodes, loaded.array_shapes, loaded.input_shape)
        if max(cost, features.n_frames(window.samples(features.sample_rate)) * features.n_fft) > MAX_OPERATIONS:
            return
        classifier = Classifier(loaded, threads=1)
        classifier.predict_proba(synthetic_windows(loaded, "waveform")[0], features.sample_rate)
        assert all(0 <= threshold <= 1 or threshold == math.inf for threshold in classifier.thresholds)
        project_files(loaded, "x")
        onnx_bytes(loaded, "waveform")

    return outcome(use, FRAME)


TARGETS: dict[str, Target] = {"scn": scn, "model": model}
