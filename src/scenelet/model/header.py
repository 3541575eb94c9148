"""The header of a `.scn` file: JSON from an unknown source, checked against bounds on memory and work."""

import json
import math
from typing import Annotated, Any

from pydantic import FailFast, Field, JsonValue, ValidationError, model_validator

from scenelet.config import FeatureConfig, Settings, WindowConfig
from scenelet.errors import ModelFileError
from scenelet.model.costs import operation_count, peak_activation_size, receptive_field
from scenelet.model.encodings import Encoding
from scenelet.model.known_sounds import MEANS, embedding_size
from scenelet.model.ops import INPUT, MAX_VALUES, OUTPUT, Name, Node, Shape
from scenelet.model.scene_model import TrainingCounts, input_shape
from scenelet.model.shapes import shapes

MAX_FILE_BYTES = 1 << 26
MAX_HEADER_BYTES = 1 << 21
MAX_PARAMETERS = 1 << 24
MAX_FRAME_VALUES = 1 << 27
"""Maximum count of numbers in the overlapping frames of one window, from which its features are computed."""
MAX_SAMPLES = 1 << 24
"""Maximum count of samples in one window, over all channels: three minutes of stereo at 44.1 kHz."""
OPERATIONS_PER_SAMPLE = 64
"""Operations that each sample of a window counts as: it is copied, padded and resampled."""
MAX_MEL_MATRIX = 1 << 23
"""Maximum of n_mels times n_fft. The matrix of the mel bands is half as large."""
MAX_OPERATIONS = 1 << 38
"""Maximum operations of features and network per window, and per second of sound: 100 times the paper's network."""
MAX_WINDOWS_PER_SECOND = 1000
MAX_LABELS = 10_000
MAX_PROBABILITIES_PER_SECOND = 20_000
"""Maximum of labels times windows per second of sound. A prediction holds them all: 288 MB for an hour."""
MAX_RECEPTIVE_FIELD = 1 << 31
"""Maximum receptive field in bands or frames. It needs a bound because strides multiply."""
MAX_INTEGER = 1 << 53
"""Largest integer in `provenance` and `results`. Other JSON readers round larger ones."""


class _Array(Settings):
    name: Name
    shape: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MAX_PARAMETERS)], ...], Field(min_length=1, max_length=4), FailFast()
    ]
    encoding: Encoding


class _Known(Settings):
    min_similarity: float = Field(ge=-1, le=1)


