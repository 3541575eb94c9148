"""Test `scenelet check` on a partial download of a TAU mobile set."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from helpers.tau_roots import mobile_splits, nested_lists, write_tau_root

Command = Callable[..., tuple[int, str, str]]


def noise(stem: str) -> np.ndarray:
    """Return a tenth of a second that differs between recordings."""
    return 0.1 * np.random.default_rng([*stem.encode()]).standard_normal(4410)


def test_check_partial_download_names_the_gaps(command: Command, tmp_path: Path) -> None:
    splits = mobile_splits(True, ("bus", "tram"), ("train", "test"))
    root = write_tau_root(tmp_path / "tau", splits, sound=noise, lists=nested_lists(splits))
    for path in (root / "audio").iterdir():
        if path.stem.endswith("-s6") or path.stem == "bus-lyon-100-1000-4-b":
            path.unlink()
    code, out, err = command("check", root, "--workers", "1", "--window", "0.1")
    assert code == 1
    assert "319 clips, 2 classes, 4 groups, 2 cities, 8 devices, fold 1, split train 139 test 180, training" in err
    lines = [line.split(maxsplit=3) for line in out.splitlines() if line.split()[1] == "missing"]
    assert [words[0] for words in lines] == ["error", "warning", "warning", "warning"]
    assert "21 of the 340 recordings in meta.csv are missing" in out
    assert "no recordings of device s6, which the published set has; unpack all audio archives, or ignore this" in out
    assert "1 segment lacks slices (bus-lyon-100-1000-b: 4); unpack all audio archives" in out
