"""The demo, on fewer and shorter scenes."""

import functools
import json
from pathlib import Path

import pytest

from scenelet.config.recipes import load_recipe
from scenelet.data.synthetic.dataset import write_synthetic_dataset
from scenelet.errors import RunError
from scenelet.experiments import demo as demos
from scenelet.experiments.plan import check_demo_folder

FAST = ["schedule.epochs=2", "prune.epochs=1", "network.width=8", "window.seconds=0.5"]


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_demo_resumes_after_an_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = functools.partial(
        write_synthetic_dataset, clips_per_location=1, train_locations=4, test_locations=2, seconds=0.5
    )
    monkeypatch.setattr(demos, "write_synthetic_dataset", few)
    monkeypatch.setattr(demos, "load_recipe", lambda name, changes: load_recipe(name, [*changes, *FAST]))
    with monkeypatch.context() as patch:
        patch.setattr(demos, "compress", interrupt)
        with pytest.raises(KeyboardInterrupt):
            demos.demo(tmp_path / "demo")
    result = demos.demo(tmp_path / "demo")
    assert result["clips"] == 6
    assert 0 <= result["dense"] <= 1
    assert result["bytes"] == (tmp_path / "demo" / "demo.scn").stat().st_size
    assert result["prediction"].label in ("indoor", "outdoor", "transportation")
    assert result["answer"].label == demos.EXAMPLE_LABEL
    report = json.loads((tmp_path / "demo" / "report" / "report.json").read_text())
    assert report["synthetic"] is True
    with pytest.raises(RunError, match="exists already"):
        check_demo_folder(tmp_path / "demo")
