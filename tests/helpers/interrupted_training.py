"""The command `scenelet`, which fails at the beginning of a training's epoch: `CUT_AT=2 cut_training.py train ...`."""

import os

from scenelet.cli import main
from scenelet.errors import RunError
from scenelet.training.module import SceneModule


class CutError(RunError):
    """What the training is cut with."""


def cut_at(epoch: int) -> None:
    """Every training of this process fails at the beginning of this epoch, from 0."""
    begin = SceneModule.on_train_epoch_start

    def on_train_epoch_start(self: SceneModule) -> None:
        if self.current_epoch == epoch:
            raise CutError("cut")
        begin(self)

    SceneModule.on_train_epoch_start = on_train_epoch_start


if __name__ == "__main__":
    cut_at(int(os.environ["CUT_AT"]))
    main()
