"""Summaries of model files."""

from pathlib import Path

import pytest

from helpers.tiny_model import changed, tiny_model
from scenelet.model.costs import macs
from scenelet.model.file import write_model
from scenelet.model.scene_model import TrainingCounts
from scenelet.model.summary import ModelSummary, describe, layer_summary, stored_metrics, summarize

METRICS = {"clips": 3, "macro_accuracy": 0.5, "log_loss": 0.7}


def test_layer_summary_counts_shared_arrays_once() -> None:
    model = tiny_model()
    rows = layer_summary(model)
    assert [row["name"] for row in rows] == [node.output for node in model.nodes]
    assert sum(row["parameters"] for row in rows) == sum(array.size for array in model.arrays.values())
    first, second = (row for row in rows if row["op"] == "Conv" and row["shape"] == [4, 8, 7] and row["name"] != "v1")
    assert (first["shared_with"], second["shared_with"]) == (None, first["name"])
    assert second["parameters"] == 0
    assert second["density"] is None
    assert second["macs"] == first["macs"] > 0


def test_layer_summary_counts_zeros_of_weights_only() -> None:
    model = tiny_model()
    model.arrays["v2.shift"][:] = 0
    rows = {row["name"]: row for row in layer_summary(model)}
    assert rows["v1"]["density"] == pytest.approx(0.5)
    assert rows["v2"]["density"] == 1


def test_describe_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "model.scn"
    write_model(tiny_model(), path)
    found = describe(str(path))
    assert found["macs"] == macs(tiny_model().nodes, tiny_model().array_shapes, tiny_model().input_shape)
    assert found["macs_per_second"] == round(found["macs"] / 0.2)
    parts = found["file_parts"]
    size = path.stat().st_size
    assert found["bytes"]["disk"] == size
    assert sum(parts[name] for name in ("weights", "others", "header", "frame")) == size


@pytest.mark.parametrize("results", [{}, {"compressed": [1]}, {"compressed": {"test": 3}}, {"compressed": None}])
def test_stored_metrics_without_valid_metrics_is_empty(results: dict) -> None:
    assert stored_metrics(results, "compressed") == {}


def test_stored_metrics_skips_invalid_metrics() -> None:
    metrics = {"test": METRICS, "validation": METRICS | {"clips": "3"}}
    found = stored_metrics({"dense": metrics}, "dense")
    assert list(found) == ["test"]
    assert found["test"].macro_accuracy == 0.5


@pytest.mark.parametrize(
    ("stored", "accuracy", "subset"),
    [
        ({"test": METRICS, "validation": METRICS | {"macro_accuracy": 0.9}}, 0.5, "test"),
        ({"validation": METRICS | {"macro_accuracy": 0.9}}, 0.9, "validation"),
        ({}, None, ""),
    ],
)
def test_summarize_prefers_test_metrics(stored: dict, accuracy: float | None, subset: str, tmp_path: Path) -> None:
    path = tmp_path / "below" / "model.scn"
    path.parent.mkdir()
    model = changed(tiny_model(), results={"compressed": stored}, counts=TrainingCounts(conv=100, conv_kept=10))
    write_model(model, path)
    row = summarize(path, tmp_path)
    assert row == ModelSummary(
        str(Path("below", "model")), path.stat().st_size, 200, row.macs_per_second, accuracy, subset
    )
