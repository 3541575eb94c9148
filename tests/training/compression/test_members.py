"""Ensembles within a size: as many members as fit unpruned, in the finest format that holds them."""

from pathlib import Path

import pytest
import torch

from scenelet.config import PruneConfig, RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.errors import UsageError
from scenelet.model.file import read_model
from scenelet.nn.prune import Masks, convolution_weights
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.compression.compress import compress
from scenelet.training.compression.members import choose_members
from scenelet.training.compression.search import check_max_bytes
from scenelet.training.network import build_network
from scenelet.training.train import train

BITS = {"fp32": 32, "fp16": 16, "int8": 8, "int4": 4}


def network_of(members: int) -> StandardizedNetwork:
    config = RunConfig.model_validate({"network": {"width": 4, "members": members}, "features": {"n_mels": 64}})
    return build_network(config, 5, torch.zeros(64), torch.ones(64))


def size(network: StandardizedNetwork, masks: Masks, settings: PruneConfig) -> int:
    """Return the bytes of the weights alone."""
    return sum(int(mask.sum()) for mask in masks.values()) * BITS[settings.dtype] // 8


def unpruned(network: StandardizedNetwork) -> Masks:
    return {name: torch.ones_like(weight) for name, weight in convolution_weights(network).items()}


WEIGHTS = size(network_of(1), unpruned(network_of(1)), PruneConfig(dtype="int8"))
"""Weights of one member, which are bytes in int8."""


@pytest.mark.parametrize(
    ("max_bytes", "dtype", "members", "chosen"),
    [
        (8 * WEIGHTS, "auto", 4, "fp16"),
        (4 * WEIGHTS, "auto", 4, "int8"),
        (4 * WEIGHTS - 1, "auto", 4, "int4"),
        (2 * WEIGHTS - 1, "auto", 3, "int4"),
        (WEIGHTS, "auto", 2, "int4"),
        (WEIGHTS // 2 + 1, "auto", 1, "int4"),
        (WEIGHTS // 4, "auto", 1, "auto"),  # one member, which has to be pruned in a format that is searched for
        (2 * WEIGHTS, "int8", 2, "int8"),
    ],
)
def test_choose_members_keeps_as_many_as_fit(max_bytes: int, dtype: str, members: int, chosen: str) -> None:
    network = network_of(4)
    found = choose_members(network, PruneConfig(max_bytes=max_bytes, dtype=dtype), size)
    assert (found.members, found.dtype, found.max_bytes) == (members, chosen, max_bytes)
    assert len(network.network.members) == 4


@pytest.mark.parametrize(
    "settings", [PruneConfig(), PruneConfig(max_bytes=9, members=2), PruneConfig(max_bytes=9)], ids=str
)
def test_choose_members_keeps_settings_that_leave_no_choice(settings: PruneConfig) -> None:
    members = 1 if settings.max_bytes and not settings.members else 4
    assert choose_members(network_of(members), settings, size) == settings


def test_more_members_to_keep_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"network\.members = 2; lower it"):
        RunConfig.model_validate({"network": {"members": 2}, "prune": {"members": 3}})


def test_check_max_bytes_counts_a_single_member() -> None:
    labels = tuple("abcde")
    config = RunConfig.model_validate(
        {"network": {"width": 16, "members": 4}, "features": {"n_mels": 64}, "prune": {"dtype": "int4"}}
    )

    def check(**changes: int) -> None:
        limited = config.model_copy(update={"prune": config.prune.model_copy(update={"max_bytes": 3_000} | changes)})
        check_max_bytes(build_network(limited, 5, torch.zeros(64), torch.ones(64)), labels, limited)

    check()
    with pytest.raises(UsageError, match="out of reach"):
        check(members=4)


def test_an_ensemble_is_trained_and_compressed_to_the_members_that_fit(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    """Its file answers with all members, and a smaller file with the first one."""
    settings = [*tiny_settings, "network.members=2", "schedule.epochs=2", 'split.fold="1"', "prune.epochs=1"]
    run = tmp_path / "run"
    train(tone_set, run, load_recipe("paper_short", [*settings, "prune.self_distillation=0.5"]))
    whole = compress(run, tmp_path / "whole.scn", sparsity=0, dtype="fp16")
    assert whole["members"] == 2
    model = read_model(tmp_path / "whole.scn")
    uncalibrated = model.results["calibration"]["before"]["log_loss"]
    assert whole["dense"]["test"]["log_loss"] == pytest.approx(uncalibrated, abs=1e-2)
    smaller = compress(run, tmp_path / "small.scn", max_bytes=whole["bytes"] // 3)
    assert (smaller["members"], smaller["sparsity"]) == (1, 0)
    assert smaller["bytes"] <= whole["bytes"] // 3
    kept = read_model(tmp_path / "small.scn")
    assert 2 * kept.counts.parameters == model.counts.parameters
    assert kept.provenance["prune"]["members"] == 1
