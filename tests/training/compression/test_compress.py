"""Messages of `compress` about layers that pruning nearly empties."""

from pathlib import Path

import pytest

from scenelet.config.recipes import load_recipe
from scenelet.training.compression.compress import compress
from scenelet.training.train import train


@pytest.mark.parametrize(("sparsity", "warned"), [(0.995, True), (0.3, False)])
def test_compress_nearly_empty_layers_warns_once(
    sparsity: float,
    warned: bool,
    tone_set: Path,
    tiny_settings: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = [*tiny_settings, "schedule.epochs=1", "prune.epochs=0", 'split.fold="1"']
    train(tone_set, tmp_path / "run", load_recipe("paper_short", settings))
    capsys.readouterr()
    compress(tmp_path / "run", tmp_path / "m.scn", sparsity=sparsity)
    lines = [line for line in capsys.readouterr().err.splitlines() if "nearly empty" in line]
    assert len(lines) == warned
    if warned:
        assert "% left)" in lines[0]
