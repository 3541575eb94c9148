"""Windows of recordings that determine the ranges of int8 activations."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.log_mel import LogMel
from scenelet.audio.silence import is_silent
from scenelet.audio.windows import windows
from scenelet.errors import AudioError
from scenelet.model.scene_model import SceneModel
from scenelet.utils.text import first_few

MAX_WINDOWS = 250
"""Maximum count of windows that are read from the recordings."""
HELD_OUT_INTERVAL = 5
"""Every fifth window is held out from the calibration and used for the comparison."""


@dataclass(frozen=True)
class Calibration:
    """Windows of recordings, as log-mel (channels, n_mels, frames).

    Attributes:
        ranges: the windows whose activations determine the ranges.
        compared: the held-out windows for the comparison; the same windows as `ranges` if there are too few.
        recordings: the count of recordings that were read.
        failures: the errors of recordings that could not be read.
    """

    ranges: list[NDArray[np.float32]]
    compared: list[NDArray[np.float32]]
    recordings: int
    failures: list[AudioError]


def calibrate(model: SceneModel, recordings: Sequence[Path], max_windows: int = MAX_WINDOWS) -> Calibration:
    """Read the first windows of recordings that are evenly spaced in the list.

    Silent windows are left out, because a model answers them without its network.

    Args:
        model: the model, for features and windows.
        recordings: the files.
        max_windows: the maximum count of windows of all recordings together.

    Raises:
        AudioError: none of the recordings can be read, or all are silent.
    """
    features, rate = LogMel(model.features), model.features.sample_rate
    chosen = np.unique(np.linspace(0, len(recordings) - 1, min(max_windows, len(recordings))).round().astype(int))
    found: list[NDArray[np.float32]] = []
    failures: list[AudioError] = []
    read = 0
    for position, index in enumerate(chosen):
        per_recording = -(-(max_windows - len(found)) // (len(chosen) - position))
        try:
            cuts = windows(recordings[index], model.features, model.window)
            sounds = (cut for cut in cuts if not is_silent(cut, rate))
            found += [features(cut) for cut in itertools.islice(sounds, per_recording)]
            read += 1
        except AudioError as error:
            failures.append(error)
    if not found:
        if failures:
            raise failures[0]
        names = first_few(str(recording) for recording in recordings) or "none given"
        raise AudioError(f"there are no recordings with sound ({names}); give recordings of the model's labels")
    held_out = found[HELD_OUT_INTERVAL - 1 :: HELD_OUT_INTERVAL]
    ranges = [window for index, window in enumerate(found) if (index + 1) % HELD_OUT_INTERVAL]
    return Calibration(ranges, held_out or found, read, failures)
