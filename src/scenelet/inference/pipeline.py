"""Path of one window through a model: samples, log-mel, network, probabilities."""

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.io import Samples
from scenelet.audio.log_mel import Features, LogMel
from scenelet.audio.silence import is_silent
from scenelet.errors import ModelFileError
from scenelet.inference.prediction import Probabilities
from scenelet.inference.runtimes import Network, RuntimeName, open_network
from scenelet.model.scene_model import SceneModel


class Pipeline:
    """Function from the samples of a window (channels, n) to its probabilities (classes,).

    Those of a silent window are 0, which no network gives: whatever it makes of silence is an artifact.
    """

    def __init__(self, log_mel: LogMel, network: Network, classes: int) -> None:
        self.log_mel, self._network = log_mel, network
        self._silence = np.zeros(classes, np.float32)

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
    model: SceneModel, runtime: RuntimeName, threads: int, callers: int, at_once: bool = True
) -> Pipeline:
    """Make the pipeline of a model, see `scenelet.inference.runtimes.open_network`."""
    network = open_network(
        model.nodes, model.arrays, model.input_shape, runtime=runtime, threads=threads, callers=callers, at_once=at_once
    )
    return Pipeline(LogMel(model.features, threads), network, len(model.labels))
