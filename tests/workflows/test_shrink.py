"""A budget of bytes: the file fits it, and of the formats that fit the one that loses least is taken."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from scenelet import modelfile
from scenelet.classifier import Classifier
from scenelet.compression.pack import pack
from scenelet.compression.quantize import WeightFormat
from scenelet.config import RunConfig
from scenelet.errors import UsageError
from scenelet.nn.standardise import Standardised
from scenelet.recipes import load_recipe
from scenelet.training import run as runs
from scenelet.training.module import Masks
from scenelet.workflows import shrink as shrinking
from scenelet.workflows.compress import compress
from scenelet.workflows.fit import fit
from scenelet.workflows.shrink import FORMATS, Size, choose, shrink
from scenelet.workflows.sides import Sides, cut_validation, file_probabilities, load_sides, measure

SETTINGS = ["schedule.epochs=2", "prune.epochs=2", 'split.fold="1"', "network.width=16"]
Trained = tuple[Path, RunConfig, Standardised, Sides, Size]


@pytest.fixture(scope="module")
def trained(tone_set: Path, tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run folder, its settings, network and data, and the size of its file."""
    folder = tmp_path_factory.mktemp("shrink")
    config = load_recipe("fast", [*tiny_settings, *SETTINGS])
    fit(tone_set, folder / "run", config, cache_dir=folder / "cache")
    record = runs.read_record(folder / "run")
    sides = load_sides(record.data, config, folder / "cache", talk=False)

    def size(network: Standardised, masks: Masks, dtype: WeightFormat) -> int:
        return len(modelfile.encode(pack(network, sides.labels, config.features, config.window, masks, dtype)))

    return folder, config, runs.load_network(folder / "run", record), sides, size


def with_prune(config: RunConfig, **changes: Any) -> RunConfig:
    return config.model_copy(update={"prune": config.prune.model_copy(update=changes)})


@pytest.mark.parametrize("budget", [14_000, 20_000, 40_000])
def test_the_file_fits_and_little_is_left_over(trained: Trained, budget: int) -> None:
    _, config, network, sides, size = trained
    for dtype in FORMATS:
        small = copy.deepcopy(network)
        shrunk = shrink(small, sides, with_prune(config, budget=budget, dtype=dtype), size, talk=False)
        assert shrunk.dtype == dtype
        taken = size(small, shrunk.masks, dtype)
        assert taken <= budget
        assert shrunk.sparsity == 0 or taken > 0.95 * budget
        zeros = sum(int((small.get_parameter(name) == 0).sum()) for name in shrunk.masks)
        total = sum(mask.numel() for mask in shrunk.masks.values())
        assert zeros / total >= shrunk.sparsity - 1e-3


def test_the_format_of_least_log_loss_on_validation_is_taken(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    _, config, network, sides, size = trained
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses = {"fp16": 0.9, "int8": 0.2, "int4": 0.5}
    looked_at = []

    def made_up(trial: Any, clips: Any, labels: Any) -> dict[str, float]:
        looked_at.append(clips)
        dtype = list(losses)[len(looked_at) - 1]
        return {"log_loss": losses[dtype]}

    monkeypatch.setattr(shrinking, "measure", made_up)
    settings, trials = choose(network, sides, with_prune(config, budget=14_000, dtype="auto"), size, talk=False)
    assert [trial.dtype for trial in trials] == ["fp16", "int8", "int4"]
    assert trials[0].sparsity > trials[1].sparsity > trials[2].sparsity > 0
    assert (settings.dtype, settings.sparsity) == ("int8", trials[1].sparsity)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert {id(clips) for clips in looked_at} == {id(looked_at[0])}
    assert len(looked_at[0]) < len(sides.train)


def test_a_format_that_fits_whole_makes_coarser_ones_needless(trained: Trained) -> None:
    _, config, network, sides, size = trained
    settings, trials = choose(network, sides, with_prune(config, budget=10**6, dtype="auto"), size, talk=False)
    assert (settings.dtype, settings.sparsity) == ("fp16", 0)
    assert [(trial.dtype, trial.log_loss) for trial in trials] == [("fp16", None)]


def test_a_budget_out_of_reach_says_so(trained: Trained, tmp_path: Path) -> None:
    folder, config, network, sides, size = trained
    with pytest.raises(UsageError, match="a budget of 900 bytes is out of reach"):
        choose(network, sides, with_prune(config, budget=900, dtype="auto"), size, talk=False)
    with pytest.raises(UsageError, match="out of reach"):
        compress(folder / "run", tmp_path / "m.scn", budget=900, cache_dir=folder / "cache")
    assert list(tmp_path.iterdir()) == []


def test_validation_is_cut_from_training_in_whole_groups(trained: Trained) -> None:
    *_, sides, _ = trained
    cut = cut_validation(sides, 0.3, seed=0)
    assert cut.validation is not None
    names = [{clip.name for clip in side} for side in (cut.split.train, cut.split.validation)]
    assert names[0] | names[1] == {clip.name for clip in sides.split.train}
    groups = [{clip.group for clip in side} for side in (cut.split.train, cut.split.validation)]
    assert not groups[0] & groups[1]
    assert len(cut.train) + len(cut.validation) == len(sides.train)
    assert cut.split.test == sides.split.test
    place = [clip.name for clip in sides.split.train]
    for clips, side in ((cut.split.train, cut.train), (cut.split.validation, cut.validation)):
        rows = [place.index(clip.name) for clip in clips]
        assert side.features.first.tolist() == sides.train.features.first[rows].tolist()
        assert side.targets.tolist() == sides.train.targets[rows].tolist()


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_the_compressed_file_answers_as_the_network_in_training(trained: Trained, dtype: str, tmp_path: Path) -> None:
    folder, config, network, sides, _ = trained
    result = compress(folder / "run", tmp_path / "m.scn", sparsity=0.3, dtype=dtype, cache_dir=folder / "cache")
    assert (result["dtype"], result["sparsity"]) == (dtype, 0.3)
    model = modelfile.read(tmp_path / "m.scn")
    assert model.provenance["dtype"] == dtype
    assert set(model.encodings.values()) == {"masked_int8", "fp16", "fp32"}
    shrunk = copy.deepcopy(network)
    shrink(shrunk, sides, with_prune(config, sparsity=0.3, dtype=dtype), lambda *_: 0, talk=False)
    assert sides.test is not None
    from_file = file_probabilities(Classifier(model), sides.test.features)
    in_torch = measure(shrunk, sides.test, sides.labels)
    assert result["compressed"]["test"]["log_loss"] == pytest.approx(in_torch["log_loss"], abs=1e-3)
    assert from_file.shape == (len(sides.test), 2)


def test_a_run_whose_recipe_says_int8_and_no_pruning_is_tuned_as_such(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    config = load_recipe("fast", [*tiny_settings, *SETTINGS, "prune.sparsity=0", "prune.dtype=int8"])
    fit(tone_set, tmp_path / "run", config, cache_dir=tmp_path / "cache")
    result = compress(tmp_path / "run", tmp_path / "m.scn", cache_dir=tmp_path / "cache")
    assert (result["dtype"], result["sparsity"]) == ("int8", 0)
    assert modelfile.read(tmp_path / "m.scn").provenance["fine_tuning_epochs"] == 2
