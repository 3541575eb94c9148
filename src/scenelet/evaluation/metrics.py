"""Measures of a classifier: accuracies, log loss and confusion, in NumPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]


def confusion_matrix(targets: ArrayLike, predictions: ArrayLike, classes: int) -> NDArray[np.int64]:
    """(clips,) true and predicted class indices -> counts (classes, classes), rows are the truth."""
    true, predicted = _indices(targets, classes), _indices(predictions, classes)
    if len(true) != len(predicted):
        raise ValueError(f"{len(true)} targets but {len(predicted)} predictions")
    return np.bincount(true * classes + predicted, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def accuracy(confusion: NDArray[np.int64]) -> float:
    """Share of all clips that are right; `confusion` as `confusion_matrix` gives it."""
    return float(np.trace(confusion) / confusion.sum())


def per_class_accuracy(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """(classes,) share of each class's clips that are right (its recall); nan for a class without clips."""
    clips = confusion.sum(axis=1)
    return _ratio(np.diag(confusion), clips)


def macro_accuracy(confusion: NDArray[np.int64]) -> float:
    """Mean of the classes' accuracies, over the classes that have clips."""
    return float(np.nanmean(per_class_accuracy(confusion)))


def log_loss(targets: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean of -ln p(true class) over clips.

    Probabilities are clipped to [eps, 1 - eps], eps that of their floating type, as scikit-learn does.

    Args:
        targets: (clips,) class indices.
        probabilities: (clips, classes).
    """
    return float(clip_losses(targets, probabilities).mean())


def per_class_log_loss(targets: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    """(classes,) `log_loss` over the clips of each class; nan for a class without clips."""
    losses = clip_losses(targets, probabilities)
    classes = np.shape(probabilities)[1]
    true = _indices(targets, classes)
    clips = np.bincount(true, minlength=classes)
    total = np.bincount(true, weights=losses, minlength=classes)
    return _ratio(total, clips)


def classification_report(targets: ArrayLike, probabilities: ArrayLike, labels: Sequence[str]) -> dict[str, Any]:
    """Every measure, as plain values for JSON; None for the measures of a class without clips.

    Args:
        targets: (clips,) class indices.
        probabilities: (clips, classes); the highest is the answer.
        labels: (classes,) names.

    Returns:
        "clips", "accuracy", "macro_accuracy", "log_loss", "per_class" {label: {"accuracy", "log_loss",
        "clips"}}, and "confusion", nested lists with rows for the truth.
    """
    shares = _probabilities(probabilities)
    if shares.shape[1] != len(labels):
        raise ValueError(f"{shares.shape[1]} probabilities a clip but {len(labels)} labels")
    confusion = confusion_matrix(targets, shares.argmax(axis=1), len(labels))
    accuracies, losses = per_class_accuracy(confusion), per_class_log_loss(targets, shares)
    clips = confusion.sum(axis=1)
    return {
        "clips": int(clips.sum()),
        "accuracy": accuracy(confusion),
        "macro_accuracy": macro_accuracy(confusion),
        "log_loss": log_loss(targets, shares),
        "per_class": {
            label: {
                "accuracy": float(accuracies[k]) if clips[k] else None,
                "log_loss": float(losses[k]) if clips[k] else None,
                "clips": int(clips[k]),
            }
            for k, label in enumerate(labels)
        },
        "confusion": confusion.tolist(),
    }


def reliability(targets: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> dict[str, Any]:
    """How often answers of a given probability are right, and the expected calibration error (Naeini et al. 2015).

    Clips are put into bins of equal width by the probability of their answer, an edge belonging to the bin below it.

    Args:
        targets, probabilities: as `log_loss`; the highest probability is the answer.
        bins: how many from 0 to 1.

    Returns:
        "ece", the mean over clips of how far a bin's share of right answers is from its mean probability; "bins",
        each "low", "high", "clips", "right", and "confidence", the mean probability, and "accuracy", None in an
        empty bin.
    """
    shares = _probabilities(probabilities).astype(np.float64)
    true = _indices(targets, shares.shape[1])
    top, hits = shares.max(axis=1), shares.argmax(axis=1) == true
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], top)
    clips, right = np.bincount(place, minlength=bins), np.bincount(place, weights=hits, minlength=bins)
    confidence = _ratio(np.bincount(place, weights=top, minlength=bins), clips)
    accuracies = _ratio(right, clips)
    gaps = np.abs(accuracies - confidence)[clips > 0]
    rows = [
        {
            "low": float(edges[b]),
            "high": float(edges[b + 1]),
            "clips": int(clips[b]),
            "right": int(right[b]),
            "confidence": float(confidence[b]) if clips[b] else None,
            "accuracy": float(accuracies[b]) if clips[b] else None,
        }
        for b in range(bins)
    ]
    return {"ece": float((gaps * clips[clips > 0]).sum() / clips.sum()), "bins": rows}


def _ratio(parts: NDArray[Any], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """parts / counts, nan where nothing was counted."""
    ratio: NDArray[np.float64] = np.divide(parts, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return ratio


def clip_losses(targets: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    """(clips,) -ln p(true class); arguments as `log_loss`, whose clipping it has."""
    shares = _probabilities(probabilities)
    true = _indices(targets, shares.shape[1])
    if len(true) != len(shares):
        raise ValueError(f"{len(true)} targets but {len(shares)} rows of probabilities")
    eps = np.finfo(shares.dtype).eps
    losses: NDArray[np.float64] = -np.log(np.clip(shares[np.arange(len(true)), true], eps, 1 - eps).astype(np.float64))
    return losses


def _probabilities(values: ArrayLike) -> Floats:
    shares = np.asarray(values)
    if not np.issubdtype(shares.dtype, np.floating):
        shares = shares.astype(np.float64)
    if shares.ndim != 2 or not ((shares >= 0) & (shares <= 1 + 1e-6)).all():
        raise ValueError("probabilities are (clips, classes) numbers from 0 to 1")
    return shares


def _indices(values: ArrayLike, classes: int) -> NDArray[np.int64]:
    indices = np.asarray(values)
    if indices.ndim != 1 or len(indices) == 0 or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError("targets and predictions are (clips,) class indices, at least one")
    if indices.min() < 0 or indices.max() >= classes:
        raise ValueError(f"class indices go from 0 to {classes - 1}")
    return indices.astype(np.int64)
