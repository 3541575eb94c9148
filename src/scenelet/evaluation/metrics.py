"""Metrics of a classifier in NumPy: accuracies, log loss, confusion matrix and calibration."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenelet.utils.text import pluralize

Floats = NDArray[np.floating[Any]]
MIN_WORTH_SHOWN = 1.0  # percentage points


def confusion_matrix(targets: ArrayLike, predictions: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Count the clips of each true and predicted class: (classes, classes), with one row per true class.

    Args:
        targets, predictions: (clips,) true and predicted class indices.
        classes: number of classes.

    Raises:
        ValueError: there are no clips, the lengths differ, or an index is not a class.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    true, predicted = _check_indices(targets, classes), _check_indices(predictions, classes)
    if len(true) != len(predicted):
        raise ValueError(f"{len(true)} targets but {len(predicted)} predictions")
    return np.bincount(true * classes + predicted, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def accuracy(confusion: NDArray[np.int64]) -> float:
    """Compute the fraction of all clips that are classified correctly, from the result of `confusion_matrix`.

    >>> round(accuracy(confusion_matrix([0, 0, 1], [0, 1, 1], classes=2)), 3)
    0.667
    """
    return float(np.trace(confusion) / confusion.sum())


def per_class_accuracy(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the accuracy of each class, which is its recall, from the result of `confusion_matrix`.

    Returns:
        (classes,) with NaN for a class without clips.

    >>> per_class_accuracy(confusion_matrix([0, 0, 1], [0, 1, 1], classes=2)).tolist()
    [0.5, 1.0]
    """
    return _ratio(np.diag(confusion), confusion.sum(axis=1))


def macro_accuracy(confusion: NDArray[np.int64]) -> float:
    """Compute the mean of the classes' accuracies, over the classes that have clips, from the `confusion_matrix`.

    >>> macro_accuracy(confusion_matrix([0, 0, 1], [0, 1, 1], classes=2))
    0.75
    """
    return float(np.nanmean(per_class_accuracy(confusion)))


def log_loss(targets: ArrayLike, probabilities: ArrayLike) -> float:
    """Compute the mean of -ln p(true class) over clips.

    Probabilities are clipped to [eps, 1 - eps], where eps is the epsilon of their floating type, as in scikit-learn.

    Args:
        targets: (clips,) true class indices.
        probabilities: (clips, classes).

    Raises:
        ValueError: there are no clips, the lengths differ, or the values are invalid.

    >>> round(log_loss([0, 1], [[0.5, 0.5], [0.5, 0.5]]), 4)
    0.6931
    """
    return float(clip_losses(targets, probabilities).mean())


