"""Known sounds of a compressed network: means, the minimum that held-out clips reach, and the size of the file."""

from pathlib import Path

import numpy as np
import pytest

from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import read_record
from scenelet.data.load import load_table
from scenelet.inference.classifier import Classifier
from scenelet.model.file import read_model
from scenelet.model.known_sounds import similarities, unit_rows
from scenelet.training.compression import known_sounds
from scenelet.training.compression.build_model import build_model
from scenelet.training.compression.compress import compress
from scenelet.training.compression.known_sounds import class_means, clip_similarities, lowest_similarity
from scenelet.training.dataset import load_dataset
from scenelet.training.network import load_network
from scenelet.training.train import train


def test_class_means_are_directions_of_the_mean_over_windows() -> None:
    means = class_means(np.array([[1.0, 0], [3, 2], [0, 5], [6, 0], [0, 2]]), np.array([0, 0, 1, 2, 2]), 3)
    np.testing.assert_allclose(means, [[2 / 5**0.5, 1 / 5**0.5], [0, 1], [3 / 10**0.5, 1 / 10**0.5]], atol=1e-3)
    np.testing.assert_array_equal(means, means.astype(np.float16))


def test_similarity_of_a_clip_is_the_mean_over_its_windows() -> None:
    rows = np.array([[1.0, 0], [3, 4], [0, 2], [-1, 0]])
    found = clip_similarities(rows, np.array([1, 2, 1]), np.array([[1.0, 0], [0, 1]]))
    np.testing.assert_allclose(found, [1.0, (0.8 + 1.0) / 2, 0.0], atol=1e-12)


@pytest.mark.parametrize("clips", [1, 19, 20, 39, 40, 59, 80, 1000])
def test_lowest_similarity_keeps_95_percent(clips: int) -> None:
    reached = np.random.default_rng(clips).permutation(np.arange(1, clips + 1) / 2000)
    minimum = lowest_similarity(reached)
    assert (reached < minimum).sum() == clips // 20
    assert minimum == round(minimum, 4)
    assert lowest_similarity(np.full(clips, 0.12349)) == 0.1234
    assert lowest_similarity(np.full(clips, -0.12341)) == -0.1235


@pytest.fixture(scope="module")
def run(tone_set: Path, tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = [*tiny_settings, "schedule.epochs=2", "prune.epochs=0", 'split.fold="1"', "network.width=8"]
    folder = tmp_path_factory.mktemp("known") / "run"
    train(tone_set, folder, load_recipe("paper_short", settings))
    return folder


def test_compress_finds_known_sounds_within_the_limit_of_bytes(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = compress(run, tmp_path / "few.scn")
    assert few["known_sounds"] == {}
    assert read_model(tmp_path / "few.scn").known is None

    monkeypatch.setattr(known_sounds, "MIN_CLIPS", 2)
    free = compress(run, tmp_path / "free.scn")
    model = read_model(tmp_path / "free.scn")
    assert model.known is not None
    assert free["known_sounds"] == {"min_similarity": model.known.min_similarity, **model.results["known_sounds"]}
    limited = compress(run, tmp_path / "limited.scn", max_bytes=free["bytes"] - 300, dtype="fp16")
    assert limited["bytes"] == (tmp_path / "limited.scn").stat().st_size <= free["bytes"] - 300
    assert read_model(tmp_path / "limited.scn").known is not None

    plain = read_model(tmp_path / "few.scn")
    for name, array in plain.arrays.items():
        np.testing.assert_array_equal(model.arrays[name], array)


def test_known_sounds_are_those_of_the_files_network(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_sounds, "MIN_CLIPS", 2)
    record = read_record(run)
    dataset = load_dataset(load_table(record.data.path), record.config)
    built = build_model(load_network(run, record), record, dataset, record.config)
    model = built.model
    assert model.known is not None
    embed = Classifier(model, threads=1).embed_window.run_network

    def embeddings(features) -> np.ndarray:
        return np.stack([embed(window) for window in features.load(features.rows())])

    train_windows = embeddings(dataset.train.features)
    targets = np.repeat(dataset.train.targets, dataset.train.features.count)
    means = np.stack([train_windows[targets == label].mean(axis=0) for label in range(len(model.labels))])
    np.testing.assert_allclose(model.known.means, unit_rows(means), atol=1e-3)
    name, clips = next(dataset.held_out())
    reached = similarities(embeddings(clips.features), model.known.means)
    ends = np.cumsum(clips.features.count)[:-1]
    kept = [part.mean() >= model.known.min_similarity for part in np.split(reached, ends)]
    assert model.results["known_sounds"] == {"subset": name, "clips": len(kept), "kept": np.mean(kept)}
    assert np.mean(kept) >= 0.95

    exact = build_model(load_network(run, record), record, dataset, record.config, should_calibrate=False)
    assert exact.model.known is None
