"""Sources of runs: model files and run folders, what they replace, and which are refused."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from helpers.tiny_model import tiny_model
from helpers.traced_networks import FEATURES, LABELS, WINDOW, random_network
from scenelet.config import NetworkConfig, RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import SourceRecord, read_record
from scenelet.data.clips import Clip
from scenelet.data.splits import split_csv_hash
from scenelet.errors import ModelFileError, RunError, SceneletError, UsageError
from scenelet.model.file import write_model
from scenelet.nn.convert import to_scene_model
from scenelet.training.source import default_source, read_source


def test_run_is_read(finished_run: tuple[Path, RunConfig], tmp_path: Path) -> None:
    run, config = finished_run
    source, record = read_source(run), read_record(run)
    assert (source.features, source.window, source.network) == (config.features, config.window, config.network)
    assert (source.record.path, source.record.labels) == (str(run), record.labels)
    assert (source.data, source.split_hash) == (
        record.data.description,
        split_csv_hash((run / "split.csv").read_bytes()),
    )
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run/model.pt").unlink()
    with pytest.raises(RunError, match=r"no finished run \(no model\.pt\)"):
        read_source(tmp_path / "run")


def test_built_in_model_is_read_by_its_name() -> None:
    source = read_source("esc10")
    assert source.record.path == "esc10"
    assert source.record.licenses == tuple(source.model.licenses)
    assert source.model.provenance["split_hash"] == source.split_hash


def test_members_are_those_of_the_file(tmp_path: Path) -> None:
    """`compress` may have left out some of the members that the settings name."""
    network = random_network(width=8, members=2)
    settings = NetworkConfig(width=8, members=3).model_dump()
    path = tmp_path / "two.scn"
    write_model(to_scene_model(network, LABELS, FEATURES, WINDOW, provenance={"network": settings}), path)
    assert read_source(path).network.members == 2


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (None, "does not name its network, so training cannot start from it; give a file that `scenelet compress`"),
        ({"name": "shared_resnet", "width": "wide"}, "does not name its network"),
        ({"name": "shared_resnet", "width": 10**6}, "its layers are not those of the network that it names"),
        ({"name": "shared_resnet", "repeats": 10**6}, "its layers are not those of the network that it names"),
    ],
)
def test_model_without_a_known_network_is_refused(network: object, message: str, tmp_path: Path) -> None:
    model = dataclasses.replace(tiny_model(), provenance={"network": network} if network else {})
    write_model(model, tmp_path / "m.scn")
    with pytest.raises(ModelFileError, match=message):
        read_source(tmp_path / "m.scn")


def test_other_files_are_refused(finished_run: tuple[Path, RunConfig], tmp_path: Path) -> None:
    for source in ("default", finished_run[0] / "model.pt", tmp_path, tmp_path / "absent.scn"):
        with pytest.raises(SceneletError) as error:
            read_source(source)
        assert str(source) in str(error.value)
        assert "\n" not in str(error.value)


def test_settings_of_the_source_replace_those_of_the_run() -> None:
    source, config = read_source("esc10"), load_recipe("paper", ["schedule.epochs=3"])
    applied = source.apply(config)
    assert (applied.features, applied.window, applied.network) == (source.features, source.window, source.network)
    assert applied.schedule == config.schedule
    assert applied.loss == config.loss
    with pytest.raises(UsageError, match=r"--from esc10: prune\.members = 2 is more than network\.members = 1"):
        source.apply(load_recipe("default", ["network.members=2", "prune.members=2"]))


def test_change_that_contradicts_the_source_is_refused() -> None:
    source = read_source("esc10")
    changes = ["features.n_mels=64", "window.seconds=5", "schedule.epochs=3"]
    source.check_changes(load_recipe("default", changes), [change.partition("=")[0] for change in changes])
    with pytest.raises(UsageError, match=r"--set features\.n_mels: 32 contradicts --from esc10, whose weights need 64"):
        source.check_changes(load_recipe("default", ["features.n_mels=32"]), ["features.n_mels"])


RECORD = SourceRecord(path="esc10", sha256="", labels=("a",))


def test_default_source_is_for_few_clips_and_unchanged_settings() -> None:
    def clips(counts: dict[str, int]) -> list[Clip]:
        return [Clip(Path(), f"{label}{k}", label, group="g") for label, count in counts.items() for k in range(count)]

    few, enough = clips({"a": 100, "b": 19}), clips({"a": 20, "b": 20})
    assert default_source(few, None, []) == "esc10"
    assert default_source(few, None, ["split.fold", "seed", "transfer.freeze"]) == "esc10"
    assert default_source(few, None, ["schedule.epochs"]) is None
    assert default_source(enough, None, []) is None
    assert default_source(few, "b", []) is None  # background may be rare
