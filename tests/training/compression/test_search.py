"""Compression to a maximum file size: the file fits, and `search_format` takes the format of lowest log loss."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scenelet.config import PruneConfig, RunConfig
from scenelet.config import run_folder as runs
from scenelet.config.recipes import load_recipe
from scenelet.errors import RunError, UsageError
from scenelet.evaluation.metrics import classification_report
from scenelet.inference.classifier import Classifier
from scenelet.model import file as modelfile
from scenelet.nn import prune
from scenelet.nn.convert import to_scene_model
from scenelet.nn.prune import Masks
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.compression import search as search_module
from scenelet.training.compression.compress import compress
from scenelet.training.compression.finetune import prune_and_finetune
from scenelet.training.compression.search import (
    FORMATS,
    Size,
    choose_format,
    prune_until_fits,
    rounded,
    search_format,
)
from scenelet.training.dataset import Dataset, hold_out_validation, load_dataset
from scenelet.training.measure import file_probabilities
from scenelet.training.network import load_network
from scenelet.training.preflight import load_recorded_table
from scenelet.training.probabilities import clip_probabilities
from scenelet.training.train import train

SETTINGS = ["schedule.epochs=2", "prune.epochs=2", 'split.fold="1"', "network.width=16"]
Trained = tuple[Path, RunConfig, StandardizedNetwork, Dataset, Size]


@pytest.fixture(scope="module")
def trained(tone_set: Path, tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train a network; return its folder, settings, network and data, and a function for the size of its file."""
    folder = tmp_path_factory.mktemp("search")
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS])
    train(tone_set, folder / "run", config)
    record = runs.read_record(folder / "run")
    dataset = load_dataset(load_recorded_table(record.data), config)

    def size(network: StandardizedNetwork, masks: Masks, settings: PruneConfig) -> int:
        assert settings.dtype != "auto"
        model = to_scene_model(network, dataset.labels, config.features, config.window, masks, settings.dtype)
        return len(modelfile.encode_model(model))

    return folder, config, load_network(folder / "run", record), dataset, size


def with_prune(config: RunConfig, **changes: Any) -> RunConfig:
    return config.model_copy(update={"prune": config.prune.model_copy(update=changes)})


def compressed(
    network: StandardizedNetwork, dataset: Dataset, config: RunConfig, size: Size
) -> tuple[StandardizedNetwork, Masks, PruneConfig]:
    """Fine-tune a copy of the network within `prune.max_bytes`. Return it rounded, with its masks and settings."""
    small = copy.deepcopy(network)
    settings, _ = choose_format(network, dataset, config, size)
    masks, _ = prune_and_finetune(small, dataset, config.model_copy(update={"prune": settings}))
    masks, settings = prune_until_fits(small, masks, settings, size)
    return rounded(small, settings), masks, settings


@pytest.mark.parametrize("max_bytes", [14_000, 20_000, 40_000])
@pytest.mark.slow
def test_prune_until_fits_max_bytes_is_nearly_used_up(trained: Trained, max_bytes: int) -> None:
    _, config, network, dataset, size = trained
    for dtype in FORMATS:
        asked = with_prune(config, max_bytes=max_bytes, dtype=dtype)
        small, masks, settings = compressed(network, dataset, asked, size)
        assert settings.dtype == dtype
        file_bytes = size(small, masks, settings)
        assert file_bytes <= max_bytes
        assert settings.sparsity == 0 or file_bytes > 0.95 * max_bytes
        zeros = sum(int((small.get_parameter(name) == 0).sum()) for name in masks)
        total = sum(mask.numel() for mask in masks.values())
        assert zeros / total >= settings.sparsity - 1e-3


