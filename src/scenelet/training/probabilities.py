"""Class probabilities of clips, computed with a PyTorch network."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from scenelet.data.feature_cache import ClipFeatures
from scenelet.inference.prediction import mean_probabilities
from scenelet.training.batches import load_windows

BATCH_WINDOWS = 32


@torch.no_grad()
def clip_probabilities(network: nn.Module, features: ClipFeatures) -> NDArray[np.float32]:
    """Return the probabilities (clips, classes): softmax in float32, averaged over the windows of each clip."""
    was_training = network.training
    device = next(network.parameters()).device
    network.eval()
    parts = []
    rows = features.rows()
    with torch.autocast(device.type, enabled=False):
        for start in range(0, len(rows), BATCH_WINDOWS):
            x = load_windows(features, rows[start : start + BATCH_WINDOWS]).to(device)
            parts.append(network(x).softmax(1))
    network.train(was_training)
    return mean_over_windows(torch.cat(parts).cpu().numpy(), features.count)


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
