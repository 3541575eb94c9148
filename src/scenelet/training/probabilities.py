"""Class probabilities of clips, computed with a PyTorch network."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from scenelet.data.feature_cache import ClipFeatures
from scenelet.inference.prediction import mean_probabilities
from scenelet.training.window_loader import WindowLoader

MIN_BATCH, MAX_BATCH = 32, 512
"""Windows of a batch: the minimum, which a CPU uses, and the maximum on a GPU."""
GPU_BATCH_VALUES = 1 << 25
"""Maximum input values of a larger batch on a GPU. The paper's network then needs about 4 GB."""


@torch.no_grad()
def clip_probabilities(network: nn.Module, features: ClipFeatures) -> NDArray[np.float32]:
    """Return the probabilities (clips, classes): softmax in float32, averaged over the windows of each clip."""
    was_training = network.training
    device = next(network.parameters()).device
    network.eval()
    rows, size = features.rows(), batch_windows(device, features.values[:1].size)
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    with torch.autocast(device.type, enabled=False):
        parts = [network(x).softmax(1) for x in WindowLoader(features, device).load(batches)]
    network.train(was_training)
    return mean_over_windows(torch.cat(parts).cpu().numpy(), features.count)


def batch_windows(device: torch.device, window_values: int) -> int:
    """Return the number of windows that are evaluated at once; `window_values` is the number of values of one.

    >>> batch_windows(torch.device("cpu"), 1000), batch_windows(torch.device("cuda"), 1000)
    (32, 512)
    """
    return MIN_BATCH if device.type == "cpu" else max(MIN_BATCH, min(MAX_BATCH, GPU_BATCH_VALUES // window_values))


def mean_over_windows(windows: NDArray[np.float32], count: NDArray[np.int64]) -> NDArray[np.float32]:
    """Average the probabilities of windows to those of clips.

    Args:
        windows: (windows, classes), sorted by clip.
        count: (clips,) number of windows of each clip.

    Returns:
        (clips, classes).

    >>> windows = np.array([[0.2, 0.8], [0.4, 0.6], [1.0, 0.0]], np.float32)
    >>> mean_over_windows(windows, np.array([2, 1])).round(2).tolist()  # doctest: +ELLIPSIS
    [[0.30..., 0.69...], [1.0, 0.0]]
    """
    ends = np.cumsum(count)
    return np.stack([mean_probabilities(windows[end - n : end]) for end, n in zip(ends, count, strict=True)])
