"""Path of one window through a model: samples, log-mel, network, probabilities."""

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.io import Samples
from scenelet.audio.log_mel import Features, LogMel
from scenelet.audio.silence import is_silent
from scenelet.errors import ModelFileError
from scenelet.inference.onnx_network import embedding_values
from scenelet.inference.prediction import Probabilities
from scenelet.inference.runtimes import Network, RuntimeName, open_network
from scenelet.model.scene_model import SceneModel


class Pipeline:
    """Function from the samples of a window (channels, n) to its probabilities (classes,) or its embedding (values,).

    Those of a silent window are 0, which no network gives: whatever it makes of silence is an artifact.
    """

    def __init__(self, log_mel: LogMel, network: Network, size: int) -> None:
        self.log_mel, self._network = log_mel, network
        self._silence = np.zeros(size, np.float32)

    def __call__(self, samples: Samples) -> Probabilities:
        """Classify the samples (channels, n) of a window: return (classes,)."""
        return (
            self._silence.copy()
            if is_silent(samples, self.log_mel.config.sample_rate)
            else self.run_network(self.log_mel(samples))
        )

    def run_network(self, log_mel: Features | NDArray[np.floating]) -> Probabilities:
        """Classify features (channels, n_mels, frames): return (classes,)."""
        row: Probabilities = self._network(np.ascontiguousarray(log_mel[None], np.float32))[0]
        if not np.isfinite(row).all():
            raise ModelFileError("the model's probabilities are not finite numbers; train or compress it again")
        return row


def make_pipeline(
    model: SceneModel, runtime: RuntimeName, threads: int, callers: int, at_once: bool = True, embedding: bool = False
) -> Pipeline:
    """Make the pipeline of a model, see `scenelet.inference.runtimes.open_network`."""
    network = open_network(
        model.nodes,
        model.arrays,
        model.input_shape,
        runtime=runtime,
        threads=threads,
        callers=callers,
        at_once=at_once,
        embedding=embedding,
    )
    return Pipeline(LogMel(model.features, threads), network, embedding_size(model) if embedding else len(model.labels))


def embedding_size(model: SceneModel) -> int:
    """Return the number of values in the embedding of a window.

    Raises:
        UsageError: the network has no embedding.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> embedding_size(read_model(built_in("esc10")))
    152
    """
    known = model.shapes()
    return sum(known[value][0] for value in embedding_values(model.nodes))
