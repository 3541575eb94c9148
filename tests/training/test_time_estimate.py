"""The time estimate before training: its value, its message, and that it does not change the training."""

from pathlib import Path

import pytest
import torch
from torch import nn

from scenelet.config import NetworkConfig, RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.data.load import load_table
from scenelet.training.batches import epoch_batches
from scenelet.training.dataset import Dataset, load_dataset
from scenelet.training.loop import run_trainer
from scenelet.training.module import SceneModule
from scenelet.training.network import build_network
from scenelet.training.time_estimate import (
    TimeEstimate,
    estimate_time,
    format_estimate,
    print_time_estimate,
    seconds_per_step,
    validation_seconds,
)


class WorkClock:
    """Clock that advances by one second for each forward pass of the networks it watches, by 100 for the first one."""

    def __init__(self) -> None:
        self.now, self.passes = 0.0, 0

    def __call__(self) -> float:
        return self.now

    def watch(self, network: nn.Module) -> None:
        def advance(*_: object) -> None:
            self.passes += 1
            self.now += 100.0 if self.passes == 1 else 1.0

        network.register_forward_hook(advance)  # copies of the network keep the hook


@pytest.fixture
def config(tiny_settings: list[str]) -> RunConfig:
    split = ["split.fold=1", "split.validation_fraction=0.3"]
    return load_recipe(
        "paper_short", [*tiny_settings, *split, "schedule.epochs=2", "prune.self_distillation=0.5", "prune.epochs=30"]
    )


def with_prune(config: RunConfig, **changes: object) -> RunConfig:
    return config.model_copy(update={"prune": config.prune.model_copy(update=changes)})


@pytest.fixture
def dataset(config: RunConfig, tone_set: Path) -> Dataset:
    return load_dataset(load_table(tone_set), config)


def new_module(config: RunConfig, dataset: Dataset) -> SceneModule:
    network = build_network(config, 2, torch.zeros(32), torch.ones(32))
    batches = epoch_batches(dataset.train, config)
    return SceneModule(network, nn.CrossEntropyLoss(), config.schedule, batches, dataset.validation)


@pytest.fixture
def module(config: RunConfig, dataset: Dataset) -> SceneModule:
    return new_module(config, dataset)


@pytest.mark.parametrize("name", ["shared_resnet", "dcase2020_baseline"])  # the second one has dropout
def test_estimate_time_does_not_change_trained_weights(name: str, config: RunConfig, dataset: Dataset) -> None:
    if name != config.network.name:
        config = config.model_copy(update={"network": NetworkConfig(name=name)})
    plain, estimated = new_module(config, dataset), new_module(config, dataset)
    assert estimate_time(estimated, config).epoch > 0
    for module in (plain, estimated):
        run_trainer(module, "fp32")
    weights = estimated.network.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in plain.network.state_dict().items())


def test_estimate_time_leaves_module_and_generator_alone(module: SceneModule, config: RunConfig) -> None:
    before = {key: value.clone() for key, value in module.state_dict().items()}
    random = torch.random.get_rng_state()
    estimate_time(module, config)
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in before.items())
    assert torch.equal(torch.random.get_rng_state(), random)
    assert module.network.training
    assert module.history == []


def test_estimate_time_counts_steps_teacher_and_validation(module: SceneModule, config: RunConfig) -> None:
    clock = WorkClock()
    clock.watch(module.network)
    assert module.validation is not None
    assert (len(module.batches(0)), len(module.validation)) == (3, 4)
    # three steps of 1 s and 1 s of validation; in fine-tuning, the network is also its own teacher
    assert estimate_time(module, config, clock) == TimeEstimate(3 * 1 + 1, 3 * 2)
    assert estimate_time(module, with_prune(config, self_distillation=0.0), clock) == TimeEstimate(3 + 1, 3)


def test_estimate_time_without_teacher_in_finetuning(config: RunConfig, dataset: Dataset) -> None:
    clock, teacher = WorkClock(), new_module(config, dataset).network.eval()
    module = new_module(config, dataset)
    module.teacher = (teacher, 0.5)
    clock.watch(module.network)
    clock.watch(teacher)
    alike = with_prune(config, self_distillation=0.0)
    assert estimate_time(module, alike, clock) == TimeEstimate(3 * 2 + 1, 3 * 1)


def test_seconds_per_step_ignores_the_first_step(module: SceneModule) -> None:
    clock = WorkClock()
    clock.watch(module.network)
    assert seconds_per_step(module, "fp32", None, clock) == 1.0


def test_validation_seconds_extrapolates_from_its_windows(module: SceneModule) -> None:
    clock = WorkClock()
    clock.watch(module.network)
    assert module.validation is not None
    assert validation_seconds(module.network, module.validation, clock, max_windows=2) == 2.0  # 4 windows, 1 s for 2


def test_format_estimate_leaves_out_finetuning_under_a_limit(config: RunConfig) -> None:
    line = "an epoch takes about 4.1 s: 2 epochs in about 8.2 s"
    found = TimeEstimate(4.12, 3.9)
    assert format_estimate(found, config) == f"{line}, and the 30 of `scenelet compress` in about 2 min"
    assert format_estimate(found, with_prune(config, max_bytes=500_000)) == line


def test_print_time_estimate_skips_short_trainings(
    module: SceneModule, config: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for gpu in (torch.cuda, torch.backends.mps):
        monkeypatch.setattr(gpu, "is_available", lambda: False)
    clock = WorkClock()
    clock.watch(module.network)
    print_time_estimate(module, config, clock=clock)
    assert (capsys.readouterr().err, clock.passes) == ("", 0)  # the training has 6 steps
    print_time_estimate(module, config, min_steps=6, clock=clock)
    assert "an epoch takes about 4.0 s: 2 epochs in about 8.0 s" in capsys.readouterr().err
