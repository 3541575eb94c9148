"""Training curves."""

from pathlib import Path

import pytest

from scenelet.config.run_folder import CURVES
from scenelet.training.curves import plot_curves

EPOCHS = [{"epoch": epoch, "loss": 1 / epoch, "rate": 1e-3} for epoch in (1, 2, 3)]
VALIDATION = {"validation_log_loss": 0.5, "validation_macro_accuracy": 0.75}


@pytest.mark.parametrize("more", [{}, VALIDATION], ids=["rate", "validation"])
def test_plot_curves_writes_a_png(more: dict[str, float], tmp_path: Path) -> None:
    plot_curves(tmp_path, [epoch | more for epoch in EPOCHS])
    assert (tmp_path / CURVES).read_bytes().startswith(b"\x89PNG")


def test_plot_curves_shows_validation_if_there_is_one(tmp_path: Path) -> None:
    for name, more in (("rate", {}), ("validation", VALIDATION)):
        (tmp_path / name).mkdir()
        plot_curves(tmp_path / name, [epoch | more for epoch in EPOCHS])
    pictures = {(tmp_path / name / CURVES).read_bytes() for name in ("rate", "validation")}
    assert len(pictures) == 2
