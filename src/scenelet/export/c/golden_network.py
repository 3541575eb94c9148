"""Golden vectors of the network: windows that C and Python make alike, and their probabilities."""

import numpy as np
from numpy.typing import NDArray

from scenelet.export.c.literals import c_numbers, c_table
from scenelet.export.fused.int8_network import Int8Network
from scenelet.export.fused.run_int8 import run_int8
from scenelet.inference.classifier import Classifier
from scenelet.model.ops import OUTPUT
from scenelet.model.scene_model import SceneModel

WINDOWS = 3


def golden_network(model: SceneModel, int8: Int8Network | None) -> str:
    """Return the header `golden_network.h` with the probabilities of all windows.

    Args:
        model: the content of a `.scn` file.
        int8: its network in int8, if the C program runs in int8.
    """
    channels, n_mels, frames = model.input_shape
    windows = [golden_window(index, (n_mels, frames, channels)) for index in range(WINDOWS)]
    if int8 is None:
        # in dB, from -80 in exact steps
        log_mels = np.array([window.transpose(2, 0, 1) * 0.3125 - 80 for window in windows], np.float32)
        rows = Classifier(model, threads=1).probabilities(log_mels)
    else:
        rows = np.stack([run_int8(int8, (window - 128).astype(np.int8))[OUTPUT].ravel() for window in windows])
    table = c_table("static const scenelet_number golden[GOLDEN_WINDOWS * SCENELET_CLASSES]", c_numbers(rows.ravel()))
    return "\n".join([
        "/* Probabilities that training's network gives for the windows of test_network.c. */",
        f"#define GOLDEN_WINDOWS {WINDOWS}",
        *table,
        "",
    ])  # fmt: skip


def golden_window(index: int, shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return integers from 0 to 254: noise of a linear congruential generator plus a pattern, as in test_network.c.

    >>> golden_window(0, (1, 2, 2)).ravel().tolist()
    [30, 35, 104, 85]
    """
    numbers = np.empty(int(np.prod(shape)), np.int64)
    state = index
    for i in range(numbers.size):
        state = (state * 1664525 + 1013904223) % 2**32
        numbers[i] = (state >> 25) + ((i >> (index + 3)) & 127)
    return numbers.reshape(shape)
