"""`scenelet cache`: the folder, its sizes, and --clear."""

from pathlib import Path

import pytest

from scenelet.cli.cache import cache
from scenelet.utils.locks import file_lock


def test_cache_prints_sizes_and_clears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCENELET_CACHE", str(tmp_path))
    for name in ("0123456789abcdef", "fedcba9876543210"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "windows.f16").write_bytes(bytes(1_500_000))
    cache()
    assert capsys.readouterr().out.split() == [
        *(str(tmp_path), "features", "3.0", "MB", "statistics", "0.0", "MB"),
        *("compiled", "code", "0.0", "MB", "packages", "0.0", "MB", "all", "3.0", "MB"),
    ]
    with file_lock(tmp_path / "0123456789abcdef" / "lock"):
        cache(clear=True)
    out, err = capsys.readouterr()
    assert out.split()[-5:] == ["0.0", "MB", "all", "1.5", "MB"]
    assert err.endswith("windows.f16: is in use and was not deleted\n")
