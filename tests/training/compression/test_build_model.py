"""Model file of a run: its results, its provenance, and the limit on its bytes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenelet.config import RunConfig
from scenelet.config.run_folder import RunRecord, read_record
from scenelet.data.splits import split_hash
from scenelet.inference.classifier import Classifier
from scenelet.model.file import encode_model, read_model
from scenelet.training.compression.build_model import RESULT_KEYS, BuiltModel, build_model
from scenelet.training.dataset import Dataset, load_dataset, load_recorded_table
from scenelet.training.measure import file_probabilities
from scenelet.training.network import load_network

Run = tuple[Path, RunRecord, Dataset]


@pytest.fixture(scope="module")
def run(finished_run: tuple[Path, RunConfig]) -> Run:
    """Return the folder, the record and the data set of a finished run."""
    folder, _ = finished_run
    record = read_record(folder)
    return folder, record, load_dataset(load_recorded_table(record.data), record.config, verbose=False)


def build(run: Run, **changes: Any) -> BuiltModel:
    """Build the model file of the run with other settings of pruning, without fine-tuning."""
    folder, record, dataset = run
    prune = record.config.prune.model_copy(update={"epochs": 0, "max_bytes": None, **changes})
    record = record.model_copy(update={"config": record.config.model_copy(update={"prune": prune})})
    return build_model(load_network(folder, record), record, dataset, verbose=False)


@pytest.fixture(scope="module")
def built(run: Run) -> BuiltModel:
    return build(run, sparsity=0.5, dtype="fp16")


def test_build_model_file_holds_the_model(built: BuiltModel, tmp_path: Path) -> None:
    (tmp_path / "m.scn").write_bytes(built.file)
    model = read_model(tmp_path / "m.scn")
    assert encode_model(model) == encode_model(built.model) == built.file
    assert built.model.provenance["sparsity"] == pytest.approx(0.5, abs=0.01)


def test_build_model_results_are_those_of_the_file(built: BuiltModel, run: Run) -> None:
    _, record, dataset = run
    assert dataset.test is not None
    probabilities = file_probabilities(Classifier(built.model), dataset.test.features)
    assert np.array_equal(built.probabilities["test"], probabilities)
    accuracy = float((probabilities.argmax(1) == dataset.test.targets).mean())
    assert built.compressed["test"]["accuracy"] == pytest.approx(accuracy)
    for kind, reports in (("dense", built.dense), ("compressed", built.compressed)):
        stored = built.model.results[kind]["test"]
        assert stored == {key: reports["test"][key] for key in RESULT_KEYS}
    assert built.model.results["threshold"] == built.threshold
    assert built.threshold["subset"] == next(dataset.held_out())[0]
    assert built.model.labels == record.labels


def test_build_model_provenance_names_the_split(built: BuiltModel, run: Run) -> None:
    _, record, dataset = run
    provenance = built.model.provenance
    assert provenance["split_hash"] == split_hash(dataset.split)
    assert provenance["train_clips"] == dict(zip(record.labels, record.train_counts, strict=True))
    assert str(record.data.path.parent) not in str(provenance)  # no path of this machine


def test_build_model_max_bytes_includes_the_results(built: BuiltModel, run: Run) -> None:
    max_bytes = len(built.file) - 500
    assert len(build(run, max_bytes=max_bytes, dtype="fp16").file) <= max_bytes
