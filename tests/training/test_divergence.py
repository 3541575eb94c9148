"""A training that diverges stops with the batch that did it, named to its last clip."""

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
    """Each clip's features are its number in every place."""
    values = np.broadcast_to(np.arange(CLIPS, dtype=np.float16)[:, None, None, None], (CLIPS, 1, 2, 3))
    features = ClipFeatures(values, np.arange(CLIPS), np.ones(CLIPS, np.int64))
    return EpochBatches(LabelledFeatures(features, np.arange(CLIPS) % 3, 3, NAMES), SIZE, [], NO_MIXING, 0, epoch)


class Network(nn.Module):
    """Three logits, which are not finite where the batch holds the clip `poison`; its gradient, where `breaks`."""

    def __init__(self, poison: int, breaks: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.dense, self.poison, self.breaks, self.seen = nn.Linear(6, 3), poison, breaks, 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        logits: Tensor = self.dense(x.flatten(1) / CLIPS)
        if bool((x == self.poison).any()):
            # the square root of 0 is 0, and its gradient infinite
            logits = logits + (0 * logits).sqrt() if self.breaks else logits * math.nan
        return logits


def module(network: nn.Module) -> SceneModule:
    return SceneModule(network, nn.CrossEntropyLoss(), ScheduleConfig(epochs=3, batch_size=SIZE), batches)


def clips_by_batch(epoch: int) -> list[tuple[str, ...]]:
    return [tuple(f"{number:.0f}.wav" for number in x[:, 0, 0, 0]) for x, _ in batches(epoch)]


def test_names_are_those_of_the_batch() -> None:
    for epoch in (0, 1):
        assert [batches(epoch).names(index) for index in range(len(batches(epoch)))] == clips_by_batch(epoch)


@pytest.mark.parametrize("breaks", [False, True], ids=["loss", "gradient"])
@pytest.mark.parametrize("poison", [3, 17])
def test_the_batch_is_named_and_nothing_is_trained_after_it(breaks: bool, poison: int, tmp_path: Path) -> None:
    expected = next(clips for clips in clips_by_batch(0) if f"{poison}.wav" in clips)
    place = clips_by_batch(0).index(expected) + 1
    network = Network(poison, breaks)
    trained = module(network)
    with pytest.raises(
        RunError, match=rf"^epoch 1, batch {place} of 5: training diverged with {expected[0]}"
    ) as caught:
        run_trainer(trained, "fp32", tmp_path, verbose=False)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "diverged.json") in str(caught.value)
    found = json.loads((tmp_path / "diverged.json").read_text())
    assert found["clips"] == list(expected)
    assert (found["epoch"], found["batch"], found["batches"], len(found["losses"])) == (1, place, 5, place - 1)
    assert not list(tmp_path.rglob("*.ckpt"))
    # a gradient is seen by the loss of the next batch, or at the epoch's end
    assert network.seen == min(5, place + breaks)


def test_a_training_that_goes_on_forgets_it(tmp_path: Path) -> None:
    (tmp_path / "diverged.json").write_text("{}")
    run_trainer(module(Network(poison=-1)), "fp32", tmp_path, verbose=False)
    assert not (tmp_path / "diverged.json").exists()


def test_at_an_epochs_end_it_is_the_first_batch_that_was_not_finite() -> None:
    # where asking after each batch would make a GPU wait, and where devices end together
    trained = module(Network(poison=17))
    for index, batch in enumerate(batches(0)):
        trained.training_step(batch, index)
    with pytest.raises(DivergedError) as caught:
        trained.on_train_epoch_end()
    assert "17.wav" in caught.value.divergence.clips


def test_weights_alone_are_the_last_batchs() -> None:
    trained = module(Network(poison=-1))
    for index, batch in enumerate(batches(0)):
        trained.training_step(batch, index)
    with torch.no_grad():
        trained.network.get_parameter("dense.bias").fill_(math.inf)
    with pytest.raises(DivergedError) as caught:
        trained.on_train_epoch_end()
    assert caught.value.divergence.batch == 5
