"""TAU sets: the published facts, and what is checked against them."""

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.data_sets import FACTS, SPLITS, fetch, publish, tau_zips
from helpers.loopback_server import Loopback
from scenelet.data.download import fetch as fetch_module
from scenelet.data.download.fetch import EVALUATIONS, TAU_SETS
from scenelet.data.download.zenodo import tau_archives
from scenelet.data.tau_sets import TAU_2019, TAU_2020_3CLASS, TAU_2020_MOBILE, TAU_2022_MOBILE, TauSet
from scenelet.errors import DataError


@pytest.mark.parametrize("change", [{"bus-lyon-2-3-a": None}, {"bus-lyon-2-3-a": "test"}, {"tram-lyon-9-9-a": "train"}])
def test_check_other_counts_are_an_error(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str | None]
) -> None:
    publish(server, monkeypatch, tau_zips(splits={**SPLITS, **change}))
    with pytest.raises(DataError, match=r"recordings of .* and the published set has .*\.fetched and run"):
        fetch("tau2019", tmp_path)


def test_check_lost_recording_is_an_error(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(server, monkeypatch, tau_zips())
    (root,) = fetch("tau2019", tmp_path)
    (root / "audio/bus-lyon-2-3-a.wav").unlink()
    with pytest.raises(DataError, match=r"not the published set .*bus-lyon-2-3-a.*delete .*\.fetched"):
        fetch("tau2019", tmp_path)
    (root / ".fetched").unlink()
    fetch("tau2019", tmp_path)
    assert (root / "audio/bus-lyon-2-3-a.wav").exists()


@pytest.mark.parametrize("change", [{"bus-lyon-2-3-s1": "train"}, {"park-milan-3-6-a": None, "park-milan-3-7-b": None}])
def test_check_other_counts_of_devices_are_an_error(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str | None]
) -> None:
    mobile = {**SPLITS, "bus-lyon-2-3-s1": None, "park-paris-1-1-b": "train"}
    facts = replace(FACTS, train={"park": 3, "bus": 1}, devices={"a": 6, "b": 1, "s1": 1})
    publish(server, monkeypatch, tau_zips(splits=mobile))
    monkeypatch.setitem(fetch_module.TAU_SETS, "tau2019", facts)
    fetch("tau2019", tmp_path / "right")
    publish(server, monkeypatch, tau_zips(splits={**mobile, **change}))
    monkeypatch.setitem(fetch_module.TAU_SETS, "tau2019", facts)
    with pytest.raises(DataError, match=r"recordings of (bus|device) .* and the published set has 1;"):
        fetch("tau2019", tmp_path / "wrong")


def test_check_ignores_training_lists_of_the_user(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, monkeypatch, tau_zips())
    (root,) = fetch("tau2019", tmp_path)
    (root / "split25.csv").write_text("filename\tscene_label\naudio/park-paris-1-1-a.wav\tpark\n")
    fetch("tau2019", tmp_path)


@pytest.mark.parametrize(
    ("facts", "count", "size"),
    [
        (TAU_2020_3CLASS, 23, 35_543_717_092),
        (TAU_2019, 23, 35_622_537_482),
        (TAU_2020_MOBILE, 18, 27_364_817_167),
        (TAU_2022_MOBILE, 18, 27_503_592_469),
    ],
)
def test_tau_archives_have_the_published_sizes(facts: TauSet, count: int, size: int) -> None:
    archives = tau_archives(facts.name)
    assert (len(archives), sum(archive.size for archive in archives)) == (count, size)
    assert all(f"zenodo.org/record/{facts.doi.rpartition('.')[2]}/files/" in archive.url for archive in archives)
    assert [archive.name.split(".")[1] for archive in archives] == ["doc", "meta"] + ["audio"] * (count - 2)


def test_tau_archives_of_evaluation_sets_have_the_published_sizes() -> None:
    sizes = {"tau2020-3class": (15, 20_856_686_257), "tau2020-mobile": (8, 8_769_881_565)}
    sizes["tau2022-mobile"] = (10, 13_249_195_806)
    assert sizes.keys() == EVALUATIONS.keys()
    for name, (count, size) in sizes.items():
        archives = tau_archives(EVALUATIONS[name])
        assert (len(archives), sum(archive.size for archive in archives)) == (count, size)


def test_tau_archives_have_an_md5_and_a_name_each() -> None:
    names = [facts.name for facts in TAU_SETS.values()] + list(EVALUATIONS.values())
    archives = [archive for name in names for archive in tau_archives(name)]
    assert all(len(bytes.fromhex(archive.md5)) == 16 for archive in archives)
    assert len({archive.md5 for archive in archives}) == len({archive.name for archive in archives}) == 115
