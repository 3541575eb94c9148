"""The demo's way, on fewer and shorter scenes."""

import functools
from pathlib import Path

import pytest

from scenelet.cli.demo import answer_line
from scenelet.config.recipes import load_recipe
from scenelet.data.synthetic.dataset import write_synthetic_dataset
from scenelet.errors import RunError
from scenelet.experiments import demo as demos
from scenelet.experiments.plan import check_demo_folder
from scenelet.inference.prediction import Prediction


def test_an_answer_is_a_line_with_its_three_best() -> None:
    shares = {"a": 0.1, "b": 0.6, "c": 0.05, "d": 0.25}
    line = answer_line(Path("x.wav"), Prediction("b", shares, (), unsure=False))
    assert line == "  x.wav  ->  b  (b 0.60, d 0.25, a 0.10)"


def test_the_demo_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = functools.partial(write_synthetic_dataset, clips_per_place=1, train_places=4, test_places=2, seconds=0.5)
    quick = ["schedule.epochs=2", "prune.epochs=1", "network.width=8", "window.seconds=0.5"]
    monkeypatch.setattr(demos, "write_synthetic_dataset", few)
    monkeypatch.setattr(demos, "load_recipe", lambda name, changes: load_recipe(name, [*changes, *quick]))
    compress = demos.compress
    monkeypatch.setattr(demos, "compress", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demos.demo(tmp_path / "demo")
    monkeypatch.setattr(demos, "compress", compress)
    result = demos.demo(tmp_path / "demo")  # goes on
    assert result["clips"] == 6
    assert 0 <= result["dense"] <= 1
    assert result["bytes"] == (tmp_path / "demo" / "demo.scn").stat().st_size
    assert result["prediction"].label in ("indoor", "outdoor", "transportation")
    assert result["answer"].label == demos.EXAMPLE_LABEL
    assert (tmp_path / "demo" / "report" / "report.json").is_file()
    assert '"synthetic": true' in (tmp_path / "demo" / "report" / "report.json").read_text()
    with pytest.raises(RunError, match="exists already"):
        check_demo_folder(tmp_path / "demo")


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
