"""Norms over the batches of several processes, compared with one process that has the whole batch."""

import pytest
import torch
from torch import Tensor, nn

from helpers.gloo_ranks import CASES, PART_SIZES, Results, norm_steps, spawn, steps
from scenelet.errors import UsageError
from scenelet.nn import create_model, list_models
from scenelet.nn.cpp_build import library
from scenelet.nn.norm import BatchNorm
from scenelet.nn.sync_norm import synchronize

TOLERANCES = {"float64": 1e-10, "uncompiled": 2e-5, "compiled": 2e-5, "bfloat16": 1e-2}
BY_CLIP = ("y", "x", "residual")
SUMMED = ("weight", "bias")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    return spawn(norm_steps, len(PART_SIZES), tmp_path_factory.mktemp("norms"))


def combined(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Combine the results of all processes: concatenate their clips and add the gradients of parameters."""
    joined = {name: torch.cat([part[name] for part in parts]) for name in BY_CLIP if name in parts[0]}
    joined |= {name: torch.stack([part[name] for part in parts]).sum(0) for name in SUMMED}
    return joined | {name: parts[0][name] for name in ("mean", "var")}


def distance(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected.double()).abs().max() / expected.double().abs().max())


@pytest.mark.parametrize("index", range(len(CASES)), ids=[str(case) for case in CASES])
def test_sync_norm_of_unequal_parts_equals_the_whole_batch(found: list[Results], index: int) -> None:
    case = CASES[index]
    expected, parts = steps(case), [results[index] for results in found]
    joined = combined(parts)
    assert joined.keys() == expected.keys()
    for name, value in expected.items():
        assert joined[name].shape == value.shape
        assert distance(joined[name], value) < TOLERANCES[case[0]], name
    for name in ("mean", "var"):
        assert all(torch.equal(part[name], parts[0][name]) for part in parts)


@pytest.mark.skipif(library() is None, reason="no C++ compiler was found")
def test_sync_norm_works_if_one_rank_has_no_compiler(found: list[Results]) -> None:
    compiled_cases = [case for case in CASES if case[0] == "compiled"]
    for case, *parts in zip(compiled_cases, *(results[len(CASES) : -1] for results in found), strict=True):
        expected, joined = steps(case), combined(list(parts))
        assert all(distance(joined[name], value) < 2e-5 for name, value in expected.items())


def test_average_running_statistics_changes_nothing_else(found: list[Results]) -> None:
    states = [results[-1] for results in found]
    for rank, state in enumerate(states):
        assert state["0.running_mean"].tolist() == [1.0, 1.0]
        assert state["0.running_var"].tolist() == [10.0, 10.0]
        assert torch.all(state["1.running_var"] == 100)
        assert torch.all(state["1.bias"] == rank)


@pytest.mark.parametrize("name", list_models())
def test_synchronize_reaches_every_norm_of_a_network(name: str) -> None:
    network = create_model(name, num_classes=3)
    norms = [module for module in network.modules() if hasattr(module, "running_var")]
    synchronize(network)
    assert norms
    assert all(norm.synchronized for norm in norms)
    synchronize(network, False)
    assert not any(norm.synchronized for norm in norms)


def test_synchronize_refuses_pytorchs_own_norm() -> None:
    with pytest.raises(UsageError, match=r"^1 is PyTorch's BatchNorm2d.*trainer\.sync_batchnorm = false$"):
        synchronize(nn.Sequential(BatchNorm(2), nn.BatchNorm2d(2)))
