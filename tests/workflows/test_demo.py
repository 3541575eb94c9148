"""The demo's way, on fewer and shorter scenes."""

import functools
from pathlib import Path

import pytest

from scenelet.data.scenes import make_scenes
from scenelet.recipes import load_recipe
from scenelet.workflows import demo as demos


def test_the_demo_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = functools.partial(make_scenes, clips_per_place=1, train_places=4, test_places=2, seconds=0.5)
    quick = ["schedule.epochs=2", "prune.epochs=1", "network.width=8", "window.seconds=0.5"]
    monkeypatch.setattr(demos, "make_scenes", few)
    monkeypatch.setattr(demos, "load_recipe", lambda name, changes: load_recipe(name, [*changes, *quick]))
    result = demos.demo(tmp_path / "demo")
    assert result["clips"] == 6
    assert 0 <= result["dense"] <= 1
    assert result["bytes"] == (tmp_path / "demo" / "demo.scn").stat().st_size
    assert result["prediction"].label in ("indoor", "outdoor", "transportation")
    assert (tmp_path / "demo" / "report" / "report.json").is_file()
    assert '"made": true' in (tmp_path / "demo" / "report" / "report.json").read_text()
