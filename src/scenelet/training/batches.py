"""Training batches of one epoch, and probabilities of clips: where features meet the network."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scenelet.data.clips import Clip
from scenelet.data.feature_cache import ClipFeatures
from scenelet.inference.prediction import mean_probabilities
from scenelet.training.augment import Augmentation
from scenelet.training.mixing import Mixer
from scenelet.training.ranks import SINGLE, Rank

EVALUATION_BATCH = 32


@dataclass(frozen=True)
class LabelledFeatures:
    """Features of some clips with their classes.

    Attributes:
        features: of the clips, in their order.
        targets: (clips,) class indices.
        classes: how many classes there are.
        names: of the clips, to be named in errors; none where nobody knows them.
    """

    features: ClipFeatures
    targets: NDArray[np.int64]
    classes: int
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.targets)

    def class_counts(self) -> list[int]:
        """Clips of each class."""
        return [int(count) for count in np.bincount(self.targets, minlength=self.classes)]


def class_indices(clips: Sequence[Clip], labels: Sequence[str]) -> NDArray[np.int64]:
    """(clips,) index of each clip's label in `labels`."""
    rank = {label: index for index, label in enumerate(labels)}
    return np.array([rank[clip.label] for clip in clips], np.int64)


class EpochBatches:
    """The batches of one epoch; all its randomness comes from (seed, epoch).

    Each clip appears once, with one of its windows drawn at random. A last batch of a single clip
    is left out: batch normalization needs two. So is one of fewer clips than there are devices.

    Yields x (batch, channels, n_mels, frames) and y (batch, classes), float32 tensors. Several devices each get a
    share of the batch, neighbouring clips, after all of it was drawn, moved and mixed: the shares of a batch are the
    batch that one device gets.
    """

    def __init__(
        self,
        clips: LabelledFeatures,
        batch_size: int,
        moves: Iterable[Augmentation],
        mixer: Mixer,
        seed: int,
        epoch: int,
        rank: Rank = SINGLE,
    ) -> None:
        self.clips, self.batch_size, self.moves, self.mixer = clips, batch_size, tuple(moves), mixer
        self.seed, self.epoch, self.rank = seed, epoch, rank

    def __len__(self) -> int:
        full, rest = divmod(len(self.clips), self.batch_size)
        return full + (rest >= max(2, self.rank.world_size))

    def weight(self, index: int) -> float:
        """What the mean loss over this device's share of batch `index` counts: n_share devices / n_batch.

        The mean over the devices of the losses, so weighted, is the mean over the batch, also where shares differ.
        """
        whole = min(self.batch_size, len(self.clips) - index * self.batch_size)
        share = self.rank.share(whole)
        return float((share.stop - share.start) * self.rank.world_size / whole)

    def dropout_seed(self) -> int:
        """For the network's dropout in this epoch; drawn apart from what the batches draw, another on each device."""
        own = [self.rank.rank] if self.rank.is_worker else []
        return int(np.random.default_rng([self.seed, self.epoch, 1, *own]).integers(1 << 31))

    def names(self, index: int) -> tuple[str, ...]:
        """The clips of batch `index`, as all devices together get it."""
        order = self._rng().permutation(len(self.clips))
        batch = order[index * self.batch_size : (index + 1) * self.batch_size]
        return tuple(self.clips.names[clip] for clip in batch) if self.clips.names else ()

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.epoch])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rng = self._rng()
        features = self.clips.features
        order = rng.permutation(len(self.clips))
        rows = features.first + rng.integers(features.count)
        one_hot = torch.eye(self.clips.classes)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = order[start : start + self.batch_size]
            x = _load(features, rows[batch])
            for move in self.moves:
                x = move(x, rng)
            x, y = self.mixer(x, one_hot[self.clips.targets[batch]], rng)
            share = self.rank.share(len(x))
            yield x[share], y[share]


def _load(features: ClipFeatures, rows: NDArray[np.int64]) -> Tensor:
    """(n,) rows -> (n, channels, n_mels, frames) float32; PyTorch widens fp16 many times faster than NumPy."""
    return torch.from_numpy(features.values[rows]).float()


@torch.no_grad()
def clip_probabilities(network: nn.Module, features: ClipFeatures) -> NDArray[np.float32]:
    """(clips, classes): the mean over each clip's windows of the softmax of the logits, in float32."""
    was_training = network.training
    device = next(network.parameters()).device
    network.eval()
    parts = []
    rows = features.rows()
    with torch.autocast(device.type, enabled=False):
        for start in range(0, len(rows), EVALUATION_BATCH):
            x = _load(features, rows[start : start + EVALUATION_BATCH]).to(device)
            parts.append(network(x).softmax(1).cpu().numpy())
    network.train(was_training)
    return mean_over_windows(np.concatenate(parts), features.count)


def mean_over_windows(windows: NDArray[np.float32], count: NDArray[np.int64]) -> NDArray[np.float32]:
    """(windows, classes), clip by clip, with `count` windows each -> (clips, classes)."""
    ends = np.cumsum(count)
    return np.stack([mean_probabilities(windows[end - n : end]) for end, n in zip(ends, count, strict=True)])
