"""Class probabilities of clips from a PyTorch network."""

import numpy as np
import torch
from torch import nn

from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.probabilities import batch_windows, clip_probabilities


class MeanNetwork(nn.Module):
    """Network whose logits are multiples of the input's mean."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([0.1, -0.2, 0.3]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((1, 2, 3))[:, None] * self.factor


def test_clip_probabilities_average_the_windows_of_a_clip() -> None:
    network = MeanNetwork()
    values = np.broadcast_to(np.arange(1, 81, dtype=np.float16)[:, None, None, None], (80, 1, 4, 6))
    features = ClipFeatures(values, np.arange(40) * 2, np.full(40, 2))
    logits = torch.arange(1.0, 81.0)[:, None] * network.factor.detach()
    expected = logits.softmax(1).reshape(40, 2, 3).mean(1)
    assert np.allclose(clip_probabilities(network, features), expected, atol=1e-6)
    assert network.training


def test_batch_windows_on_a_gpu_follow_the_size_of_a_window() -> None:
    gpu = torch.device("cuda")
    sizes = [batch_windows(gpu, values) for values in (64 * 216, 2 * 256 * 431, 100 * 2 * 256 * 431)]
    assert sizes == [512, 152, 32]
    assert batch_windows(torch.device("cpu"), 64 * 216) == 32
