"""Norms over the batches of several processes: exactly those of one process that holds all of them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from helpers.gloo_ranks import CASES, SHARES, Results, averaged_statistics, norm_steps, spawn, steps
from scenelet.errors import UsageError
from scenelet.nn import cpp_build as compiled
from scenelet.nn import create_model, list_models
from scenelet.nn.norm import BatchNorm
from scenelet.nn.sync_norm import synchronize

TOLERANCES = {"float64": 1e-10, "uncompiled": 2e-5, "compiled": 2e-5, "bfloat16": 1e-2}
BY_CLIP = ("y", "x", "residual")
SUMMED = ("weight", "bias")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    return spawn(norm_steps, len(SHARES), tmp_path_factory.mktemp("norms"))


def together(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """What the processes found, as one: shares side by side, gradients of parameters added."""
    joined = {name: torch.cat([part[name] for part in parts]) for name in BY_CLIP if name in parts[0]}
    joined |= {name: torch.stack([part[name] for part in parts]).sum(0) for name in SUMMED}
    return joined | {name: parts[0][name] for name in ("mean", "var")}


def distance(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected.double()).abs().max() / expected.double().abs().max())


@pytest.mark.parametrize("index", range(len(CASES)), ids=[str(case) for case in CASES])
def test_unequal_shares_equal_the_whole_batch(found: list[Results], index: int) -> None:
    case = CASES[index]
    expected, parts = steps(case), [results[index] for results in found]
    joined = together(parts)
    assert joined.keys() == expected.keys()
    for name, value in expected.items():
        assert joined[name].shape == value.shape
        assert distance(joined[name], value) < TOLERANCES[case[0]], name
    for name in ("mean", "var"):
        assert all(torch.equal(part[name], parts[0][name]) for part in parts)


@pytest.mark.skipif(compiled.library() is None, reason="no C++ compiler was found")
def test_a_process_without_a_compiler_computes_with_the_others(found: list[Results]) -> None:
    compiled_cases = [case for case in CASES if case[0] == "compiled"]
    for case, *parts in zip(compiled_cases, *(results[len(CASES) :] for results in found), strict=True):
        expected, joined = steps(case), together(list(parts))
        assert all(distance(joined[name], value) < 2e-5 for name, value in expected.items())


def test_running_statistics_are_averaged_and_nothing_else(tmp_path: Path) -> None:
    first, second = (results[0] for results in spawn(averaged_statistics, 2, tmp_path))
    for state in (first, second):
        assert state["0.running_mean"].tolist() == [0.5, 0.5]
        assert state["0.running_var"].tolist() == [5.0, 5.0]
        assert torch.all(state["1.running_var"] == 50)
    assert not torch.equal(first["1.bias"], second["1.bias"])


@pytest.mark.parametrize("name", list_models())
def test_every_norm_of_our_networks_can_be_synchronized(name: str) -> None:
    network = create_model(name, num_classes=3)
    norms = [module for module in network.modules() if hasattr(module, "running_var")]
    synchronize(network)
    assert norms
    assert all(norm.synchronized for norm in norms)
    synchronize(network, False)
    assert not any(norm.synchronized for norm in norms)


def test_pytorchs_own_norm_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^1 is PyTorch's BatchNorm2d.*trainer\.sync_batchnorm = false$"):
        synchronize(nn.Sequential(BatchNorm(2), nn.BatchNorm2d(2)))
