"""Targets for model files: the reader, and the functions that use a model."""

import json

from fuzz.targets import PLACE, Target, outcome
from scenelet.export.c_header import c_header
from scenelet.export.model_card import model_card
from scenelet.export.onnx_file import onnx_bytes, synthetic_windows
from scenelet.inference.classifier import Classifier
from scenelet.model import file as modelfile
from scenelet.model.costs import macs
from scenelet.model.summary import describe

FRAME = ("not a scenelet model", "truncated", "its checksum", "is empty", "format version", "larger than the")
"""Words in the errors about an invalid container."""
SMALL_WORK = 1 << 22
"""Maximum operations of a model that is run and exported here. The reader accepts larger ones, but they are slow."""


def scn(data: bytes) -> str:
    """Read a model; for one file in eight, by its last byte, also describe it and write its model card."""

    def use() -> None:
        model = modelfile.decode_model(data, "x.scn")
        if data[-1] % 8 == 0:
            description = describe(PLACE.file("x.scn", data))
            json.dumps(description, allow_nan=False).encode()
            model_card(model, "x", len(data)).encode()

    return outcome(use, FRAME)


def model(data: bytes) -> str:
    """Read a model, run it on a window and export it."""

    def use() -> None:
        held = modelfile.decode_model(data, "x.scn")
        features, window = held.features, held.window
        cost = macs(held.nodes, held.array_shapes, held.input_shape)
        if max(cost, features.n_frames(window.samples(features.sample_rate)) * features.n_fft) > SMALL_WORK:
            return
        classifier = Classifier(held, threads=1)
        classifier.predict_proba(synthetic_windows(held, "waveform")[0], features.sample_rate)
        assert 0 <= classifier.threshold <= 1
        c_header(held, "x").encode()
        onnx_bytes(held, "waveform")

    return outcome(use, FRAME)


TARGETS: dict[str, Target] = {"scn": scn, "model": model}
