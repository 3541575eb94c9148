"""Batches of an epoch: each clip once, all randomness from (seed, epoch)."""

import numpy as np
import pytest
import torch
from torch import nn

from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.augment import TimeRoll
from scenelet.training.batches import EpochBatches, LabelledFeatures, clip_probabilities
from scenelet.training.mixing import Compose, Mixup


def clip_set(clips: int = 10, windows: int = 2) -> LabelledFeatures:
    """Row r is filled with r; clip i owns rows windows * i and on; its class is i % 3."""
    values = np.broadcast_to(
        np.arange(clips * windows, dtype=np.float16)[:, None, None, None], (clips * windows, 1, 4, 6)
    )
    first = np.arange(clips) * windows
    return LabelledFeatures(ClipFeatures(values, first, np.full(clips, windows)), np.arange(clips) % 3, 3)


def batches(clips: LabelledFeatures, seed: int = 0, epoch: int = 0, size: int = 4) -> EpochBatches:
    return EpochBatches(clips, size, [TimeRoll(2)], Compose([]), seed, epoch)


def test_each_clip_appears_once_with_its_class() -> None:
    rows, classes = [], []
    for x, y in batches(clip_set()):
        rows += x[:, 0, 0, 0].int().tolist()
        classes += y.argmax(1).tolist()
    assert sorted(row // 2 for row in rows) == list(range(10))
    assert [(row // 2) % 3 for row in rows] == classes


def test_every_window_is_drawn_in_time() -> None:
    clips = clip_set()
    seen = {int(x) for epoch in range(20) for batch, _ in batches(clips, epoch=epoch) for x in batch[:, 0, 0, 0]}
    assert seen == set(range(20))


@pytest.mark.parametrize(("clips", "sizes"), [(8, [4, 4]), (10, [4, 4, 2]), (9, [4, 4])])
def test_a_last_batch_of_one_is_left_out(clips: int, sizes: list[int]) -> None:
    epoch = batches(clip_set(clips))
    assert [len(x) for x, _ in epoch] == sizes
    assert len(epoch) == len(sizes)


def test_randomness_is_of_seed_and_epoch() -> None:
    def content(seed: int, epoch: int) -> list[torch.Tensor]:
        mixed = EpochBatches(clip_set(), 4, [TimeRoll(2)], Mixup(), seed, epoch)
        return [part for batch in mixed for part in batch]

    same = zip(content(1, 2), content(1, 2), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    for other in ((1, 3), (2, 2)):
        assert not all(torch.equal(a, b) for a, b in zip(content(1, 2), content(*other), strict=True))


def test_a_clips_probabilities_are_the_mean_of_its_windows() -> None:
    class Spread(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.tensor([0.1, -0.2, 0.3]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((1, 2, 3))[:, None] * self.factor

    clips, network = clip_set(40), Spread()
    values = torch.arange(80.0)[:, None] * network.factor.detach()
    expected = values.softmax(1).reshape(40, 2, 3).mean(1)
    assert np.allclose(clip_probabilities(network, clips.features), expected, atol=1e-6)
    assert network.training
