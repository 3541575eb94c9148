"""The accuracy after each epoch in a file of its own: it is right, resumes, and leaves the training as it is."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from scenelet.config import run_folder as runs
from scenelet.config.recipes import load_recipe
from scenelet.data.load import load_table
from scenelet.errors import RunError
from scenelet.training.compression.finetune import prune_and_finetune
from scenelet.training.dataset import Dataset, load_dataset
from scenelet.training.epoch_curve import COLUMNS, EpochCurve, read_epoch_curve
from scenelet.training.measure import evaluate_network
from scenelet.training.module import SceneModule
from scenelet.training.network import load_network
from scenelet.training.train import train

SETTINGS = ["schedule.epochs=3", 'split.fold="1"']


@pytest.fixture(scope="module", params=[0.0, 1.0], ids=["last weights", "averaged weights"])
def settings(request: pytest.FixtureRequest, tiny_settings: list[str]) -> list[str]:
    return [*tiny_settings, *SETTINGS, f"schedule.ema_epochs={request.param}", "prune.epochs=2", "prune.dtype=int8"]


@pytest.fixture(scope="module")
def dataset(tone_set: Path, settings: list[str]) -> Dataset:
    return load_dataset(load_table(tone_set), load_recipe("paper_short", settings))


@pytest.fixture(scope="module")
def runs_of(dataset: Dataset, settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders of the same run without and with a curve."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("plain", "curve"):
        train(dataset, folder / name, load_recipe("paper_short", settings), callbacks=curve_of(dataset, folder, name))
    return {name: folder / name for name in ("plain", "curve")}


def curve_of(dataset: Dataset, folder: Path, name: str) -> Sequence[Callback]:
    assert dataset.test is not None
    return [EpochCurve(folder / "curve.csv", dataset.test)] if name == "curve" else []


def test_curve_leaves_the_training_as_it_is(runs_of: dict[str, Path]) -> None:
    plain, curve = (torch.load(run / runs.WEIGHTS, weights_only=True) for run in runs_of.values())
    assert all(torch.equal(values, curve[name]) for name, values in plain.items())
    first, second = (runs.read_metrics(run) for run in runs_of.values())
    assert [row["loss"] for row in first["history"]] == [row["loss"] for row in second["history"]]
    assert first["history"][0].keys() == second["history"][0].keys()


def test_last_epoch_of_the_curve_is_that_of_the_kept_network(runs_of: dict[str, Path], dataset: Dataset) -> None:
    path = runs_of["curve"].parent / "curve.csv"
    header, *lines = path.read_text().splitlines()
    assert header.split(",") == [*COLUMNS]
    assert [line.partition(",")[0] for line in lines] == ["1", "2", "3"]
    run = runs_of["curve"]
    assert dataset.test is not None
    report = evaluate_network(load_network(run, runs.read_record(run)), dataset.test, dataset.labels)
    assert lines[-1] == ",".join(["3", *(f"{report[name]:.6f}" for name in COLUMNS[1:])])
    assert read_epoch_curve(path, 3)[-1] == pytest.approx(report["macro_accuracy"], abs=1e-6)
    assert read_epoch_curve(path, 4) == ()
    assert read_epoch_curve(path.with_name("none.csv"), 3) == ()


def test_resumed_training_continues_the_curve(
    runs_of: dict[str, Path], dataset: Dataset, settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interruption is after the second epoch is measured, and before its checkpoint: it is measured again."""
    config = load_recipe("paper_short", settings)

    def interrupt(self: SceneModule) -> None:
        if self.current_epoch == 1:
            raise ConnectionAbortedError
        original(self)

    original = SceneModule.on_train_epoch_end
    with monkeypatch.context() as patch:
        patch.setattr(SceneModule, "on_train_epoch_end", interrupt)
        with pytest.raises(ConnectionAbortedError):
            train(dataset, tmp_path / "run", config, callbacks=curve_of(dataset, tmp_path, "curve"))
    assert len(read_epoch_curve(tmp_path / "curve.csv", 2)) == 2
    train(dataset, tmp_path / "run", config, resume=True, callbacks=curve_of(dataset, tmp_path, "curve"))
    expected = runs_of["curve"].parent / "curve.csv"
    assert (tmp_path / "curve.csv").read_text() == expected.read_text()


def test_curve_leaves_the_fine_tuning_as_it_is(
    runs_of: dict[str, Path], dataset: Dataset, settings: list[str], tmp_path: Path
) -> None:
    config = load_recipe("paper_short", settings)
    weights = []
    for name in ("plain", "curve"):
        network = load_network(runs_of["plain"], runs.read_record(runs_of["plain"]))
        prune_and_finetune(network, dataset, config, callbacks=curve_of(dataset, tmp_path, name))
        weights.append(network.state_dict())
    assert all(torch.equal(values, weights[1][name]) for name, values in weights[0].items())
    assert len(read_epoch_curve(tmp_path / "curve.csv", 2)) == 2


@pytest.mark.parametrize("text", ["epoch,accuracy\n1,0.5\n", f"{','.join(COLUMNS)}\n1,a,b,c\n", "\xff"])
def test_damaged_curve_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"curve\.csv: damaged; delete it"):
        read_epoch_curve(tmp_path / "curve.csv", 1)
