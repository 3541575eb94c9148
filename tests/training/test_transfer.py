"""Runs from trained weights: frozen and trained on, other labels, resume, compression, and the settings that fit."""

import csv
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import read_metrics, read_record
from scenelet.data.load import load_table
from scenelet.errors import UsageError
from scenelet.model.file import read_model, write_model
from scenelet.model.temperature import unscale_logits
from scenelet.training.compression.compress import compress
from scenelet.training.dataset import load_dataset
from scenelet.training.module import SceneModule
from scenelet.training.network import load_network
from scenelet.training.source import read_source
from scenelet.training.train import train
from scenelet.training.transfer import start_network

NETWORK = ["network.name=bc_resnet", "network.blocks=1", "features.n_mels=64"]
LAST = "network.head.4."
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def config(tiny_settings: list[str]) -> RunConfig:
    changes = [change for change in tiny_settings if not change.startswith("network.")]
    return load_recipe("paper_short", [*changes, *NETWORK, "network.width=8", "schedule.epochs=2", 'split.fold="1"'])


@pytest.fixture(scope="module")
def source_run(tone_set: Path, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("source") / "run"
    train(tone_set, run, config.model_copy(update={"seed": 5}))
    return run


@pytest.fixture(scope="module")
def source_file(source_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "source.scn"
    compress(source_run, path, sparsity=0.0)
    return path


@pytest.fixture(scope="module")
def three_labels(tone_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table of the tones in which half of the high ones have another label, the first in the order."""
    rows = list(csv.DictReader(tone_set.read_text().splitlines()))
    table = tmp_path_factory.mktemp("three") / "three.csv"
    lines = ["filename,label,fold,group"]
    for row in rows:
        label = "beep" if row["label"] == "high" and int(row["filename"][4:-4]) % 4 < 2 else row["label"]
        lines.append(f"{tone_set.parent / row['filename']},{label},{row['fold']},{row['group']}-{label}")
    table.write_text("\n".join(lines) + "\n")
    return table


@pytest.fixture(scope="module")
def frozen_run(
    three_labels: Path, config: RunConfig, source_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    run = tmp_path_factory.mktemp("frozen") / "run"
    train(three_labels, run, frozen(config), source=source_file)
    return run


def weights(run: Path) -> Weights:
    values: Weights = torch.load(run / "model.pt", weights_only=True)
    return values


def frozen(config: RunConfig, freeze: bool = True) -> RunConfig:
    return config.model_copy(update={"transfer": config.transfer.model_copy(update={"freeze": freeze})})


def thawed(config: RunConfig) -> RunConfig:
    return frozen(config, False)


def test_frozen_layers_are_those_of_the_source(
    three_labels: Path, config: RunConfig, source_run: Path, tmp_path: Path
) -> None:
    train(three_labels, tmp_path / "run", frozen(config), source=source_run)
    before, after = weights(source_run), weights(tmp_path / "run")
    assert [name for name in before if not name.startswith(LAST) and not torch.equal(before[name], after[name])] == []
    assert after[f"{LAST}weight"].shape == (3, *before[f"{LAST}weight"].shape[1:])
    metrics = read_metrics(tmp_path / "run")
    assert metrics["history"] == []
    assert not (tmp_path / "run/curves.png").exists()
    assert not (tmp_path / "run/checkpoints").exists()


def test_frozen_run_is_deterministic_and_recorded(
    three_labels: Path, config: RunConfig, source_file: Path, frozen_run: Path, tmp_path: Path
) -> None:
    train(three_labels, tmp_path / "run", frozen(config), source=source_file)
    first, second = weights(frozen_run), weights(tmp_path / "run")
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    record = read_record(frozen_run)
    assert record.source is not None
    assert (record.source.name, record.source.labels) == ("source.scn", ("high", "low"))
    assert record.labels == ("beep", "high", "low")


def test_compressed_frozen_run_keeps_the_layers_of_the_source(
    frozen_run: Path, source_file: Path, tmp_path: Path
) -> None:
    compress(frozen_run, tmp_path / "m.scn")
    model, source = (unscale_logits(read_model(path)) for path in (tmp_path / "m.scn", source_file))
    assert model.nodes == source.nodes
    names = [name for name in source.arrays if not f"network.{name}".startswith(LAST) and "standardize" not in name]
    assert len(names) > 10
    assert [name for name in names if not np.array_equal(model.arrays[name], source.arrays[name])] == []
    stored = model.provenance["source"]
    assert (stored["name"], stored["frozen"], stored["labels"]) == ("source.scn", True, ["high", "low"])
    assert (model.provenance["epochs"], model.provenance["fine_tuning_epochs"]) == (0, 0)
    with pytest.raises(UsageError, match=r"prune\.epochs: fine-tuning would change the frozen layers of this run"):
        compress(frozen_run, tmp_path / "n.scn", settings={"prune.epochs": 2})
    assert not (tmp_path / "n.scn").exists()


def test_licenses_of_the_source_are_kept(
    three_labels: Path, config: RunConfig, source_file: Path, tmp_path: Path
) -> None:
    write_model(dataclasses.replace(read_model(source_file), licenses=["CC-BY 4.0", "CC0"]), tmp_path / "licensed.scn")
    train(three_labels, tmp_path / "run", frozen(config), source=tmp_path / "licensed.scn")
    compress(tmp_path / "run", tmp_path / "m.scn")
    assert read_model(tmp_path / "m.scn").licenses == ["CC-BY 4.0", "CC0"]
    train(three_labels, tmp_path / "next", frozen(config), source=tmp_path / "run")
    assert read_record(tmp_path / "next").source.licenses == ("CC-BY 4.0", "CC0")


def test_start_keeps_the_logits_of_shared_classes(
    three_labels: Path, config: RunConfig, source_file: Path, source_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new network answers as the source for the classes that both have, whatever their order."""
    trained = load_network(source_run, read_record(source_run))
    dataset = load_dataset(load_table(three_labels), config)
    x = torch.from_numpy(dataset.train.features.load(dataset.train.features.rows()))
    for source in (source_run, source_file):
        found = read_source(source)
        network = start_network(found, found.apply(config), dataset).eval()
        with torch.no_grad():
            difference = network(x)[:, 1:] - trained(x)
        assert difference.abs().max() < (1e-5 if source == source_run else 0.05)  # the file holds fp16
        assert f"from {source.name}: all layers but the last; 2 of 3 classes kept" in capsys.readouterr().err


def test_frozen_run_gives_the_statistics_of_its_source(
    three_labels: Path, config: RunConfig, source_file: Path, frozen_run: Path
) -> None:
    """A model file has no statistics, and neither has a run whose layers are those of one."""
    dataset = load_dataset(load_table(three_labels), config)
    states = [start_network(read_source(source), config, dataset).state_dict() for source in (source_file, frozen_run)]
    for name, values in states[0].items():
        if not name.startswith(LAST):
            torch.testing.assert_close(states[1][name], values)


def test_same_number_of_other_classes_keeps_rows_by_their_labels(
    tone_set: Path, config: RunConfig, source_run: Path, tmp_path: Path
) -> None:
    table = tmp_path / "tones.csv"
    table.write_text(tone_set.read_text().replace(",high,", ",tone,"))
    dataset = load_dataset(load_table(table, tone_set.parent), config)
    assert dataset.labels == ("low", "tone")
    found, trained = read_source(source_run), load_network(source_run, read_record(source_run))
    network = start_network(found, config, dataset).eval()
    x = torch.from_numpy(dataset.train.features.load(dataset.train.features.rows()))
    with torch.no_grad():
        assert (network(x)[:, 0] - trained(x)[:, 1]).abs().max() < 1e-5
        assert (network(x)[:, 1] - trained(x)[:, 0]).abs().max() > 0.01


def test_training_changes_all_weights_unless_frozen(
    three_labels: Path, config: RunConfig, source_run: Path, tmp_path: Path
) -> None:
    train(three_labels, tmp_path / "run", thawed(config), source=source_run)
    before, after = weights(source_run), weights(tmp_path / "run")
    changed = [name for name in before if before[name].shape == after[name].shape and before[name].is_floating_point()]
    assert {name for name in changed if torch.equal(before[name], after[name])} == {"mean", "std"}
    assert len(read_metrics(tmp_path / "run")["history"]) == 2


def test_interrupted_run_resumes_from_its_source(
    three_labels: Path, config: RunConfig, source_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, run, source = tmp_path / "whole", tmp_path / "run", tmp_path / "copy.scn"
    shutil.copy(source_file, source)
    train(three_labels, whole, thawed(config), source=source)
    start_epoch = SceneModule.on_train_epoch_start

    def interrupt(self: SceneModule) -> None:
        if self.current_epoch == 1:
            raise ConnectionAbortedError
        start_epoch(self)

    with monkeypatch.context() as patch:
        patch.setattr(SceneModule, "on_train_epoch_start", interrupt)
        with pytest.raises(ConnectionAbortedError):
            train(three_labels, run, thawed(config), source=source)
    other = tmp_path / "other.scn"
    model = read_model(source)
    model.arrays["stem.0.weight"][:] *= 2
    write_model(model, other)
    with pytest.raises(UsageError, match=r"was started from other weights than .*other\.scn holds now; resume it with"):
        train(three_labels, run, None, resume=True, source=other)
    train(three_labels, run, None, resume=True)
    first, second = weights(whole), weights(run)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    train(three_labels, run, thawed(config), source=source, resume=True)  # finished; the settings are the same


def test_run_without_a_source_is_not_resumed_from_one(
    tone_set: Path, config: RunConfig, source_run: Path, source_file: Path
) -> None:
    with pytest.raises(UsageError, match="was started without --from"):
        train(tone_set, source_run, config, source=source_file, resume=True)


def test_source_that_saw_the_test_clips_is_reported(
    tone_set: Path, config: RunConfig, source_run: Path, source_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = load_table(tone_set)
    for source in (source_run, source_file):
        for fold, count in (("1", 0), ("2", 1)):
            settings = config.model_copy(update={"split": config.split.model_copy(update={"fold": fold})})
            dataset = load_dataset(table, settings)
            capsys.readouterr()
            start_network(read_source(source), settings, dataset)
            assert capsys.readouterr().err.count("so it may have seen test clips") == count


def test_contradictions_are_one_sentence(
    three_labels: Path, config: RunConfig, source_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(UsageError, match=r"transfer\.freeze is true, and there are no trained weights to freeze"):
        train(three_labels, out, frozen(config))
    with pytest.raises(UsageError, match="a frozen network learns nothing from --teacher"):
        train(three_labels, out, frozen(config), source=source_run, teachers=[source_run])
    assert not out.exists()


def test_frozen_network_without_a_dense_layer_is_refused(
    three_labels: Path, finished_run: tuple[Path, RunConfig], tmp_path: Path
) -> None:
    run, config = finished_run
    with pytest.raises(UsageError, match="does not end in a dense layer"):
        train(three_labels, tmp_path / "run", frozen(config), source=run)
    train(three_labels, tmp_path / "run", thawed(config), source=run)
    before, after = weights(run), weights(tmp_path / "run")
    assert [name for name in before if before[name].shape != after[name].shape] == [
        f"network.head.{name}" for name in ("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var")
    ]
