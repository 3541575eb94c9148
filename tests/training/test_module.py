"""The training step: labels from a teacher, masks, rounded weights, and the average of the weights."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scenelet.config import ScheduleConfig
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.batches import EpochBatches, LabelledFeatures
from scenelet.training.mixing import NO_MIXING
from scenelet.training.module import SceneModule


class Flat(nn.Module):
    """Log-mel (batch, 1, 2, 3) -> three logits, with a batch norm whose statistics are buffers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.norm, self.dense = nn.BatchNorm2d(1), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.dense(self.norm(x).flatten(1))
        return logits


def batches(epoch: int) -> EpochBatches:
    values = np.random.default_rng(0).standard_normal((8, 1, 2, 3)).astype(np.float16)
    clips = LabelledFeatures(ClipFeatures(values, np.arange(8), np.ones(8, np.int64)), np.arange(8) % 3, 3)
    return EpochBatches(clips, 4, [], NO_MIXING, 0, epoch)


def module(network: nn.Module, **settings: object) -> SceneModule:
    names = [name for name in settings if name in ScheduleConfig.model_fields]
    schedule = ScheduleConfig.model_validate({name: settings.pop(name) for name in names})
    return SceneModule(network, nn.CrossEntropyLoss(), schedule, batches, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_teachers_answer_is_a_share_of_the_label(share: float) -> None:
    network, teacher = Flat(1), Flat(2).eval()
    x, y = next(iter(batches(0)))
    loss = module(network, teacher=(teacher, share)).training_step((x, y), 0)
    labels = (1 - share) * y + share * teacher(x).softmax(1)
    expected = -(labels * network(x).log_softmax(1)).sum(1).mean()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    assert not teacher.training
    loss.backward()
    assert all(p.grad is None for p in teacher.parameters())


def test_a_teacher_is_no_part_of_the_checkpoint() -> None:
    assert module(Flat(1), teacher=(Flat(2), 0.5)).state_dict().keys() == module(Flat(1)).state_dict().keys()


def test_weights_and_norm_statistics_are_averaged() -> None:
    network = Flat(1)
    trained = module(network, ema_epochs=1.5)
    decay = math.exp(-1 / (1.5 * 2))  # two steps an epoch
    expected: dict[str, Tensor] = {}
    for step in range(5):
        with torch.no_grad():
            for p in network.parameters():
                p.add_(0.1 * step)
            network.norm.running_mean.add_(1.0)
        trained.on_train_batch_end()
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                own = value.clone()
                expected[name] = own if name not in expected else decay * expected[name] + (1 - decay) * own
    averaged = trained.averaged_network().state_dict()
    assert averaged["norm.running_mean"] < network.norm.running_mean
    assert all(torch.allclose(averaged[name], value, atol=1e-6) for name, value in expected.items())
    trained.use_averaged_weights()
    assert all(torch.allclose(network.state_dict()[name], value, atol=1e-6) for name, value in expected.items())


def test_a_short_training_is_averaged_over_a_quarter_of_it() -> None:
    """An average over more epochs than there are would be mostly the weights that training began from."""

    def averaged(epochs: float) -> Tensor:
        network = Flat(1)
        trained = module(network, epochs=8, ema_epochs=epochs)
        trained.on_train_batch_end()
        with torch.no_grad():
            network.dense.weight.add_(1.0)
        trained.on_train_batch_end()
        return trained.averaged_network().state_dict()["dense.weight"]

    assert torch.equal(averaged(40.0), averaged(2.0))
    assert not torch.equal(averaged(2.0), averaged(1.0))


def test_without_an_average_the_last_weights_are_the_result() -> None:
    network = Flat(1)
    assert module(network).averaged_network() is network


def test_a_step_computes_with_rounded_weights_and_moves_the_others() -> None:
    """Straight-through: the gradient at the rounded weights, applied to those that they were made of."""
    network, reference = Flat(1), Flat(1)

    def halves(weight: Tensor) -> Tensor:
        return (2 * weight).round() / 2

    trained = module(network, quantize=halves)
    before = network.dense.weight.detach().clone()
    with torch.no_grad():
        reference.dense.weight.copy_(halves(before))
    x, y = next(iter(batches(0)))
    loss = trained.training_step((x, y), 0)
    assert torch.equal(network.dense.weight, halves(before))
    loss.backward()
    trained.on_after_backward()
    assert torch.equal(network.dense.weight, before)
    nn.functional.cross_entropy(reference(x), y).backward()
    assert torch.equal(network.dense.weight.grad, reference.dense.weight.grad)
    assert not torch.equal(before, halves(before))
    trained.use_averaged_weights()
    assert torch.equal(network.dense.weight, before)


def test_masks_are_asked_for_each_epoch_and_held() -> None:
    network = Flat(1)
    asked: list[int] = []

    def masks(current: nn.Module, epoch: int) -> dict[str, Tensor]:
        asked.append(epoch)
        assert current is network
        return {"dense.weight": (torch.arange(18).view(3, 6) > 5).float()}

    trained = module(network, masks=masks, ema_epochs=2.0)
    trained.averaged.update_parameters(network)  # an average of weights that were not pruned yet
    trained.on_train_epoch_start()
    assert (network.dense.weight[0] == 0).all()
    with torch.no_grad():
        network.dense.weight.add_(1.0)
    trained.on_train_batch_end()
    assert asked == [0]
    assert (network.dense.weight[0] == 0).all()
    assert (trained.averaged_network().dense.weight[0] != 0).all()
    trained.use_averaged_weights()
    assert (network.dense.weight[0] == 0).all()
    assert (network.dense.weight[1:] != 0).all()
