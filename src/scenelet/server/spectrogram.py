"""Spectrogram of a whole recording, coarse enough to send and draw."""

import base64
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.display import levels, pool, shown_range
from scenelet.audio.io import AudioSource, blocks
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import WindowSplitter
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.model.scene_model import SceneModel

MAX_COLUMNS, MAX_BANDS = 600, 128
PIECE_SECONDS = 2.0


class SpectrogramReader:
    """Log-mel of a recording as the network sees it, but of the sound itself: without padding and repetition.

    Args:
        model: its features are drawn.
        recording: a path or an open binary file.
        seconds: length that the recording is expected to have.
        max_seconds: maximum length of the recording.
    """

    def __init__(self, model: SceneModel, recording: AudioSource, seconds: float, max_seconds: float) -> None:
        self._features: FeatureConfig = model.features
        self._recording, self._max_seconds = recording, max_seconds
        self._columns = math.ceil(MAX_COLUMNS * PIECE_SECONDS / max(seconds, PIECE_SECONDS))
        self._edge_frames = math.ceil(model.features.n_fft / 2 / model.features.hop_length)
        self._pieces: list[NDArray[np.float32]] = []
        self._seconds = 0.0

    def read(self) -> Iterator[None]:
        """Read the recording; pause after each piece."""
        log_mel = LogMel(self._features)
        piece = WindowConfig(seconds=max(PIECE_SECONDS, 2 * self._features.n_fft / self._features.sample_rate))
        splitter: WindowSplitter | None = None
        for samples, rate in blocks(self._recording, self._max_seconds, on_note=lambda _: None):
            splitter = splitter or WindowSplitter(
                rate, self._features, piece.model_copy(update={"min_last_fraction": 0})
            )
            self._seconds += samples.shape[1] / rate
            for cut in splitter.push(samples):
                self._add(log_mel(cut))
                yield
        for cut in splitter.finish() if splitter else ():
            self._add(log_mel(cut))
            yield
        self._covered = len(self._pieces) * piece.seconds

    def image(self) -> dict[str, Any]:
        """Return a `scenelet.server.schemas.Spectrogram`, after `read` has ended."""
        joined = np.concatenate(self._pieces, axis=1)
        joined = joined[:, : max(1, round(joined.shape[1] * self._seconds / self._covered))]
        joined = pool(joined, MAX_COLUMNS)
        image = levels(joined, *shown_range([joined], self._features.top_db))
        encoded = base64.b64encode(image.tobytes()).decode()
        return {"levels": encoded, "bands": len(image), "frames": image.shape[1], "seconds": self._seconds}

    def _add(self, log_mel: NDArray[np.float32]) -> None:
        inner = log_mel.mean(axis=0)[:, :-1]  # the last frame is centered on the next piece
        edge = min(self._edge_frames, inner.shape[1] // 2)  # frames that hold reflected sound
        inner[:, :edge], inner[:, inner.shape[1] - edge :] = inner[:, [edge]], inner[:, [-edge - 1]]
        self._pieces.append(pool(pool(inner, self._columns).T, MAX_BANDS).T)
