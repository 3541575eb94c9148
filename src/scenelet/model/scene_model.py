"""A model as plain data: labels, features, windows, the network's nodes and arrays, and provenance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from scenelet.config import FeatureConfig, Settings, WindowConfig
from scenelet.model.encodings import Encoding
from scenelet.model.known_sounds import KnownSounds
from scenelet.model.ops import Node, Shape
from scenelet.model.shapes import shapes

MAX_COUNT = 1 << 40
"""Maximum count of parameters. A count times a number of bytes is then still easy to print and to read."""


class TrainingCounts(Settings):
    """Parameters of the network during training, as challenges count them; norms still have parameters then."""

    conv: int = Field(ge=0, le=MAX_COUNT, description="convolution weights, zeros included")
    conv_kept: int = Field(ge=0, le=MAX_COUNT, description="weights that the pruning mask keeps, whatever their value")
    linear: int = Field(0, ge=0, le=MAX_COUNT, description="dense weights, and all biases")
    linear_kept: int = Field(0, ge=0, le=MAX_COUNT)
    batch_norm: int = Field(0, ge=0, le=MAX_COUNT, description="scales and shifts")
    sub_spectral_norm: int = Field(0, ge=0, le=MAX_COUNT, description="scales and shifts")

    @model_validator(mode="after")
    def _consistent(self) -> "TrainingCounts":
        if self.conv_kept > self.conv or self.linear_kept > self.linear:
            raise ValueError("more parameters kept than exist")
        return self

    @property
    def parameters(self) -> int:
        """Count of all parameters, pruned ones included."""
        return self.conv + self.linear + self.batch_norm + self.sub_spectral_norm

    @property
    def parameters_kept(self) -> int:
        """Count of kept weights and all norm parameters: the paper's non-zero count."""
        return self.conv_kept + self.linear_kept + self.batch_norm + self.sub_spectral_norm


@dataclass(frozen=True, eq=False)
class SceneModel:
    """Content of a `.scn` file.

    Attributes:
        labels: the classes, in the order of the probabilities.
        features: the settings of the log-mel features.
        window: the rule that cuts a recording into windows.
        nodes: the network, from the raw log-mel of one window to probabilities; see `scenelet.model.ops`.
        arrays: the weights of the nodes by name, in float32.
        encodings: the stored format of each array; see `scenelet.model.encodings`.
        counts: parameters at training time.
        provenance: data, recipe, versions and other origins, as JSON values.
        results: measured accuracies, as JSON values.
        licenses: the licenses of the training recordings.
        background: the label that means "none of the other classes"; None if there is none.
        known: the rule for sounds that are unlike all training sounds; None if there is none.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> model = read_model(built_in("esc10"))
    >>> model.counts.parameters, model.features.sample_rate, model.window.seconds
    (116917, 44100, 5.0)
    """

    labels: tuple[str, ...]
    features: FeatureConfig
    window: WindowConfig
    nodes: tuple[Node, ...]
    arrays: dict[str, NDArray[np.float32]]
    encodings: dict[str, Encoding]
    counts: TrainingCounts
    provenance: dict[str, Any]
    results: dict[str, Any]
    licenses: list[str]
    background: str | None = None
    known: KnownSounds | None = None

    @property
    def input_shape(self) -> Shape:
        """Shape (channels, n_mels, frames) of one window's log-mel."""
        return input_shape(self.features, self.window)

    @property
    def array_shapes(self) -> dict[str, Shape]:
        """Shape of every array by name."""
        return {name: array.shape for name, array in self.arrays.items()}

    @property
    def members(self) -> int:
        """Number of the members of an ensemble; 1 for a single network."""
        return max(1, len({name.split(".")[1] for name in self.arrays if name.startswith("members.")}))

    def shapes(self) -> dict[str, Shape]:
        """Return the shape of every value of the network by name, and check the network.

        Raises:
            ModelFileError: as `scenelet.model.shapes.shapes`.
        """
        return shapes(self.nodes, self.array_shapes, self.input_shape)


def input_shape(features: FeatureConfig, window: WindowConfig) -> Shape:
    """Return the shape (channels, n_mels, frames) of one window's log-mel.

    >>> input_shape(FeatureConfig(), WindowConfig())
    (2, 256, 431)
    """
    return features.n_channels, features.n_mels, features.n_frames(window.samples(features.sample_rate))
