"""Label errors: labels that a small classifier, trained on the other recordings, contradicts.

A multinomial logistic regression is trained on the textures of all folds but one, and predicts that fold. Clips are
ranked by the odds of another class against their label (self-confidence; Northcutt, Jiang and Chuang,
Confident learning: estimating uncertainty in dataset labels, 2021). The paper's thresholds per class are not used: on
ESC-10 they hide about a fifth of the planted errors.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from scenelet.data.audit.texture import KIND_LENGTHS
from scenelet.data.clips import Clip
from scenelet.utils.text import pluralize

Numbers = NDArray[np.float64]

MIN_SCORE = 0.75
"""Minimum score of a reported label: three to one against it."""
PENALTY = 0.3
"""Factor of half the sum of the squared weights."""
STEPS = 100
MAX_PRODUCT_TERMS = 1 << 18
"""Maximum size of a matrix product. BLAS uses threads for larger ones, which cost more than they save here."""
N_FOLDS = 5
MIN_CLIPS, MIN_GROUPS = 8, 4
"""Minimum number of clips and groups per class, so that it can be learned without one fold."""
MAX_TRAINING_CLIPS = 20_000
"""Maximum number of clips that a classifier learns from. It has 511 weights per class."""
MAX_PREDICTED_CLIPS = 1 << 14
"""Maximum number of clips that are predicted at once."""
MIN_SKILL = 1 / 3
"""Minimum skill of the classifier, from 0 (guessing) to 1 (no error). Below it, disagreement means nothing."""


class LabelIssue(NamedTuple):
    """Clip whose label the other clips contradict.

    Attributes:
        clip: the clip.
        sounds_like: the most likely of the other labels.
        score: confidence that the label is wrong: the probability of `sounds_like`, as a fraction of the sum of both
            labels' probabilities; 0.5 is undecided.
    """

    clip: Clip
    sounds_like: str
    score: float


def find_label_issues(clips: Sequence[Clip], textures: Sequence[NDArray[np.float32]]) -> list[LabelIssue] | str:
    """Return the clips whose label is not the most likely one, or the reason why labels cannot be compared.

    The highest scores come first. Clips of `rare_classes` are left out. The same clips give the same result.

    Args:
        clips: some clips of a table.
        textures: texture (`scenelet.data.audit.texture.LENGTH`,) of each clip.
    """
    rare = rare_classes(clips)
    compared = [index for index, clip in enumerate(clips) if clip.label not in rare]
    clips, textures = [clips[index] for index in compared], [textures[index] for index in compared]
    labels = sorted({clip.label for clip in clips})
    if len(labels) < 2:
        return f"fewer than two classes have at least {MIN_CLIPS} clips, of {MIN_GROUPS} groups"
    targets = np.array([labels.index(clip.label) for clip in clips])
    probabilities = held_out_probabilities(np.stack(textures), targets, assign_folds(clips))
    answers = probabilities.argmax(axis=1)
    accuracy = float(np.mean([(answers[targets == k] == k).mean() for k in range(len(labels))]))
    chance = 1 / len(labels)
    if accuracy < chance + MIN_SKILL * (1 - chance):
        return f"a small classifier confuses the classes too often ({100 * accuracy:.0f} % of held-out clips are right)"
    found = [
        LabelIssue(clip, labels[answer], float(row[answer] / (row[answer] + row[target])))
        for clip, target, answer, row in zip(clips, targets, answers, probabilities, strict=True)
        if answer != target
    ]
    return sorted(found, key=lambda issue: (-issue.score, issue.clip.name))


def rare_classes(clips: Sequence[Clip]) -> dict[str, str]:
    """Return the size of each class that is too rare to learn it without one fold, e.g. "2 clips of 1 group"."""
    count = Counter(clip.label for clip in clips)
    groups = Counter(label for label, _ in {(clip.label, clip.group) for clip in clips})
    return {
        label: f"{pluralize(count[label], 'clip')} of {pluralize(groups[label], 'group')}"
        for label in sorted(count)
        if count[label] < MIN_CLIPS or groups[label] < MIN_GROUPS
    }


def assign_folds(clips: Sequence[Clip]) -> NDArray[np.int64]:
    """Return the fold of each clip, (clips,): the data's own fold if all clips have one and no group is divided.

    Otherwise groups are distributed over `N_FOLDS` folds, class by class.
    """
    folds = sorted({clip.fold or "" for clip in clips})
    no_group_divided = len({(clip.group, clip.fold) for clip in clips}) == len({clip.group for clip in clips})
    if len(folds) > 2 and "" not in folds and no_group_divided:
        return np.array([folds.index(clip.fold or "") for clip in clips])
    fold_of: dict[str, int] = {}
    fold_sizes = {clip.label: np.zeros(N_FOLDS, int) for clip in clips}
    sizes = Counter((clip.label, clip.group) for clip in clips)
    for (label, group), size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        fold = fold_of.setdefault(group, int(np.argmin(fold_sizes[label])))
        fold_sizes[label][fold] += size
    return np.array([fold_of[clip.group] for clip in clips])


def held_out_probabilities(
    textures: NDArray[np.float32], targets: NDArray[np.int64], folds: NDArray[np.int64]
) -> Numbers:
    """Predict each clip by a classifier that was trained without the clip's fold: probabilities (clips, classes).

    Args:
        textures: (clips, `scenelet.data.audit.texture.LENGTH`).
        targets: class of each clip, (clips,).
        folds: fold of each clip, (clips,).
    """
    classes = int(targets.max()) + 1
    kinds = np.sqrt(np.repeat(KIND_LENGTHS, KIND_LENGTHS))  # so each kind has the same weight, whatever its length
    probabilities = np.zeros((len(targets), classes))
    for fold in np.unique(folds):
        learned = _some_of_each_class(np.flatnonzero(folds != fold), targets)
        train = textures[learned].astype(np.float64)
        mean, scale = train.mean(axis=0), (train.std(axis=0) + 1e-6) * kinds
        weights = fit_logistic((train - mean) / scale, targets[learned], classes)
        held_out = np.flatnonzero(folds == fold)
        for start in range(0, len(held_out), MAX_PREDICTED_CLIPS):
            part = held_out[start : start + MAX_PREDICTED_CLIPS]
            probabilities[part] = np.exp(_log_softmax(_add_ones((textures[part] - mean) / scale) @ weights))
    return probabilities


def _some_of_each_class(clips: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the same fraction of the clips of each class, about `MAX_TRAINING_CLIPS` in all, evenly spaced."""
    if len(clips) <= MAX_TRAINING_CLIPS:
        return clips
    kept = []
    for target in np.unique(targets[clips]):
        own = clips[targets[clips] == target]
        count = max(min(MIN_CLIPS, len(own)), len(own) * MAX_TRAINING_CLIPS // len(clips))
        kept.append(own[np.arange(count) * len(own) // count])
    return np.sort(np.concatenate(kept))


def fit_logistic(
    x: Numbers, targets: NDArray[np.int64], classes: int, steps: int = STEPS, max_product_terms: int = MAX_PRODUCT_TERMS
) -> Numbers:
    """Fit a penalized multinomial logistic regression: weights (features + 1, classes), offsets in the last row.

    L-BFGS minimizes the sum of log losses plus `PENALTY` / 2 times the sum of the squared weights. Every class has the
    same weight in the loss. Offsets are not penalized.
    """
    x = _add_ones(x)
    one_hot = np.eye(classes)[targets]
    counts = one_hot.sum(axis=0)
    weight = (len(x) / np.count_nonzero(counts) / np.maximum(counts, 1))[targets][:, None]
    penalty = np.full((x.shape[1], 1), PENALTY)
    penalty[-1] = 0.0
    rows = max(1, max_product_terms // (x.shape[1] * classes))
    batches = [slice(start, start + rows) for start in range(0, len(x), rows)]

    def loss(flat: Numbers) -> tuple[float, Numbers]:
        weights = flat.reshape(x.shape[1], classes)
        total, gradient = 0.5 * float((penalty * weights**2).sum()), penalty * weights
        for batch in batches:
            logs = _log_softmax(x[batch] @ weights)
            total -= float((weight[batch] * logs * one_hot[batch]).sum())
            gradient += x[batch].T @ (weight[batch] * (np.exp(logs) - one_hot[batch]))
        return total, gradient.ravel()

    result = minimize(loss, np.zeros(x.shape[1] * classes), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    return np.asarray(result.x).reshape(x.shape[1], classes)


def _log_softmax(x: Numbers) -> Numbers:
    """Return the logarithm of the softmax of each row, in a fifth of the time of `scipy.special.log_softmax`."""
    shifted = x - x.max(axis=1, keepdims=True)
    logs: Numbers = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


def _add_ones(x: Numbers) -> Numbers:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)
