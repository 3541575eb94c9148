"""Plot of accuracy against size."""

import pytest

from scenelet.errors import UsageError
from scenelet.evaluation.size_plot import plot_sizes
from scenelet.model.summary import ModelSummary


def test_plot_sizes_is_a_deterministic_png() -> None:
    rows = [ModelSummary(f"model {size}", size, size, 1, 0.5, "test") for size in (40_000, 400_000)]
    data = plot_sizes(rows)
    assert data.startswith(b"\x89PNG")
    assert data == plot_sizes(rows)


def test_plot_sizes_without_any_accuracy_is_an_error() -> None:
    with pytest.raises(UsageError, match="no model file here stores an accuracy"):
        plot_sizes([ModelSummary("model", 40_000, 40_000, 1, None, None)])
