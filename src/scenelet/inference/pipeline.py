"""Path of one window through a model: samples, log-mel, network, and its probabilities or its embedding."""

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.io import Samples
from scenelet.audio.log_mel import Features, LogMel
from scenelet.audio.silence import is_silent
from scenelet.errors import ModelFileError
from scenelet.inference.prediction import WindowPrediction
from scenelet.inference.runtimes import Network, RuntimeName, open_network
from scenelet.model.known_sounds import embedding_size
from scenelet.model.scene_model import SceneModel


class Pipeline:
    """Function from the samples of a window (channels, n) to its prediction.

    The probabilities of a silent window are 0, which no network gives: whatever it makes of silence is an artifact.
    """

    def __init__(self, log_mel: LogMel, network: Network, classes: int) -> None:
        self.log_mel, self._network = log_mel, network
        self._silence = np.zeros(classes, np.float32)

    def __call__(self, samples: Samples) -> WindowPrediction:
        """Classify the samples (channels, n) of a window."""
        if is_silent(samples, self.log_mel.config.sample_rate):
            return WindowPrediction(self._silence.copy(), None)
        return self.run_network(self.log_mel(samples))

    def run_network(self, log_mel: Features | NDArray[np.floating]) -> WindowPrediction:
        """Classify features (channels, n_mels, frames)."""
        probabilities, *similarity = _run(self._network, log_mel)
        return WindowPrediction(probabilities, float(similarity[0][0]) if similarity else None)


class EmbeddingPipeline:
    """Function from the samples of a window (channels, n) to its embedding (values,), which is 0 for silence."""

    def __init__(self, log_mel: LogMel, network: Network, size: int) -> None:
        self.log_mel, self._network, self._size = log_mel, network, size

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        """Embed the samples (channels, n) of a window: return (values,)."""
        if is_silent(samples, self.log_mel.config.sample_rate):
            return np.zeros(self._size, np.float32)
        return self.run_network(self.log_mel(samples))

    def run_network(self, log_mel: Features | NDArray[np.floating]) -> NDArray[np.float32]:
        """Embed features (channels, n_mels, frames): return (values,)."""
        return _run(self._network, log_mel)[0]


def _run(network: Network, log_mel: Features | NDArray[np.floating]) -> list[NDArray[np.float32]]:
    """Return the outputs of a network for the features of one window, which must be finite."""
    outputs = [rows[0] for rows in network(np.ascontiguousarray(log_mel[None], np.float32))]
    if not all(np.isfinite(row).all() for row in outputs):
        raise ModelFileError("the model's probabilities are not finite numbers; train or compress it again")
    return outputs


def make_pipeline(
    model: SceneModel, runtime: RuntimeName, threads: int, callers: int, at_once: bool = True
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
        known=model.known,
    )
    return Pipeline(LogMel(model.features, threads), network, len(model.labels))


def make_embedding_pipeline(model: SceneModel, threads: int, callers: int) -> EmbeddingPipeline:
    """Make the pipeline that computes a model's embeddings, with ONNX Runtime in fp32."""
    network = open_network(
        model.nodes, model.arrays, model.input_shape, threads=threads, callers=callers, embedding=True
    )
    return EmbeddingPipeline(LogMel(model.features, threads), network, embedding_size(model.nodes, model.shapes()))
