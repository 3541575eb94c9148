"""A training that diverges stops, and its error names the batch and the clips."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scenelet.config import ScheduleConfig
from scenelet.data.feature_cache import ClipFeatures
from scenelet.errors import RunError
from scenelet.training.batches import EpochBatches, LabelledFeatures
from scenelet.training.divergence import DivergedError
from scenelet.training.loop import run_trainer
from scenelet.training.mixing import NO_MIXING
from scenelet.training.module import SceneModule

CLIPS, SIZE = 22, 5
NAMES = tuple(f"{clip}.wav" for clip in range(CLIPS))


def batches(epoch: int) -> EpochBatches:
    """Return batches in which every value of a clip is the number of the clip."""
    values = np.broadcast_to(np.arange(CLIPS, dtype=np.float16)[:, None, None, None], (CLIPS, 1, 2, 3))
    features = ClipFeatures(values, np.arange(CLIPS), np.ones(CLIPS, np.int64))
    return EpochBatches(LabelledFeatures(features, np.arange(CLIPS) % 3, 3, NAMES), SIZE, [], NO_MIXING, 0, epoch)


class PoisonedNetwork(nn.Module):
    """Network whose logits (with `gradient`, only their gradient) are not finite if a batch holds clip `poison`."""

    def __init__(self, poison: int, gradient: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.dense, self.poison, self.gradient, self.batches_seen = nn.Linear(6, 3), poison, gradient, 0

    def forward(self, x: Tensor) -> Tensor:
        self.batches_seen += 1
        logits: Tensor = self.dense(x.flatten(1) / CLIPS)
        if bool((x == self.poison).any()):
            # the gradient of the square root at 0 is infinite
            logits = logits + (0 * logits).sqrt() if self.gradient else logits * math.nan
        return logits


def module(network: nn.Module) -> SceneModule:
    return SceneModule(network, nn.CrossEntropyLoss(), ScheduleConfig(epochs=3, batch_size=SIZE), batches)


def clips_of_batches(epoch: int) -> list[tuple[str, ...]]:
    return [tuple(f"{number:.0f}.wav" for number in x[:, 0, 0, 0]) for x, _ in batches(epoch)]


def test_epoch_batches_names_match_their_clips() -> None:
    for epoch in (0, 1):
        assert [batches(epoch).names(index) for index in range(len(batches(epoch)))] == clips_of_batches(epoch)


@pytest.mark.parametrize("gradient", [False, True], ids=["loss", "gradient"])
@pytest.mark.parametrize("poison", [3, 17])
def test_run_trainer_stops_at_the_batch_that_diverges(gradient: bool, poison: int, tmp_path: Path) -> None:
    expected = next(clips for clips in clips_of_batches(0) if f"{poison}.wav" in clips)
    number = clips_of_batches(0).index(expected) + 1
    network = PoisonedNetwork(poison, gradient)
    trained = module(network)
    with pytest.raises(
        RunError, match=rf"^epoch 1, batch {number} of 5: training diverged with {expected[0]}"
    ) as caught:
        run_trainer(trained, "fp32", tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "diverged.json") in str(caught.value)
    found = json.loads((tmp_path / "diverged.json").read_text())
    assert found["clips"] == list(expected)
    assert (found["epoch"], found["batch"], found["batches"], len(found["losses"])) == (1, number, 5, number - 1)
    assert not list(tmp_path.rglob("*.ckpt"))
    # the loss of the next batch, or the end of the epoch, shows a gradient that is not finite
    assert network.batches_seen == min(5, number + gradient)


def test_run_trainer_removes_an_old_divergence_file(tmp_path: Path) -> None:
    (tmp_path / "diverged.json").write_text("{}")
    run_trainer(module(PoisonedNetwork(poison=-1)), "fp32", tmp_path)
    assert not (tmp_path / "diverged.json").exists()


def test_epoch_end_names_the_first_batch_not_finite() -> None:
    # used on GPUs and in distributed training
    trained = module(PoisonedNetwork(poison=17))
    for index, batch in enumerate(batches(0)):
        trained.training_step(batch, index)
    with pytest.raises(DivergedError) as caught:
        trained.on_train_epoch_end()
    assert "17.wav" in caught.value.divergence.clips


def test_epoch_end_with_broken_weights_names_the_last_batch() -> None:
    trained = module(PoisonedNetwork(poison=-1))
    for index, batch in enumerate(batches(0)):
        trained.training_step(batch, index)
    with torch.no_grad():
        trained.network.get_parameter("dense.bias").fill_(math.inf)
    with pytest.raises(DivergedError) as caught:
        trained.on_train_epoch_end()
    assert caught.value.divergence.batch == 5
