"""TAU sets: the published facts, and what is checked against them."""

from pathlib import Path

import pytest

from helpers.data_sets import SPLITS, fetch, publish, tau_zips
from helpers.loopback_server import Loopback
from scenelet.data.download.fetch import EVALUATION
from scenelet.data.download.zenodo import tau_archives
from scenelet.data.tau import TAU_2019, TAU_2020_3CLASS
from scenelet.errors import DataError


@pytest.mark.parametrize("change", [{"bus-lyon-2-3-a": None}, {"bus-lyon-2-3-a": "test"}, {"tram-lyon-9-9-a": "train"}])
def test_check_other_counts_are_an_error(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str | None]
) -> None:
    publish(server, monkeypatch, tau_zips(splits={**SPLITS, **change}))
    with pytest.raises(DataError, match=r"segments of .* and the published set has .*\.fetched and run"):
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


def test_tau_archives_have_the_published_sizes() -> None:
    for facts, count, size in ((TAU_2020_3CLASS, 23, 35_543_717_092), (TAU_2019, 23, 35_622_537_482)):
        archives = tau_archives(facts.name)
        assert (len(archives), sum(archive.size for archive in archives)) == (count, size)
        assert all(f"zenodo.org/record/{facts.doi.rpartition('.')[2]}/files/" in archive.url for archive in archives)
    evaluation = tau_archives(EVALUATION)
    assert (len(evaluation), sum(archive.size for archive in evaluation)) == (15, 20_856_686_257)
    everything = [*tau_archives(TAU_2020_3CLASS.name), *tau_archives(TAU_2019.name), *evaluation]
    assert all(len(bytes.fromhex(archive.md5)) == 16 for archive in everything)
    assert len({archive.md5 for archive in everything}) == len({archive.name for archive in everything}) == 61