def test_search_format_takes_the_lowest_validation_log_loss(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    _, config, network, dataset, size = trained
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses = {"fp16": 0.9, "int8": 0.2, "int4": 0.5}
    measured_clips = []

    def fake_evaluation(trial: Any, clips: Any, labels: Any) -> dict[str, float]:
        measured_clips.append(clips)
        dtype = list(losses)[len(measured_clips) - 1]
        return {"log_loss": losses[dtype]}

    monkeypatch.setattr(search_module, "evaluate_network", fake_evaluation)
    settings, trials = search_format(network, dataset, with_prune(config, max_bytes=14_000, dtype="auto"), size)
    assert [trial.dtype for trial in trials] == ["fp16", "int8", "int4"]
    assert trials[0].sparsity > trials[1].sparsity > trials[2].sparsity > 0
    assert (settings.dtype, settings.sparsity) == ("int8", trials[1].sparsity)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert {id(clips) for clips in measured_clips} == {id(measured_clips[0])}
    assert len(measured_clips[0]) < len(dataset.train)


def test_search_format_unpruned_fp16_that_fits_is_taken(trained: Trained) -> None:
    _, config, network, dataset, size = trained
    settings, trials = search_format(network, dataset, with_prune(config, max_bytes=10**6, dtype="auto"), size)
    assert (settings.dtype, settings.sparsity) == ("fp16", 0)
    assert [(trial.dtype, trial.log_loss) for trial in trials] == [("fp16", None)]


def test_search_format_and_compress_too_few_bytes_is_an_error(trained: Trained, tmp_path: Path) -> None:
    folder, config, network, dataset, size = trained
    with pytest.raises(UsageError, match="900 bytes are out of reach"):
        search_format(network, dataset, with_prune(config, max_bytes=900, dtype="auto"), size)
    with pytest.raises(UsageError, match="out of reach"):
        compress(folder / "run", tmp_path / "m.scn", max_bytes=900)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", FORMATS)
def test_prune_until_fits_prunes_more_of_a_file_that_is_too_large(trained: Trained, dtype: str) -> None:
    _, config, network, _, size = trained
    settings = config.prune.model_copy(update={"dtype": dtype, "sparsity": 0.1, "max_bytes": 13_000})
    masks, small = prune.global_l1_masks(network, 0.1), copy.deepcopy(network)
    prune.apply_masks(small, masks)
    for enough in (None, 10**6):
        unchanged = settings.model_copy(update={"max_bytes": enough})
        assert prune_until_fits(small, masks, unchanged, size) == (masks, unchanged)
    masks, found = prune_until_fits(small, masks, settings, size)
    assert found.sparsity > 0.1
    assert 12_000 < size(rounded(small, found), masks, found) <= 13_000
    density = sum(int(mask.sum()) for mask in masks.values()) / sum(m.numel() for m in masks.values())
    assert density == pytest.approx(1 - found.sparsity, abs=1e-3)
    for name, mask in masks.items():
        assert torch.equal(small.get_parameter(name), network.get_parameter(name) * mask)


def test_choose_format_resumed_keeps_the_choice(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, config, network, dataset, size = trained
    asked = with_prune(config, max_bytes=14_000, dtype="auto")
    first = choose_format(network, dataset, asked, size, tmp_path / "tuning")
    monkeypatch.setattr(search_module, "search_format", lambda *_: pytest.fail("the search ran again"))
    assert choose_format(network, dataset, asked, size, tmp_path / "tuning") == first
    unlimited = with_prune(config, dtype="int8")
    assert choose_format(network, dataset, unlimited, size, None) == (unlimited.prune, ())


@pytest.mark.slow
def test_search_format_diverged_format_is_not_taken(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    _, config, network, dataset, size = trained
    asked = with_prune(config, max_bytes=14_000, dtype="auto")
    finetune = search_module.prune_and_finetune

    def diverge_in_some_formats(network: Any, dataset: Any, config: RunConfig, **options: Any) -> Any:
        if config.prune.dtype in failing:
            raise RunError("epoch 1: training diverged")
        return finetune(network, dataset, config, **options)

    monkeypatch.setattr(search_module, "prune_and_finetune", diverge_in_some_formats)
    failing = {"fp16", "int4"}
    settings, trials = search_format(network, dataset, asked, size)
    assert settings.dtype == "int8"
    assert [trial.log_loss == math.inf for trial in trials] == [True, False, True]
    failing = {*FORMATS}
    with pytest.raises(RunError, match=r"diverged in every number format; lower prune\.learning_rate"):
        search_format(network, dataset, asked, size)


def test_hold_out_validation_splits_between_groups(trained: Trained) -> None:
    *_, dataset, _ = trained
    held_out = hold_out_validation(dataset, 0.3, seed=0)
    assert held_out.validation is not None
    subsets = (held_out.split.train, held_out.split.validation)
    names = [{clip.name for clip in clips} for clips in subsets]
    assert names[0] | names[1] == {clip.name for clip in dataset.split.train}
    groups = [{clip.group for clip in clips} for clips in subsets]
    assert not groups[0] & groups[1]
    assert len(held_out.train) + len(held_out.validation) == len(dataset.train)
    assert held_out.split.test == dataset.split.test
    order = [clip.name for clip in dataset.split.train]
    for clips, subset in zip(subsets, (held_out.train, held_out.validation), strict=True):
        rows = [order.index(clip.name) for clip in clips]
        assert subset.features.first.tolist() == dataset.train.features.first[rows].tolist()
        assert subset.targets.tolist() == dataset.train.targets[rows].tolist()


class ScaledLogits(torch.nn.Module):
    """A network whose logits are scaled."""

    def __init__(self, network: torch.nn.Module, scale: float) -> None:
        super().__init__()
        self.network, self.scale = network, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.scale * self.network(x)
        return logits


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_compress_file_gives_the_probabilities_of_the_network(trained: Trained, dtype: str, tmp_path: Path) -> None:
    folder, config, network, dataset, _ = trained
    result = compress(folder / "run", tmp_path / "m.scn", sparsity=0.3, dtype=dtype)
    assert (result["dtype"], result["sparsity"]) == (dtype, 0.3)
    model = modelfile.read_model(tmp_path / "m.scn")
    assert model.provenance["dtype"] == dtype
    assert set(model.encodings.values()) == {"masked_int8", "fp16", "fp32"}
    asked = with_prune(config, sparsity=0.3, dtype=dtype)
    small = copy.deepcopy(network)
    prune_and_finetune(small, dataset, asked)
    small = rounded(small, asked.prune)
    assert dataset.test is not None
    from_file = file_probabilities(Classifier(model), dataset.test.features)
    scale = model.arrays["calibrated.scale"].item()
    in_torch = clip_probabilities(ScaledLogits(small, scale), dataset.test.features)
    assert np.abs(from_file - in_torch).max() < 1e-5
    assert (from_file.argmax(1) == in_torch.argmax(1)).all()
    assert result["compressed"]["test"]["log_loss"] == pytest.approx(
        classification_report(dataset.test.targets, from_file, dataset.labels)["log_loss"], abs=1e-6
    )
    assert result["calibration"]["temperature"] == pytest.approx(1 / scale)
    assert result["calibration"]["after"]["log_loss"] == result["compressed"]["test"]["log_loss"]
