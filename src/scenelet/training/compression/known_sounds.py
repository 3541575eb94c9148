"""Known sounds of a model file: the mean embedding of each class, and the similarity that held-out clips reach."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenelet.data.feature_cache import ClipFeatures
from scenelet.inference.classifier import Classifier
from scenelet.inference.threshold import MIN_CLIPS
from scenelet.model.encodings import stored_arrays
from scenelet.model.known_sounds import MEANS, KnownSounds, embedding_size, similarities, unit_rows
from scenelet.model.scene_model import SceneModel
from scenelet.training.dataset import Dataset

KEPT = 0.95
"""Fraction of the held-out clips that the minimum similarity keeps."""


def can_find_known_sounds(dataset: Dataset) -> bool:
    """Return whether the first subset that was not trained on has the `MIN_CLIPS` clips that the rule needs.

    With fewer, the minimum would depend on one odd clip or two.
    """
    return any(len(clips) >= MIN_CLIPS for _, clips in list(dataset.held_out())[:1])


def find_known_sounds(model: SceneModel, dataset: Dataset) -> tuple[KnownSounds, dict[str, Any]]:
    """Average the embeddings of the training windows by class, and find what similarity `KEPT` held-out clips reach.

    The background, if there is one, is a class as any other: a sound close to it has the background as its answer.

    Args:
        model: the model as a file holds it.
        dataset: the clips, for which `can_find_known_sounds` is true.

    Returns:
        The known sounds, and the record for the file's results: "subset", "clips", and "kept", the fraction of these
        clips that reach the minimum.
    """
    classifier = Classifier(model)
    train, (subset, clips) = dataset.train, next(dataset.held_out())
    embeddings = embed_windows(classifier, train.features)
    means = class_means(embeddings, np.repeat(train.targets, train.features.count), len(model.labels))
    reached = clip_similarities(embed_windows(classifier, clips.features), clips.features.count, means)
    minimum = lowest_similarity(reached)
    record = {"subset": subset, "clips": len(reached), "kept": float(np.mean(reached >= minimum))}
    return KnownSounds(means, minimum), record


def embed_windows(classifier: Classifier, features: ClipFeatures) -> NDArray[np.float32]:
    """Return the embeddings (windows, values) of a model file, sorted by clip, from cached features (fp16)."""
    rows = features.rows()
    return np.stack([classifier.embed_window.run_network(features.load(np.array([row]))[0]) for row in rows])


def class_means(embeddings: NDArray[np.floating], targets: NDArray[np.integer], classes: int) -> NDArray[np.float32]:
    """Return the direction of the mean embedding of each class, (classes, values), rounded as a file stores it.

    Args:
        embeddings: (windows, values).
        targets: (windows,) class indices; each class has a window.
        classes: the number of classes.

    >>> class_means(np.array([[5.0, 0.0], [0.0, 2.0], [0.0, 6.0]]), np.array([0, 1, 1]), 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    means = np.stack([embeddings[targets == label].mean(axis=0, dtype=np.float64) for label in range(classes)])
    return stored_arrays({MEANS: np.asarray(unit_rows(means), np.float32)}, {MEANS: "fp16"})[MEANS]


def clip_similarities(
    embeddings: NDArray[np.floating], count: NDArray[np.int64], means: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the mean similarity of each clip's windows, (clips,).

    Args:
        embeddings: (windows, values), sorted by clip.
        count: (clips,) number of windows of each clip, at least 1.
        means: (classes, values).
    """
    starts = np.cumsum(count) - count
    return np.asarray(np.add.reduceat(similarities(embeddings, means), starts) / count)


def lowest_similarity(reached: ArrayLike) -> float:
    """Return the highest similarity with four decimals that `KEPT` of the clips reach.

    >>> lowest_similarity([0.91239, 0.5, *[0.95] * 18]), lowest_similarity([0.91239, *[0.95] * 18])
    (0.9123, 0.9123)
    """
    rising = np.sort(np.asarray(reached, np.float64))
    return math.floor(1e4 * float(rising[math.floor(len(rising) * (1 - KEPT))])) / 1e4


def with_placeholder(model: SceneModel) -> SceneModel:
    """Return the model with known sounds that take as many bytes in a file as those that are still unknown."""
    size = embedding_size(model.nodes, model.shapes())
    means = np.random.default_rng(0).normal(0, 1, (len(model.labels), size))
    return replace(model, known=KnownSounds(np.asarray(unit_rows(means), np.float32), 0.1234))


def known_sounds_text(found: Mapping[str, Any]) -> str:
    """Put the rule into words.

    >>> known_sounds_text({"min_similarity": 0.9123, "subset": "test", "clips": 80, "kept": 0.95})
    'unsure below a similarity of 0.9123 to all classes: 95.0 % of the 80 clips of the test split reach it'
    """
    return (
        f"unsure below a similarity of {found['min_similarity']:.4f} to all classes: {100 * found['kept']:.1f} % of the"
        f" {found['clips']:,} clips of the {found['subset']} split reach it"
    )
