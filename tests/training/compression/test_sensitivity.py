"""Losses of a network after a change of a single layer: the measurements, the table and the plot."""

import csv
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from scenelet.config.recipes import load_recipe
from scenelet.data.load import load_table
from scenelet.nn import prune
from scenelet.nn.blocks import GlobalMeanPool, conv
from scenelet.nn.norm import BatchNorm
from scenelet.nn.quantize import quantize
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.compression import sensitivity
from scenelet.training.compression.compress import compress
from scenelet.training.compression.sensitivity import LayerLoss, layer_losses, sensitivity_files
from scenelet.training.dataset import Dataset, load_dataset
from scenelet.training.measure import evaluate_network
from scenelet.training.train import train

CHANGES = ["50 % pruned", "80 % pruned", "90 % pruned", "95 % pruned", "int8", "int4"]


@pytest.fixture(scope="module")
def dataset(tone_set: Path, tiny_settings: list[str]) -> Dataset:
    config = load_recipe("paper_short", [*tiny_settings, 'split.fold="1"', "split.validation_fraction=0.3"])
    return load_dataset(load_table(tone_set), config)


@pytest.fixture
def network(dataset: Dataset) -> StandardizedNetwork:
    """Build an untrained network of two convolutions and a dense layer, with the batch statistics of the data."""
    generator = torch.Generator().manual_seed(0)
    layers = nn.Sequential(
        OrderedDict(
            stem=conv(1, 6, 3, stride=2),
            norm1=BatchNorm(6, relu=True),
            second=conv(6, 8, 3),
            norm2=BatchNorm(8, relu=True),
            pool=GlobalMeanPool(),
            dense=nn.Linear(8, 2),
        )
    )
    for layer in (layers.stem, layers.second, layers.dense):
        nn.init.normal_(layer.weight, generator=generator)
    layers.norm1.momentum = layers.norm2.momentum = 1.0
    mean, std = dataset.band_statistics()
    network = StandardizedNetwork(layers, torch.from_numpy(mean), torch.from_numpy(std))
    clips = dataset.train.features
    network.train()(torch.from_numpy(clips.load(clips.rows())).float())
    return network.eval()


def log_loss(network: StandardizedNetwork, dataset: Dataset) -> float:
    assert dataset.validation is not None
    return float(evaluate_network(network, dataset.validation, dataset.labels)["log_loss"])


def test_layer_losses_has_a_row_per_layer_and_change(network: StandardizedNetwork, dataset: Dataset) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    unchanged, *changed = layer_losses(network, dataset)
    assert unchanged == LayerLoss("none", "", 0, log_loss(network, dataset))
    layers = {
        name.removeprefix("network.").removesuffix(".weight"): weight.numel()
        for name, weight in prune.convolution_weights(network).items()
    }
    expected = [(layer, change, weights) for layer, weights in layers.items() for change in CHANGES]
    expected += [("dense", change, 8 * 2) for change in ("int8", "int4")]  # dense layers are rounded, but not pruned
    assert [(row.layer, row.change, row.weights) for row in changed] == expected
    assert list(layers.values()) == [6 * 9, 8 * 6 * 9]
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert len({row.log_loss for row in changed}) > len(changed) // 2  # every row is of another network


def test_layer_losses_row_is_the_loss_of_the_changed_network(network: StandardizedNetwork, dataset: Dataset) -> None:
    found = {(row.layer, row.change): row.log_loss for row in layer_losses(network, dataset)}
    weight = network.get_parameter("network.second.weight").detach()
    original = weight.clone()

    def loss_with(values: torch.Tensor) -> float:
        weight.copy_(values)
        loss = log_loss(network, dataset)
        weight.copy_(original)
        return loss

    largest = original.abs() > original.abs().flatten().sort().values[round(0.8 * original.numel()) - 1]
    assert int((~largest).sum()) == round(0.8 * original.numel())
    assert found["second", "80 % pruned"] == loss_with(original * largest)
    assert found["second", "int4"] == loss_with(quantize(original, 7))
    assert len({found["second", change] for change in ("80 % pruned", "int4", "int8")}) == 3


