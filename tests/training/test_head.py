"""The last layer: the regression against scikit-learn, the choice of its penalty, and the network that it ends."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from helpers.traced_networks import FRAMES, random_network
from scenelet.config import AugmentConfig, RunConfig
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.feature_cache import ClipFeatures
from scenelet.data.splits import Split
from scenelet.errors import UsageError
from scenelet.training.augment import build_augmentations
from scenelet.training.batches import LabelledFeatures
from scenelet.training.dataset import Dataset
from scenelet.training.head import L2_WEIGHTS, choose_l2, dense_layers, embeddings, fit_head, fit_regression

CLASSES = 3
STILL = RunConfig.model_validate({"augment": {"time_roll": 0}})


@pytest.fixture
def points(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    targets = np.arange(60) % CLASSES
    return rng.normal(size=(60, 5)) * [1, 10, 0.1, 3, 1] + 0.7 * targets[:, None] + 5, targets


@pytest.mark.parametrize("l2", [0.01, 1.0])
def test_regression_equals_scikit_learn(points: tuple[np.ndarray, np.ndarray], l2: float) -> None:
    x, targets = points
    weight, bias = fit_regression(x, targets, np.full(60, 0.5), CLASSES, l2)
    z = (x - x.mean(0)) / x.std(0)
    reference = LogisticRegression(C=1 / (60 * l2), tol=1e-10, max_iter=10_000).fit(z, targets)
    ours, theirs = x @ weight.T + bias, reference.decision_function(z)
    assert np.abs(theirs).max() > 0.3
    assert np.abs((ours - ours.mean(1, keepdims=True)) - (theirs - theirs.mean(1, keepdims=True))).max() < 1e-4


def test_regression_counts_a_row_by_its_weight(points: tuple[np.ndarray, np.ndarray]) -> None:
    x, targets = points
    weights = np.ones(60)
    weights[:10] = 2
    doubled = fit_regression(np.vstack([x, x[:10]]), np.append(targets, targets[:10]), np.ones(70), CLASSES, 0.1)
    for found, expected in zip(fit_regression(x, targets, weights, CLASSES, 0.1), doubled, strict=True):
        assert np.allclose(found, expected, atol=1e-5)


def test_regression_of_a_constant_column_is_finite(points: tuple[np.ndarray, np.ndarray]) -> None:
    x, targets = points
    x[:, 2] = 7.0
    weight, bias = fit_regression(x, targets, np.ones(60), CLASSES, 0.1)
    assert np.isfinite(weight).all()
    assert np.isfinite(bias).all()
    assert np.abs(weight[:, 2]).max() == 0


def test_penalty_is_chosen_on_groups_that_are_held_out(rng: np.random.Generator) -> None:
    """Copies of a group's sound do not help with other groups, so noise gets the largest penalty."""
    noise, labels = rng.normal(size=(20, 40)), np.arange(20) % 2
    rows = np.repeat(np.arange(20), 3)
    groups = [f"g{row:02d}" for row in rows]
    assert choose_l2(noise[rows], labels[rows], np.ones(60), groups) == max(L2_WEIGHTS)
    assert choose_l2(noise[rows], labels[rows], np.ones(60), [str(k) for k in range(60)]) < max(L2_WEIGHTS)
    separable = 5.0 * labels[:, None] + 0.01 * noise
    assert choose_l2(separable[rows], labels[rows], np.ones(60), groups) == min(L2_WEIGHTS)


def test_penalty_of_a_single_group_is_the_largest() -> None:
    assert choose_l2(np.eye(4), np.array([0, 1, 0, 1]), np.ones(4), ["a"] * 4) == max(L2_WEIGHTS)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"name": "bc_resnet", "width": 8, "sub_bands": 2}, 1),
        ({"name": "bc_resnet", "width": 8, "sub_bands": 2, "blocks": 1, "members": 2}, 2),
        ({"name": "dcase2020_baseline", "n_mels": 64, "frames": FRAMES}, 1),
    ],
    ids=str,
)
def test_dense_layers_turn_embeddings_into_logits(settings: dict[str, object], count: int) -> None:
    network = random_network(1, **settings)
    values = np.random.default_rng(0).normal(-40, 10, (3, 2, 64, FRAMES)).astype(np.float16)
    features = ClipFeatures(values, np.array([2, 0]), np.array([1, 2]))
    found, layers = embeddings(network, features), dense_layers(network)
    assert len(layers) == count
    parts = np.split(found, count, axis=1)
    logits = sum(
        part @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        for part, layer in zip(parts, layers, strict=True)
    )
    with torch.no_grad():
        expected = network(torch.from_numpy(values[[2, 0, 1]].astype(np.float32))).numpy()
    assert np.abs(logits / count - expected).max() < 1e-4 * np.abs(expected).max()


def test_fitted_ensemble_answers_as_the_regression(rng: np.random.Generator) -> None:
    network = random_network(1, name="bc_resnet", width=8, sub_bands=2, blocks=1, members=2)
    values = rng.normal(-40, 10, (9, 2, 64, FRAMES)).astype(np.float16)
    features = ClipFeatures(values, np.array([0, 1, 2, 3, 4, 5, 7]), np.array([1, 1, 1, 1, 1, 2, 2]))
    targets = np.array([0, 1, 2, 0, 1, 2, 0])
    clips = tuple(Clip(Path(), str(k), "abc"[target], group=str(k)) for k, target in enumerate(targets))
    train = LabelledFeatures(features, targets, 3)
    table = ClipTable(Path(), "CSV", clips)
    l2 = fit_head(network, Dataset(table, Split(clips, (), (), ""), train, None, None), STILL)
    rows = np.repeat(np.arange(7), features.count)
    x = embeddings(network, features)
    weight, bias = fit_regression(x, targets[rows], 1 / features.count[rows], 3, l2)
    with torch.no_grad():
        found = network(torch.from_numpy(features.load(features.rows()))).numpy()
    assert np.abs(found - (x @ weight.T + bias)).max() < 1e-4


def test_augmented_views_differ_and_come_from_the_generator(rng: np.random.Generator) -> None:
    network = random_network(1, name="bc_resnet", width=8, sub_bands=2, blocks=1)
    features = ClipFeatures(rng.normal(-40, 10, (3, 2, 64, FRAMES)).astype(np.float16), np.arange(3), np.ones(3, int))
    louder = build_augmentations(AugmentConfig(time_roll=0, gain_db=6))
    first, second = (embeddings(network, features, louder, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.abs(first - embeddings(network, features)).max() > 1e-3


def test_network_without_a_dense_layer_is_refused() -> None:
    with pytest.raises(UsageError, match=r"does not end in a dense layer .*; set transfer\.freeze=false"):
        dense_layers(random_network(width=8))
