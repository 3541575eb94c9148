"""The head of a `.scn` file: JSON from anywhere -> checked values, within bounds on memory and work."""

import json
import math
from typing import Annotated, Any

from pydantic import FailFast, Field, JsonValue, ValidationError, model_validator

from scenelet.config import FeatureConfig, Settings, WindowConfig
from scenelet.errors import ModelFileError
from scenelet.model import ops as network
from scenelet.model.costs import operation_count, peak_numbers, receptive_field
from scenelet.model.ops import MAX_VALUES, Name, Node, Shape
from scenelet.model.scene_model import TrainingCounts, input_shape
from scenelet.model.weights import Encoding

MAX_FILE_BYTES = 1 << 26
MAX_HEADER_BYTES = 1 << 21
MAX_PARAMETERS = 1 << 24
MAX_FRAMED = 1 << 27
"""Numbers in the overlapping frames of one window: what the features of a stored model may need."""
MAX_SAMPLES = 1 << 24
"""Of one window, all channels: three minutes of stereo at 44.1 kHz."""
SAMPLE_WORK = 64
"""Operations that a sample of a window counts as, wherever it is copied, padded and resampled."""
MAX_MEL = 1 << 23
"""n_mels times n_fft: the matrix of the mel bands is half as large."""
MAX_WORK = 1 << 38
"""Operations of features and network for a window, and for a second of sound: a hundred times the paper's network."""
MAX_WINDOWS = 1000
"""That begin in a second of sound."""
MAX_REACH = 1 << 31
"""Bands or frames of a receptive field: strides multiply."""
MAX_NUMBER = 1 << 53
"""Of whole numbers in provenance and results: beyond, other readers of JSON round them."""


class _Array(Settings):
    name: Name
    shape: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MAX_PARAMETERS)], ...], Field(min_length=1, max_length=4), FailFast()
    ]
    encoding: Encoding


# Lists fail at their first bad item: of a million, pydantic would make a report of each.
class Header(Settings):
    """What a head says; see docs/model_file.md."""

    labels: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], FailFast()]
    features: FeatureConfig
    window: WindowConfig
    nodes: Annotated[tuple[Node, ...], FailFast()]
    arrays: Annotated[tuple[_Array, ...], FailFast()]
    sections: dict[str, Annotated[int, Field(ge=1, le=MAX_FILE_BYTES)]]
    counts: TrainingCounts
    provenance: dict[str, JsonValue]
    results: dict[str, JsonValue]
    licenses: Annotated[list[str], FailFast()]

    @model_validator(mode="after")
    def _consistent(self) -> "Header":
        if len(set(self.labels)) != len(self.labels) or not all(label.isprintable() for label in self.labels):
            raise ValueError("labels must be printable and different from each other")
        shapes = {array.name: array.shape for array in self.arrays}
        if len(shapes) != len(self.arrays):
            raise ValueError("two arrays have one name")
        if sum(math.prod(shape) for shape in shapes.values()) > MAX_PARAMETERS:
            raise ValueError(f"more than {MAX_PARAMETERS} parameters")
        _check_features(self.features, self.window)
        # ModelFileError is no ValueError: it passes through pydantic as it is
        values = network.shapes(self.nodes, shapes, input_shape(self.features, self.window))
        if values[network.OUTPUT] != (len(self.labels),):
            raise ValueError(f"{len(self.labels)} labels for {values[network.OUTPUT][0]} probabilities")
        self._require_bounded(shapes, values)
        return self

    def _require_bounded(self, arrays: dict[str, Shape], values: dict[str, Shape]) -> None:
        """Check what a window of the whole model asks for."""
        features, window = self.features, self.window
        rate = features.sample_rate
        samples = features.n_channels * window.samples(rate)
        spectra = features.n_channels * features.n_frames(window.samples(rate)) * features.n_fft
        held = peak_numbers(self.nodes, values)
        if held > MAX_VALUES:
            raise ValueError(f"a window needs {held:,} numbers in memory together (limit {MAX_VALUES:,})")
        work = (
            operation_count(self.nodes, arrays, values) + spectra * features.n_fft.bit_length() + samples * SAMPLE_WORK
        )
        if work > MAX_WORK:
            raise ValueError(f"a window takes {work:,} operations (limit {MAX_WORK:,})")
        a_second = rate / window.hop_samples(rate)
        if a_second > MAX_WINDOWS or work * a_second > MAX_WORK:
            raise ValueError(
                f"a second of sound takes {a_second:,.1f} windows and {work * a_second:,.0f} operations"
                f" (limit {MAX_WINDOWS:,} and {MAX_WORK:,})"
            )
        if max(receptive_field(self.nodes, arrays, values[network.INPUT])) > MAX_REACH:
            raise ValueError(f"its strides reach over more than {MAX_REACH:,} frames")


def _check_features(features: FeatureConfig, window: WindowConfig) -> None:
    samples = window.samples(features.sample_rate)
    if features.n_channels * samples > MAX_SAMPLES:
        raise ValueError(f"its window has more than {MAX_SAMPLES:,} samples")
    if features.n_frames(samples) * features.n_fft > MAX_FRAMED:
        raise ValueError("its window is too long for its features")
    if features.n_mels * features.n_fft > MAX_MEL:
        raise ValueError(f"n_mels times n_fft is above {MAX_MEL:,}")
    if samples <= features.n_fft // 2:
        raise ValueError("its window is shorter than half of n_fft")


def parse_header(plain: bytes) -> Header:
    """The head's JSON -> what it says.

    Raises:
        ModelFileError: not JSON, a value that does not fit or is out of bounds, or a key that stands twice.
    """
    try:
        head = Header.model_validate_json(plain, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f" {part}" for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise ModelFileError(f"head{where} is not valid ({reason})") from None
    # what pydantic lets pass; its own parser has bounded the depth by now
    json.loads(plain, object_pairs_hook=_unique)
    for part in (head.provenance, head.results):
        _check_plain_numbers(part)
    return head


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ModelFileError("head has a key that stands twice in one place")
    return found


def _check_plain_numbers(value: Any) -> None:
    """Check that numbers are such that JSON, and arithmetic with them, can hold them."""
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            _check_plain_numbers(one)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ModelFileError("head has a number in provenance or results that is not finite")
    elif isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise ModelFileError("head has a number in provenance or results that is too large")