def test_layer_losses_zero_pruning_keeps_the_loss(
    network: StandardizedNetwork, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensitivity, "SPARSITIES", (0.0,))
    monkeypatch.setattr(sensitivity, "LEVELS", {})
    unchanged, *changed = layer_losses(network, dataset)
    assert {row.change for row in changed} == {"0 % pruned"}
    assert {row.log_loss for row in changed} == {unchanged.log_loss}


def test_layer_losses_max_clips_are_evenly_spread(
    network: StandardizedNetwork, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[list[int]] = []

    def record_clips(_: object, clips: object, __: object) -> dict[str, float]:
        measured.append(clips.features.first.tolist())
        return {"log_loss": 0.0}

    monkeypatch.setattr(sensitivity, "evaluate_network", record_clips)
    layer_losses(network, dataset, max_clips=3)
    layer_losses(network, replace(dataset, validation=None), max_clips=3)
    for rows, clips in ((measured[0], dataset.validation), (measured[-1], dataset.train)):
        first = clips.features.first
        assert rows == [first[0], first[round((len(first) - 1) / 2)], first[-1]]


LOSSES = [LayerLoss("none", "", 0, 0.5)] + [
    LayerLoss(layer, change, weights, loss)
    for layer, weights, losses in (("stem.0", 200, (0.5, 0.49)), ("rb1.conv1", 3_000, (0.8, 7.25)))
    for change, loss in zip(("50 % pruned", "int4"), losses, strict=True)
]


def test_sensitivity_files_lie_next_to_the_model() -> None:
    files = sensitivity_files(Path("my.model.scn"), LOSSES)
    table, plot = (files.pop(Path(f"my.model.sensitivity.{kind}")) for kind in ("csv", "png"))
    assert (files, type(table), type(plot)) == ({}, str, bytes)
    rows = list(csv.DictReader(str(table).splitlines()))
    assert [(row["layer"], row["change"], int(row["weights"]), float(row["log_loss"])) for row in rows] == [
        (loss.layer, loss.change, loss.weights, loss.log_loss) for loss in LOSSES
    ]
    assert plot[:8] == b"\x89PNG\r\n\x1a\n"


def test_sensitivity_files_of_the_same_losses_have_the_same_plot() -> None:
    def plot(name: str, losses: list[LayerLoss]) -> bytes | str:
        return sensitivity_files(Path(f"{name}.scn"), losses)[Path(f"{name}.sensitivity.png")]

    worse = [*LOSSES[:-1], LayerLoss("rb1.conv1", "int4", 3_000, 0.6)]
    assert plot("first", LOSSES) == plot("second", LOSSES) != plot("worse", worse)


def test_compress_sensitivity_is_of_the_unpruned_network(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensitivity, "SPARSITIES", (0.5,))
    monkeypatch.setattr(sensitivity, "LEVELS", {})
    changes = ["network.repeats=1", "schedule.epochs=1", 'split.fold="1"', "split.validation_fraction=0.3"]
    metrics = train(tone_set, tmp_path / "run", load_recipe("paper_short", [*tiny_settings, *changes]))
    for name, sensitivity_option in (("with", True), ("without", False)):
        compress(tmp_path / "run", tmp_path / f"{name}.scn", sparsity=0.0, sensitivity=sensitivity_option)
    assert [path.name for path in sorted(tmp_path.glob("*.sensitivity.*"))] == [
        "with.sensitivity.csv",
        "with.sensitivity.png",
    ]
    unchanged, *changed = csv.DictReader((tmp_path / "with.sensitivity.csv").read_text().splitlines())
    assert float(unchanged["log_loss"]) == pytest.approx(metrics["validation"]["log_loss"], rel=1e-6)
    assert {row["change"] for row in changed} == {"50 % pruned"}
