"""The training step: teacher, pruning masks, rounded weights, and the average of the weights."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.one_device import OneDevice
from scenelet.config import ScheduleConfig
from scenelet.data.feature_cache import ClipFeatures
from scenelet.nn import create_model
from scenelet.nn.quantize import quantize
from scenelet.nn.stored_weights import add_stored_weights, remove_stored_weights
from scenelet.training import window_loader
from scenelet.training.batches import EpochBatches, LabelledFeatures
from scenelet.training.distillation import Distillation
from scenelet.training.losses import ClassBalancedFocalLoss
from scenelet.training.mixing import NO_MIXING
from scenelet.training.module import SceneModule


class SmallNetwork(nn.Module):
    """Network from log-mel (batch, 1, 2, 3) to three logits, with a batch norm whose statistics are buffers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.norm, self.dense = nn.BatchNorm2d(1), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.dense(self.norm(x).flatten(1))
        return logits


def batches(epoch: int, shape: tuple[int, int, int] = (1, 2, 3)) -> EpochBatches:
    values = np.random.default_rng(0).standard_normal((8, *shape)).astype(np.float16)
    clips = LabelledFeatures(ClipFeatures(values, np.arange(8), np.ones(8, np.int64)), np.arange(8) % 3, 3)
    return EpochBatches(clips, 4, [], NO_MIXING, 0, epoch)


def module(network: nn.Module, **settings: object) -> SceneModule:
    names = [name for name in settings if name in ScheduleConfig.model_fields]
    schedule = ScheduleConfig.model_validate({name: settings.pop(name) for name in names})
    return SceneModule(network, nn.CrossEntropyLoss(), schedule, batches, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_training_step_mixes_the_teacher_into_labels(fraction: float) -> None:
    network, teacher = SmallNetwork(1), SmallNetwork(2).eval()
    x, y = next(iter(batches(0)))
    loss = module(network, distillation=Distillation([teacher], fraction)).training_step((x, y), 0)
    labels = fraction * y + (1 - fraction) * teacher(x).softmax(1)
    expected = -(labels * network(x).log_softmax(1)).sum(1).mean()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    assert not teacher.training
    loss.backward()
    assert all(p.grad is None for p in teacher.parameters())


@pytest.mark.parametrize("free", [0, 1 << 20])
@pytest.mark.parametrize("name", ["shared_resnet", "cp_resnet"])
def test_epoch_runs_on_the_device_of_the_network(name: str, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The "meta" device stands in for a GPU: it fails with tensors of the CPU, and if the host waits for a value."""
    monkeypatch.setattr(window_loader, "free_memory", lambda _: free)
    network, teacher = (create_model(name, num_classes=3, in_channels=1, width=4) for _ in range(2))
    add_stored_weights(network, "int8")
    trained = SceneModule(
        network,
        ClassBalancedFocalLoss([3, 3, 2], beta=0.9, gamma=1.0),
        ScheduleConfig(ema_epochs=2.0),
        lambda epoch: batches(epoch, shape=(1, 32, 48)),
        distillation=Distillation([teacher.eval()], temperature=2.0),
    )
    trained.to("meta")
    trained.on_train_epoch_start()
    with OneDevice():
        for index, (x, y) in enumerate(trained.train_dataloader()):
            loss = trained.training_step((x, y), index)
            trained.on_before_backward(loss)
            loss.backward()
            trained.on_train_batch_end()
            assert {x.device.type, y.device.type, loss.device.type} == {"meta"}
    loader = trained.windows
    assert trained.train_dataloader().windows is loader  # its memory is filled once
    trained.on_fit_end()
    assert trained.windows is None


def test_lightning_does_not_copy_batches() -> None:
    trained = module(SmallNetwork(1)).to("meta")
    x, y = next(iter(trained.train_dataloader()))
    moved = trained._apply_batch_transfer_handler((x, y), trained.device)
    assert (moved[0] is x, moved[1] is y) == (True, True)


def test_state_dict_does_not_hold_the_teacher() -> None:
    assert (
        module(SmallNetwork(1), distillation=Distillation([SmallNetwork(2)])).state_dict().keys()
        == module(SmallNetwork(1)).state_dict().keys()
    )


def test_moving_average_covers_weights_and_statistics() -> None:
    network = SmallNetwork(1)
    trained = module(network, ema_epochs=1.5)
    decay = math.exp(-1 / (1.5 * 2))  # two steps per epoch
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


def test_moving_average_covers_a_quarter_of_training_at_most() -> None:
    """An average over more epochs than the training has would mostly be the initial weights."""

    def averaged(epochs: float) -> Tensor:
        network = SmallNetwork(1)
        trained = module(network, epochs=8, ema_epochs=epochs)
        trained.on_train_batch_end()
        with torch.no_grad():
            network.dense.weight.add_(1.0)
        trained.on_train_batch_end()
        return trained.averaged_network().state_dict()["dense.weight"]

    assert torch.equal(averaged(40.0), averaged(2.0))
    assert not torch.equal(averaged(2.0), averaged(1.0))


def test_averaged_network_without_average_is_the_network() -> None:
    network = SmallNetwork(1)
    assert module(network).averaged_network() is network


def test_averaged_network_first_update_copies_and_resumed_does_not() -> None:
    trained, resumed = (module(SmallNetwork(1), ema_epochs=2.0) for _ in range(2))
    resumed.on_load_checkpoint({"history": []})
    for part in (trained, resumed):
        with torch.no_grad():
            part.network.dense.weight.add_(1.0)
        part.on_train_batch_end()
    weights = [part.averaged_network().dense.weight for part in (trained, resumed)]
    assert torch.equal(weights[0], trained.network.dense.weight)
    assert float((resumed.network.dense.weight - weights[1]).detach().min()) > 0.5


def test_step_with_rounded_weights_applies_straight_through_gradients() -> None:
    """The gradient is taken at the rounded weights and applied to the unrounded ones."""
    network, reference = SmallNetwork(1), SmallNetwork(1)
    before = network.dense.weight.detach().clone()
    rounded = quantize(before, 7)
    with torch.no_grad():
        reference.dense.weight.copy_(rounded)
    add_stored_weights(network, "int4")
    trained = module(network)
    assert torch.equal(network.dense.weight, rounded)
    x, y = next(iter(batches(0)))
    trained.training_step((x, y), 0).backward()
    nn.functional.cross_entropy(reference(x), y).backward()
    assert torch.equal(network.dense.parametrizations.weight.original.grad, reference.dense.weight.grad)
    trained.use_averaged_weights()
    remove_stored_weights(network)
    assert torch.equal(network.dense.weight, before)
    assert not torch.equal(before, rounded)


def test_training_prunes_each_epoch_to_its_sparsity() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, (2, 3)), nn.Flatten(), nn.Linear(4, 3))
    add_stored_weights(network, "fp16")
    epochs: list[int] = []

    def sparsity(epoch: int) -> float:
        epochs.append(epoch)
        return 0.5

    trained = module(network, sparsity=sparsity, ema_epochs=2.0)
    trained.averaged.update(network)  # an average of weights that are not pruned yet
    trained.on_train_epoch_start()
    assert epochs == [0]
    with torch.no_grad():
        network[0].parametrizations.weight.original.add_(1.0)
    trained.on_train_batch_end()
    for part in (network, trained.averaged_network()):
        assert int((part[0].weight == 0).sum()) == 12
    trained.use_averaged_weights()
    masks = remove_stored_weights(network)
    assert torch.equal(network[0].weight == 0, ~masks["0.weight"])
