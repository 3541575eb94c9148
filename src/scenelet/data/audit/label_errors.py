"""Labels that the other recordings contradict: what a small classifier says of clips that it has not heard.

A multinomial logistic regression is trained on textures without a part of the groups, and asked about that part. Clips
are ranked by how much less likely than another class their own is (self-confidence; Northcutt, Jiang and Chuang,
Confident learning: estimating uncertainty in dataset labels, 2021). That paper's thresholds for each class are left
out: on ESC-10 they hide about a fifth of the planted labels.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from scenelet.data.audit.texture import PARTS
from scenelet.data.clips import Clip
from scenelet.utils.text import pluralize

Numbers = NDArray[np.float64]

MIN_SCORE = 0.75  # three to one against the label
PENALTY = 0.3  # on half the sum of the squared weights
STEPS = 100
SUMS_AT_ONCE = 1 << 18  # of a product; in a larger one BLAS puts threads on it, which cost more than they save here
PARTS_HELD_OUT = 5
LEAST_CLIPS, LEAST_GROUPS = 8, 4  # of each class, to know what it sounds like without one part
MIN_SKILL = 1 / 3  # of the way from guessing to no mistake; below, its disagreement means nothing


@dataclass(frozen=True)
class LabelIssue:
    """A clip whose label the others contradict.

    Attributes:
        clip: the clip.
        sounds_like: the most likely of the other labels.
        probability: of that label, 0 to 1.
        own: of the label that the clip has.
        score: probability / (probability + own); 0.5 is undecided.
    """

    clip: Clip
    sounds_like: str
    probability: float
    own: float

    @property
    def score(self) -> float:
        """How sure it is, 0 to 1."""
        return self.probability / (self.probability + self.own)


def find_label_issues(clips: Sequence[Clip], textures: Sequence[NDArray[np.float32]]) -> list[LabelIssue] | str:
    """The clips whose label is not the likeliest, surest first; or why labels cannot be compared.

    Clips of `rare_classes` are left out. The same clips give the same suspects.

    Args:
        clips: some of a table's.
        textures: (`scenelet.data.audit.texture.LENGTH`,) of each.
    """
    rare = rare_classes(clips)
    textures = [texture for clip, texture in zip(clips, textures, strict=True) if clip.label not in rare]
    clips = [clip for clip in clips if clip.label not in rare]
    if len({clip.label for clip in clips}) < 2:
        return f"fewer than two classes have at least {LEAST_CLIPS} clips, of {LEAST_GROUPS} groups"
    labels = sorted({clip.label for clip in clips})
    targets = np.array([labels.index(clip.label) for clip in clips])
    probabilities = held_out_probabilities(np.stack(textures), targets, assign_folds(clips))
    right = probabilities.argmax(axis=1) == targets
    accuracy = float(np.mean([right[targets == k].mean() for k in range(len(labels))]))
    chance = 1 / len(labels)
    if accuracy < chance + MIN_SKILL * (1 - chance):
        return f"a small classifier tells the classes apart too rarely ({100 * accuracy:.0f} % of held-out clips)"
    found = []
    for clip, target, row in zip(clips, targets, probabilities, strict=True):
        other = int(np.argmax(row))
        if other != target:
            found.append(LabelIssue(clip, labels[other], float(row[other]), float(row[target])))
    return sorted(found, key=lambda suspect: (-suspect.score, suspect.clip.name))


def rare_classes(clips: Sequence[Clip]) -> dict[str, str]:
    """Label -> "2 clips of 1 group" of the classes that are too rare to know what they sound like without one part."""
    count = Counter(clip.label for clip in clips)
    groups = Counter(label for label, _ in {(clip.label, clip.group) for clip in clips})
    return {
        label: f"{pluralize(count[label], 'clip')} of {pluralize(groups[label], 'group')}"
        for label in sorted(count)
        if count[label] < LEAST_CLIPS or groups[label] < LEAST_GROUPS
    }


def assign_folds(clips: Sequence[Clip]) -> NDArray[np.int64]:
    """(clips,): which part each is held out with: its fold, where all have one and none cuts a group in two.

    Else groups are dealt out class by class.
    """
    part_of: dict[str, int] = {}
    folds = sorted({clip.fold or "" for clip in clips})
    whole = len({(clip.group, clip.fold) for clip in clips}) == len({clip.group for clip in clips})
    if len(folds) > 2 and "" not in folds and whole:
        part_of = {clip.group: folds.index(clip.fold or "") for clip in clips}
    else:
        sizes = Counter((clip.label, clip.group) for clip in clips)
        filled = np.zeros((len({clip.label for clip in clips}), PARTS_HELD_OUT), int)
        rows = {label: row for row, label in enumerate(sorted({clip.label for clip in clips}))}
        for (label, group), size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
            part = part_of.setdefault(group, int(np.argmin(filled[rows[label]])))
            filled[rows[label], part] += size
    return np.array([part_of[clip.group] for clip in clips])


def held_out_probabilities(
    textures: NDArray[np.float32], targets: NDArray[np.int64], parts: NDArray[np.int64]
) -> Numbers:
    """(clips, classes) from a classifier that was trained without the clip's part."""
    classes = int(targets.max()) + 1
    probabilities = np.zeros((len(targets), classes))
    for part in np.unique(parts):
        held = parts == part
        mean, scale = _scaling(textures[~held])
        weights = fit_logistic((textures[~held] - mean) / scale, targets[~held], classes)
        scores = _with_one((textures[held] - mean) / scale) @ weights
        probabilities[held] = np.exp(log_softmax(scores, axis=1))
    return probabilities


def _scaling(textures: NDArray[np.float32]) -> tuple[Numbers, Numbers]:
    """Mean and scale of each number: each kind of them weighs the same, however many there are."""
    kinds = np.sqrt(np.repeat(PARTS, PARTS))
    return textures.mean(axis=0, dtype=np.float64), (textures.std(axis=0, dtype=np.float64) + 1e-6) * kinds


def fit_logistic(x: Numbers, targets: NDArray[np.int64], classes: int, steps: int = STEPS) -> Numbers:
    """Penalised multinomial logistic regression: weights (features + 1, classes), the last row being the offsets.

    Minimizes by L-BFGS the sum of log losses, where every class weighs the same, plus `PENALTY` / 2 times the sum of
    the squared weights (offsets are free).
    """
    x = _with_one(x)
    wanted = np.eye(classes)[targets]
    counts = wanted.sum(axis=0)
    weight = (len(x) / np.count_nonzero(counts) / np.maximum(counts, 1))[targets][:, None]
    penalty = np.full((x.shape[1], 1), PENALTY)
    penalty[-1] = 0.0
    rows = max(1, SUMS_AT_ONCE // (x.shape[1] * classes))
    parts = [slice(start, start + rows) for start in range(0, len(x), rows)]

    def loss(flat: Numbers) -> tuple[float, Numbers]:
        weights = flat.reshape(x.shape[1], classes)
        total, gradient = 0.5 * float((penalty * weights**2).sum()), penalty * weights
        for part in parts:
            logs = log_softmax(x[part] @ weights, axis=1)
            total -= float((weight[part] * logs * wanted[part]).sum())
            gradient += x[part].T @ (weight[part] * (np.exp(logs) - wanted[part]))
        return total, gradient.ravel()

    result = minimize(loss, np.zeros(x.shape[1] * classes), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    return np.asarray(result.x).reshape(x.shape[1], classes)


def _with_one(x: Numbers) -> Numbers:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)
