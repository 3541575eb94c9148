"""Networks of runs: built from settings, saved and loaded."""

from pathlib import Path

import pytest
import torch

from scenelet.config import RunConfig
from scenelet.config.run_folder import WEIGHTS, read_record
from scenelet.errors import RunError, UsageError
from scenelet.training.network import build_blank_network, build_network, load_network, save_weights


def with_network(config: RunConfig, **settings: object) -> RunConfig:
    values = config.model_dump()
    values["network"] |= settings
    return RunConfig.model_validate(values)


def test_build_network_draws_its_weights_from_the_seed(finished_run: tuple[Path, RunConfig]) -> None:
    _, config = finished_run
    first, again = (build_blank_network(config, 2).state_dict() for _ in range(2))
    other = build_blank_network(config.model_copy(update={"seed": config.seed + 1}), 2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_build_network_standardizes_its_input(finished_run: tuple[Path, RunConfig]) -> None:
    _, config = finished_run
    bands = config.features.n_mels
    network = build_network(config, 2, torch.full((bands,), 3.0), torch.full((bands,), 2.0)).eval()
    blank = build_network(config, 2, torch.zeros(bands), torch.ones(bands)).eval()
    x = torch.randn(1, config.features.n_channels, bands, config.frames, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network(2 * x + 3), blank(x), rtol=1e-4, atol=1e-4)


def test_build_network_with_setting_it_lacks_raises(finished_run: tuple[Path, RunConfig]) -> None:
    with pytest.raises(UsageError, match=r"network\.rho is set, and shared_resnet has no such setting"):
        build_blank_network(with_network(finished_run[1], rho=7), 2)


def test_load_network_returns_the_saved_weights(finished_run: tuple[Path, RunConfig]) -> None:
    folder, _ = finished_run
    network = load_network(folder, read_record(folder))
    stored = torch.load(folder / WEIGHTS, weights_only=True)
    assert all(torch.equal(value, stored[name]) for name, value in network.state_dict().items())
    assert not network.training


def test_load_network_of_unfinished_run_raises(finished_run: tuple[Path, RunConfig], tmp_path: Path) -> None:
    folder, config = finished_run
    with pytest.raises(RunError, match="this run has not finished; resume it"):
        load_network(tmp_path, read_record(folder))
    save_weights(tmp_path, build_blank_network(config, 2))
    assert load_network(tmp_path, read_record(folder)) is not None
