"""Results of a network and of its model file agree."""

from pathlib import Path

import numpy as np

from scenelet.config import RunConfig
from scenelet.config.run_folder import read_metrics, read_record
from scenelet.inference.classifier import Classifier
from scenelet.nn.convert import to_scene_model
from scenelet.training.dataset import load_dataset
from scenelet.training.measure import evaluate_network, file_probabilities
from scenelet.training.network import load_network
from scenelet.training.preflight import load_recorded_table
from scenelet.training.probabilities import clip_probabilities


def test_evaluate_network_gives_the_metrics_of_the_run(finished_run: tuple[Path, RunConfig]) -> None:
    folder, config = finished_run
    record = read_record(folder)
    dataset = load_dataset(load_recorded_table(record.data), config)
    assert dataset.test is not None
    report = evaluate_network(load_network(folder, record), dataset.test, record.labels)
    assert report == read_metrics(folder)["test"]


def test_file_probabilities_are_those_of_the_network(finished_run: tuple[Path, RunConfig]) -> None:
    folder, config = finished_run
    record = read_record(folder)
    dataset = load_dataset(load_recorded_table(record.data), config)
    network = load_network(folder, record)
    assert dataset.test is not None
    model = to_scene_model(network, record.labels, config.features, config.window, dtype="fp32")
    probabilities = file_probabilities(Classifier(model, threads=1), dataset.test.features)
    np.testing.assert_allclose(probabilities, clip_probabilities(network, dataset.test.features), atol=1e-5)
