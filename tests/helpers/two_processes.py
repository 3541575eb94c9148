"""`scenelet train` with two processes on one CPU, which only tests allow: `two_processes.py train ...`.

PyTorch's synchronized norms need GPUs, so the network here has no norm. Two processes train it as one process does.
The variable CUT_AT fails the training at the beginning of an epoch, OTHER_SOUND lets process 1 see other sound.
"""

import os

import torch
from torch import Tensor, nn

from scenelet.cli import main
from scenelet.errors import RunError
from scenelet.nn.blocks import GlobalMeanPool
from scenelet.nn.registry import register_model
from scenelet.training import dataset, loop, train
from scenelet.training.module import SceneModule

NETWORK = "without_norms"


class WithoutNorms(nn.Module):
    """Two convolutions and a mean, without norms."""

    def __init__(self, num_classes: int, in_channels: int = 1, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(in_channels, 8, 5, stride=2), nn.Conv2d(8, 8, 3, stride=2)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.pool, self.out = GlobalMeanPool(), nn.Linear(8, num_classes)
        for weight in self.parameters():
            nn.init.uniform_(weight, -0.3, 0.3, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, n_mels, frames) to logits (batch, num_classes)."""
        return self.out(self.pool(self.relu2(self.conv2(self.relu1(self.conv1(x))))))


class CutError(RunError):
    """Error that interrupts the training."""


def cut_at(epoch: int) -> None:
    """Make every training of this process fail at the beginning of an epoch, counted from 0."""
    begin = SceneModule.on_train_epoch_start

    def on_train_epoch_start(self: SceneModule) -> None:
        if self.current_epoch == epoch:
            raise CutError("cut")
        begin(self)

    SceneModule.on_train_epoch_start = on_train_epoch_start


if __name__ == "__main__":
    register_model(NETWORK)(WithoutNorms)
    train.check_devices = loop.check_devices = lambda trainer: None
    if "CUT_AT" in os.environ:
        cut_at(int(os.environ["CUT_AT"]))
    if os.environ.get("LOCAL_RANK") == "1" and "OTHER_SOUND" in os.environ:
        statistics = dataset.band_statistics
        dataset.band_statistics = lambda features: (statistics(features)[0] + 1, statistics(features)[1])
    main()