# Lists fail at their first invalid item. Otherwise pydantic would report each of a million items.
class Header(Settings):
    """Content of a header; see docs/model_file.md."""

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
    background: str | None = None
    known: _Known | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Header":
        if len(self.labels) > MAX_LABELS:
            raise ValueError(f"{len(self.labels):,} labels (limit {MAX_LABELS:,})")
        if len(set(self.labels)) != len(self.labels) or not all(label.isprintable() for label in self.labels):
            raise ValueError("labels must be printable and different from each other")
        if self.background is not None and self.background not in self.labels:
            raise ValueError(f"the background {self.background!r} is not one of the labels")
        array_shapes = {array.name: array.shape for array in self.arrays}
        if len(array_shapes) != len(self.arrays):
            raise ValueError("two arrays have the same name")
        if sum(math.prod(shape) for shape in array_shapes.values()) > MAX_PARAMETERS:
            raise ValueError(f"more than {MAX_PARAMETERS} parameters")
        _check_features(self.features, self.window)
        means = array_shapes.pop(MEANS, None)  # no node uses it
        if (means is None) != (self.known is None):
            raise ValueError(f"the array {MEANS!r} and the field known need each other")
        if any(array.name == MEANS and array.encoding != "fp16" for array in self.arrays):
            raise ValueError(f"the array {MEANS!r} is not in fp16")
        # ModelFileError is not a ValueError, so pydantic does not wrap it
        value_shapes = shapes(self.nodes, array_shapes, input_shape(self.features, self.window))
        if value_shapes[OUTPUT] != (len(self.labels),):
            raise ValueError(f"{len(self.labels)} labels for {value_shapes[OUTPUT][0]} probabilities")
        if means is not None:
            expected = len(self.labels), embedding_size(self.nodes, value_shapes)
            if means != expected:
                raise ValueError(f"the array {MEANS!r} has the shape {means}, not {expected}")
        self._check_bounds(array_shapes, value_shapes)
        return self

    def _check_bounds(self, array_shapes: dict[str, Shape], value_shapes: dict[str, Shape]) -> None:
        """Check the memory and the work that one window of the whole model needs."""
        features, window = self.features, self.window
        rate = features.sample_rate
        samples = features.n_channels * window.samples(rate)
        frame_values = features.n_channels * features.n_frames(window.samples(rate)) * features.n_fft
        peak = peak_activation_size(self.nodes, value_shapes)
        if peak > MAX_VALUES:
            raise ValueError(f"a window needs {peak:,} numbers in memory together (limit {MAX_VALUES:,})")
        network = operation_count(self.nodes, array_shapes, value_shapes)
        operations = network + frame_values * features.n_fft.bit_length() + samples * OPERATIONS_PER_SAMPLE
        if operations > MAX_OPERATIONS:
            raise ValueError(f"a window takes {operations:,} operations (limit {MAX_OPERATIONS:,})")
        per_second = rate / window.hop_samples(rate)
        if per_second > MAX_WINDOWS_PER_SECOND or operations * per_second > MAX_OPERATIONS:
            raise ValueError(
                f"a second of sound takes {per_second:,.1f} windows and {operations * per_second:,.0f} operations"
                f" (limit {MAX_WINDOWS_PER_SECOND:,} and {MAX_OPERATIONS:,})"
            )
        if len(self.labels) * per_second > MAX_PROBABILITIES_PER_SECOND:
            raise ValueError(
                f"a second of sound gives {len(self.labels) * per_second:,.0f} probabilities"
                f" (limit {MAX_PROBABILITIES_PER_SECOND:,})"
            )
        if max(receptive_field(self.nodes, array_shapes, value_shapes[INPUT])) > MAX_RECEPTIVE_FIELD:
            raise ValueError(f"its receptive field exceeds {MAX_RECEPTIVE_FIELD:,} frames")


def _check_features(features: FeatureConfig, window: WindowConfig) -> None:
    samples = window.samples(features.sample_rate)
    if features.n_channels * samples > MAX_SAMPLES:
        raise ValueError(f"its window has more than {MAX_SAMPLES:,} samples")
    if features.n_frames(samples) * features.n_fft > MAX_FRAME_VALUES:
        raise ValueError("its window is too long for its features")
    if features.n_mels * features.n_fft > MAX_MEL_MATRIX:
        raise ValueError(f"n_mels times n_fft exceeds {MAX_MEL_MATRIX:,}")
    if samples <= features.n_fft // 2:
        raise ValueError("its window is shorter than half of n_fft")


def parse_header(plain: bytes) -> Header:
    """Parse and check the JSON of a header.

    Raises:
        ModelFileError: the data is not JSON, a value is invalid or out of bounds, or a key is repeated.
    """
    try:
        header = Header.model_validate_json(plain, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        location = "".join(f" {part}" for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise ModelFileError(f"header{location} is not valid ({reason})") from None
    # Pydantic accepts repeated keys. Its own parser has bounded the depth of the JSON by now.
    json.loads(plain, object_pairs_hook=_check_unique_keys)
    for values in (header.provenance, header.results):
        _check_numbers(values)
    return header


def _check_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ModelFileError("the header has a repeated key")
    return values


def _check_numbers(value: Any) -> None:
    """Check that every number is finite and that other JSON readers do not round it."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_numbers(item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ModelFileError("the header has a number in provenance or results that is not finite")
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ModelFileError("the header has a number in provenance or results that is too large")