def per_class_log_loss(targets: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    """Compute the log loss (classes,) of each class, with NaN for a class without clips; arguments as `log_loss`.

    >>> per_class_log_loss([0, 0], [[0.5, 0.5], [1.0, 0.0]]).round(4).tolist()
    [0.3466, nan]
    """
    losses, classes = clip_losses(targets, probabilities), np.shape(probabilities)[1]
    true = _check_indices(targets, classes)
    return _ratio(np.bincount(true, losses, minlength=classes), np.bincount(true, minlength=classes))


def classification_report(targets: ArrayLike, probabilities: ArrayLike, labels: Sequence[str]) -> dict[str, Any]:
    """Compute every metric, as plain values for JSON.

    Args:
        targets: (clips,) true class indices.
        probabilities: (clips, classes); the highest one is the answer.
        labels: (classes,) names.

    Returns:
        "clips", "accuracy", "macro_accuracy", "log_loss", "per_class" {label: {"accuracy", "precision", "f1",
        "log_loss", "clips"}}, and "confusion" as nested lists with one row per true class. Metrics of a class without
        clips are None, and so is the precision of a class that is never the answer.

    Raises:
        ValueError: there are no clips, the lengths differ, or the values are invalid.

    >>> report = classification_report([0, 1], [[0.9, 0.1], [0.6, 0.4]], ["rain", "sea"])
    >>> report["accuracy"], report["confusion"]
    (0.5, [[1, 0], [1, 0]])
    """
    values = _check_probabilities(probabilities)
    if values.shape[1] != len(labels):
        raise ValueError(f"{values.shape[1]} probabilities per clip but {len(labels)} labels")
    confusion = confusion_matrix(targets, values.argmax(axis=1), len(labels))
    clips, answers, right = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
    by_class = {
        "accuracy": per_class_accuracy(confusion),
        "precision": _ratio(right, answers),
        "f1": _ratio(2 * right, np.where(clips > 0, clips + answers, 0)),
        "log_loss": per_class_log_loss(targets, values),
    }
    return {
        "clips": int(clips.sum()),
        "accuracy": accuracy(confusion),
        "macro_accuracy": macro_accuracy(confusion),
        "log_loss": log_loss(targets, values),
        "per_class": {
            label: {name: _float_or_none(numbers[k]) for name, numbers in by_class.items()} | {"clips": int(clips[k])}
            for k, label in enumerate(labels)
        },
        "confusion": confusion.tolist(),
    }


def clip_worth(counts: Iterable[int]) -> float:
    """Return how many percentage points of macro accuracy one clip of the smallest class is worth.

    Args:
        counts: number of clips of each class; classes without clips do not count.

    >>> clip_worth([2, 5, 0])
    25.0
    """
    present = [count for count in counts if count]
    return 100 / (len(present) * min(present))


def accuracy_text(report: Mapping[str, Any]) -> str:
    """Format the macro accuracy of a `classification_report` with the number of clips behind it.

    >>> accuracy_text(classification_report([0, 1], [[0.9, 0.1], [0.1, 0.9]], ["rain", "sea"]))
    '100.0 % of 2 clips (one clip is worth 50.0 points)'
    """
    worth = clip_worth(row["clips"] for row in report["per_class"].values())
    points = f" (one clip is worth {worth:.1f} points)" if worth >= MIN_WORTH_SHOWN else ""
    return f"{100 * report['macro_accuracy']:.1f} % of {pluralize(report['clips'], 'clip')}{points}"


def reliability(targets: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> dict[str, Any]:
    """Compute the reliability diagram and the expected calibration error (Naeini et al. 2015).

    The bins have equal widths, and a clip belongs to the bin of its answer's probability. An edge belongs to the bin
    below it.

    Args:
        targets, probabilities: as `log_loss`; the highest probability is the answer.
        bins: number of bins from 0 to 1.

    Returns:
        "ece", the mean over clips of the difference between the accuracy and the mean probability of a clip's bin.
        "bins", each with "low", "high", "clips", "right" (correct answers), "confidence" (mean probability) and
        "accuracy". The last two are None in an empty bin.

    Raises:
        ValueError: as `log_loss`.

    >>> round(reliability([0, 1], [[0.9, 0.1], [0.3, 0.7]])["ece"], 3)
    0.2
    """
    values = _check_probabilities(probabilities).astype(np.float64)
    true = _check_indices(targets, values.shape[1])
    top, hits = values.max(axis=1), values.argmax(axis=1) == true
    edges = np.linspace(0, 1, bins + 1)
    index = np.searchsorted(edges[1:-1], top)
    clips, right = np.bincount(index, minlength=bins), np.bincount(index, weights=hits, minlength=bins)
    confidence = _ratio(np.bincount(index, weights=top, minlength=bins), clips)
    accuracies = _ratio(right, clips)
    gaps = np.nan_to_num(np.abs(accuracies - confidence))
    rows = [
        {
            "low": float(edges[b]),
            "high": float(edges[b + 1]),
            "clips": int(clips[b]),
            "right": int(right[b]),
            "confidence": _float_or_none(confidence[b]),
            "accuracy": _float_or_none(accuracies[b]),
        }
        for b in range(bins)
    ]
    return {"ece": float((gaps * clips).sum() / clips.sum()), "bins": rows}


def _ratio(parts: NDArray[Any], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide two arrays; the result is NaN if the count is 0."""
    ratio: NDArray[np.float64] = np.divide(parts, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return ratio


def _float_or_none(value: np.floating[Any]) -> float | None:
    return None if np.isnan(value) else float(value)


def clip_losses(targets: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    """Compute -ln p(true class) of each clip (clips,), with the arguments and the clipping of `log_loss`.

    >>> clip_losses([0, 1], [[0.5, 0.5], [0.75, 0.25]]).round(4).tolist()
    [0.6931, 1.3863]
    """
    values = _check_probabilities(probabilities)
    true = _check_indices(targets, values.shape[1])
    if len(true) != len(values):
        raise ValueError(f"{len(true)} targets but {len(values)} rows of probabilities")
    eps = np.finfo(values.dtype).eps
    losses: NDArray[np.float64] = -np.log(np.clip(values[np.arange(len(true)), true], eps, 1 - eps).astype(np.float64))
    return losses


def _check_probabilities(probabilities: ArrayLike) -> Floats:
    values = np.asarray(probabilities)
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float64)
    if values.ndim != 2 or not ((values >= 0) & (values <= 1 + 1e-6)).all():
        raise ValueError("probabilities must be (clips, classes) numbers from 0 to 1")
    return values


def _check_indices(values: ArrayLike, classes: int) -> NDArray[np.int64]:
    indices = np.asarray(values)
    if indices.ndim != 1 or len(indices) == 0 or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError("targets and predictions must be (clips,) class indices, at least one")
    if indices.min() < 0 or indices.max() >= classes:
        raise ValueError(f"class indices must be from 0 to {classes - 1}")
    return indices.astype(np.int64)
