"""The estimate before training: what it says, and that it leaves no trace in what is trained."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from scenelet.config import NetworkConfig, RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.data.load import load_table
from scenelet.training import time_estimate as estimates
from scenelet.training.batches import epoch_batches
from scenelet.training.dataset import load_dataset
from scenelet.training.module import SceneModule
from scenelet.training.network import build_network
from scenelet.training.time_estimate import Estimate, estimate, print_time_estimate
from scenelet.training.train import train


@pytest.fixture
def config(tiny_settings: list[str]) -> RunConfig:
    split = ["split.fold=1", "split.validation_fraction=0.3"]
    return load_recipe(
        "paper_short", [*tiny_settings, *split, "schedule.epochs=2", "prune.self_distillation=0.5", "prune.epochs=30"]
    )


@pytest.fixture
def module(config: RunConfig, tone_set: Path) -> SceneModule:
    dataset = load_dataset(load_table(tone_set), config, None, verbose=False)
    network = build_network(config, 2, torch.zeros(32), torch.ones(32))
    return SceneModule(
        network, torch.nn.CrossEntropyLoss(), config.schedule, epoch_batches(dataset.train, config), dataset.validation
    )


@pytest.mark.parametrize("name", ["shared_resnet", "dcase2020_baseline"])  # the second has dropout
def test_the_weights_are_the_same_bit_for_bit(
    name: str, config: RunConfig, tone_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name != config.network.name:
        config = config.model_copy(update={"network": NetworkConfig(name=name)})
    trained = {}
    for few, times in ((10**9, 0), (0, 2)):
        monkeypatch.setattr(estimates, "FEW_STEPS", few)
        asked: list[float] = []
        own = estimates.seconds_per_step
        monkeypatch.setattr(estimates, "seconds_per_step", lambda *a, own=own, asked=asked: asked.append(1) or own(*a))
        train(tone_set, tmp_path / str(few), config)
        assert len(asked) == times
        trained[few] = torch.load(tmp_path / str(few) / "model.pt", weights_only=True)
        monkeypatch.undo()
    without, with_estimate = trained.values()
    assert all(torch.equal(without[key], with_estimate[key]) for key in without)


def test_nothing_of_the_module_changes(module: SceneModule, config: RunConfig) -> None:
    before = {key: value.clone() for key, value in module.state_dict().items()}
    random = torch.random.get_rng_state()
    estimate(module, config)
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in before.items())
    assert torch.equal(torch.random.get_rng_state(), random)
    assert module.network.training
    assert module.history == []


def test_what_is_counted(module: SceneModule, config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by 1 s whenever it is asked, and by 3 s where a teacher is: so long takes a step."""
    clock, each = [0.0], [1.0]
    own = estimates.seconds_per_step

    def tick() -> float:
        clock[0] += each[0]
        return clock[0]

    def timed(module: SceneModule, precision: str, teacher: object) -> float:
        each[0] = 1.0 if teacher is None else 3.0
        return own(module, precision, teacher)

    monkeypatch.setattr(estimates, "time", SimpleNamespace(perf_counter=tick))
    monkeypatch.setattr(estimates, "seconds_per_step", timed)
    monkeypatch.setattr(estimates, "EVALUATION_BATCH", 2)  # of 4 windows: half the time of all, 3 s
    assert module.validation is not None
    assert (len(module.batches(0)), len(module.validation)) == (3, 4)
    assert estimate(module, config) == Estimate(3 * 1 + 2 * 3, 3 * 3)
    assert clock == [4 * 1 + 4 * 3 + 2 * 3]  # a start, a warm-up and two steps, twice; then the windows
    each[0] = 1.0
    alike = config.model_copy(update={"prune": config.prune.model_copy(update={"distil": 0.0})})
    assert estimate(module, alike) == Estimate(3 + 2, 3)


def test_what_is_said(
    module: SceneModule, config: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(estimates, "estimate", lambda *_: Estimate(4.12, 3.9))
    print_time_estimate(module, config)
    assert capsys.readouterr().err == ""  # of 6 steps
    monkeypatch.setattr(estimates, "FEW_STEPS", 6)
    print_time_estimate(module, config)
    line = "an epoch takes about 4.1 s: 2 epochs in about 8.2 s"
    assert capsys.readouterr().err == f"{line}, and the 30 of `scenelet compress` in about 2 min\n"
    print_time_estimate(
        module, config.model_copy(update={"prune": config.prune.model_copy(update={"budget": 500_000})})
    )
    assert capsys.readouterr().err == line + "\n"
