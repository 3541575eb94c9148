"""A limit on bytes: the file respects it, and the format of lowest log loss is chosen among those that fit."""

import copy
import itertools
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
from scenelet.nn.convert import to_scene_model
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.compression import search
from scenelet.training.compression.compress import compress
from scenelet.training.compression.search import FORMATS, Size, compress_network, prune_and_round, search_format
from scenelet.training.dataset import Dataset, hold_out_validation, load_dataset, load_recorded_table
from scenelet.training.measure import file_probabilities
from scenelet.training.module import Masks
from scenelet.training.network import load_network
from scenelet.training.probabilities import clip_probabilities
from scenelet.training.train import train

SETTINGS = ["schedule.epochs=2", "prune.epochs=2", 'split.fold="1"', "network.width=16"]
Trained = tuple[Path, RunConfig, StandardizedNetwork, Dataset, Size]


@pytest.fixture(scope="module")
def trained(tone_set: Path, tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run folder, its settings, network and data, and the size of its file."""
    folder = tmp_path_factory.mktemp("compress")
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS])
    train(tone_set, folder / "run", config, cache_dir=folder / "cache")
    record = runs.read_record(folder / "run")
    dataset = load_dataset(load_recorded_table(record.data), config, folder / "cache", verbose=False)

    def size(network: StandardizedNetwork, masks: Masks, settings: PruneConfig) -> int:
        assert settings.dtype != "auto"
        model = to_scene_model(network, dataset.labels, config.features, config.window, masks, settings.dtype)
        return len(modelfile.encode_model(model))

    return folder, config, load_network(folder / "run", record), dataset, size


def with_prune(config: RunConfig, **changes: Any) -> RunConfig:
    return config.model_copy(update={"prune": config.prune.model_copy(update=changes)})


@pytest.mark.parametrize("max_bytes", [14_000, 20_000, 40_000])
def test_compress_network_nearly_fills_max_bytes(trained: Trained, max_bytes: int) -> None:
    _, config, network, dataset, size = trained
    for dtype in FORMATS:
        small = copy.deepcopy(network)
        compressed = compress_network(
            small, dataset, with_prune(config, max_bytes=max_bytes, dtype=dtype), size, verbose=False
        )
        assert compressed.settings.dtype == dtype
        taken = size(small, compressed.masks, compressed.settings)
        assert taken <= max_bytes
        assert compressed.settings.sparsity == 0 or taken > 0.95 * max_bytes
        zeros = sum(int((small.get_parameter(name) == 0).sum()) for name in compressed.masks)
        total = sum(mask.numel() for mask in compressed.masks.values())
        assert zeros / total >= compressed.settings.sparsity - 1e-3


def test_search_format_takes_the_lowest_validation_log_loss(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    _, config, network, dataset, size = trained
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses = {"fp16": 0.9, "int8": 0.2, "int4": 0.5}
    measured = []

    def invented_loss(trial: Any, clips: Any, labels: Any) -> dict[str, float]:
        measured.append(clips)
        dtype = list(losses)[len(measured) - 1]
        return {"log_loss": losses[dtype]}

    monkeypatch.setattr(search, "evaluate_network", invented_loss)
    settings, trials = search_format(
        network, dataset, with_prune(config, max_bytes=14_000, dtype="auto"), size, verbose=False
    )
    assert [trial.dtype for trial in trials] == ["fp16", "int8", "int4"]
    assert trials[0].sparsity > trials[1].sparsity > trials[2].sparsity > 0
    assert (settings.dtype, settings.sparsity) == ("int8", trials[1].sparsity)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert {id(clips) for clips in measured} == {id(measured[0])}
    assert len(measured[0]) < len(dataset.train)


def test_search_format_stops_at_a_format_that_fits_unpruned(trained: Trained) -> None:
    _, config, network, dataset, size = trained
    settings, trials = search_format(
        network, dataset, with_prune(config, max_bytes=10**6, dtype="auto"), size, verbose=False
    )
    assert (settings.dtype, settings.sparsity) == ("fp16", 0)
    assert [(trial.dtype, trial.log_loss) for trial in trials] == [("fp16", None)]


def test_search_format_max_bytes_out_of_reach_is_an_error(trained: Trained, tmp_path: Path) -> None:
    folder, config, network, dataset, size = trained
    with pytest.raises(UsageError, match="900 bytes are out of reach"):
        search_format(network, dataset, with_prune(config, max_bytes=900, dtype="auto"), size, verbose=False)
    with pytest.raises(UsageError, match="out of reach"):
        compress(folder / "run", tmp_path / "m.scn", max_bytes=900, cache_dir=folder / "cache")
    assert list(tmp_path.iterdir()) == []


def grown(size: Size, by: int, after: int) -> Size:
    """Add `by` bytes to `size` from call number `after` on, as if fine-tuned weights took more bytes."""
    calls = itertools.count(1)
    return lambda *what: size(*what) + (by if next(calls) >= after else 0)


@pytest.mark.parametrize("dtype", FORMATS)
def test_compress_network_prunes_again_if_the_file_grew(trained: Trained, dtype: str) -> None:
    _, config, network, dataset, size = trained
    asked = with_prune(config, max_bytes=14_000, dtype=dtype)
    before, _ = search_format(network, dataset, asked, size, verbose=False)
    calls = itertools.count(1)

    def size_that_grows(*what: Any) -> int:
        next(calls)
        return size(*what)

    search_format(network, dataset, asked, size_that_grows, verbose=False)
    small = copy.deepcopy(network)
    compressed = compress_network(small, dataset, asked, grown(size, 1_000, next(calls)), verbose=False)
    assert compressed.settings.sparsity > before.sparsity
    assert 12_000 < size(small, compressed.masks, compressed.settings) <= 13_000
    smallest = copy.deepcopy(small)
    assert (
        compressed.masks.keys() == prune_and_round(smallest, compressed.settings).keys()
    )  # every weight is on its grid already
    density = sum(float(mask.sum()) for mask in compressed.masks.values()) / sum(
        m.numel() for m in compressed.masks.values()
    )
    assert density == pytest.approx(1 - compressed.settings.sparsity, abs=1e-3)
    for name, mask in compressed.masks.items():
        assert torch.equal(small.get_parameter(name), small.get_parameter(name) * mask)


def test_compress_network_resumed_does_not_search_again(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, config, network, dataset, size = trained
    asked = with_prune(config, max_bytes=14_000, dtype="auto")
    folder = tmp_path / "tuning"
    undisturbed = compress_network(copy.deepcopy(network), dataset, asked, size, folder, verbose=False)
    monkeypatch.setattr(search, "search_format", lambda *_: pytest.fail("chosen again"))
    resumed = compress_network(copy.deepcopy(network), dataset, asked, size, folder, verbose=False)
    assert resumed.settings == undisturbed.settings
    assert resumed.trials == undisturbed.trials
    assert all(torch.equal(mask, undisturbed.masks[name]) for name, mask in resumed.masks.items())


def test_search_format_skips_a_format_that_diverges(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    _, config, network, dataset, size = trained
    asked = with_prune(config, max_bytes=14_000, dtype="auto")
    tune = search.prune_and_finetune

    def diverges(network: Any, dataset: Any, config: RunConfig, **options: Any) -> Any:
        if config.prune.dtype in failing:
            raise RunError("epoch 1: training diverged")
        return tune(network, dataset, config, **options)

    monkeypatch.setattr(search, "prune_and_finetune", diverges)
    failing = {"fp16", "int4"}
    settings, trials = search_format(network, dataset, asked, size, verbose=False)
    assert settings.dtype == "int8"
    assert [trial.log_loss == math.inf for trial in trials] == [True, False, True]
    failing = {*FORMATS}
    with pytest.raises(RunError, match=r"diverged in every number format; lower prune\.learning_rate"):
        search_format(network, dataset, asked, size, verbose=False)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"sparsity": 1.5}, r"^--sparsity 1\.5: give a fraction, 0\.6 for 60 %$"),
        ({"ramp": 2.0}, r"^--ramp 2\.0: give a fraction"),
        ({"dtype": "auto"}, "dtype 'auto' needs max_bytes"),
    ],
)
def test_compress_wrong_option_is_named(trained: Trained, wrong: dict[str, Any], match: str, tmp_path: Path) -> None:
    folder, *_ = trained
    with pytest.raises(UsageError, match=match):
        compress(folder / "run", tmp_path / "m.scn", cache_dir=folder / "cache", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_compress_respects_max_bytes_of_the_recipe(tone_set: Path, tiny_settings: list[str], tmp_path: Path) -> None:
    max_bytes = ["prune.max_bytes=14000", "prune.dtype=fp16", "prune.sparsity=0"]
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS, *max_bytes])
    train(tone_set, tmp_path / "run", config, cache_dir=tmp_path / "cache")
    result = compress(tmp_path / "run", tmp_path / "m.scn", cache_dir=tmp_path / "cache")
    assert result["bytes"] == (tmp_path / "m.scn").stat().st_size <= 14_000
    provenance = modelfile.read_model(tmp_path / "m.scn").provenance
    assert provenance["fine_tuning_epochs"] == 2
    assert provenance["prune"]["sparsity"] == result["sparsity"] > 0
    assert provenance["prune"]["max_bytes"] == 14_000


def test_hold_out_validation_keeps_groups_together(trained: Trained) -> None:
    *_, dataset, _ = trained
    cut = hold_out_validation(dataset, 0.3, seed=0)
    assert cut.validation is not None
    names = [{clip.name for clip in side} for side in (cut.split.train, cut.split.validation)]
    assert names[0] | names[1] == {clip.name for clip in dataset.split.train}
    groups = [{clip.group for clip in side} for side in (cut.split.train, cut.split.validation)]
    assert not groups[0] & groups[1]
    assert len(cut.train) + len(cut.validation) == len(dataset.train)
    assert cut.split.test == dataset.split.test
    order = [clip.name for clip in dataset.split.train]
    for clips, side in ((cut.split.train, cut.train), (cut.split.validation, cut.validation)):
        rows = [order.index(clip.name) for clip in clips]
        assert side.features.first.tolist() == dataset.train.features.first[rows].tolist()
        assert side.targets.tolist() == dataset.train.targets[rows].tolist()


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_compress_file_agrees_with_the_network(trained: Trained, dtype: str, tmp_path: Path) -> None:
    folder, config, network, dataset, _ = trained
    result = compress(folder / "run", tmp_path / "m.scn", sparsity=0.3, dtype=dtype, cache_dir=folder / "cache")
    assert (result["dtype"], result["sparsity"]) == (dtype, 0.3)
    model = modelfile.read_model(tmp_path / "m.scn")
    assert model.provenance["dtype"] == dtype
    assert set(model.encodings.values()) == {"masked_int8", "fp16", "fp32"}
    compressed = copy.deepcopy(network)
    compress_network(compressed, dataset, with_prune(config, sparsity=0.3, dtype=dtype), lambda *_: 0, verbose=False)
    assert dataset.test is not None
    from_file = file_probabilities(Classifier(model), dataset.test.features)
    in_torch = clip_probabilities(compressed, dataset.test.features)
    assert np.abs(from_file - in_torch).max() < 1e-5
    assert (from_file.argmax(1) == in_torch.argmax(1)).all()
    assert (
        result["compressed"]["test"]["log_loss"]
        == classification_report(dataset.test.targets, from_file, dataset.labels)["log_loss"]
    )


def test_compress_int8_without_pruning_is_fine_tuned(tone_set: Path, tiny_settings: list[str], tmp_path: Path) -> None:
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS, "prune.sparsity=0", "prune.dtype=int8"])
    train(tone_set, tmp_path / "run", config, cache_dir=tmp_path / "cache")
    result = compress(tmp_path / "run", tmp_path / "m.scn", cache_dir=tmp_path / "cache")
    assert (result["dtype"], result["sparsity"]) == ("int8", 0)
    assert modelfile.read_model(tmp_path / "m.scn").provenance["fine_tuning_epochs"] == 2
