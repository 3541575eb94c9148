"""A system's hits and losses for each test clip, pooled over its trials, and the mean over several systems."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scenelet.evaluation.metrics import clip_losses
from scenelet.experiments.results import TrialResult

Key = tuple[str, str]
"""The held-out part, and the name of a test clip."""


@dataclass(frozen=True)
class Answers:
    """Hits and losses of the test clips. Each array is (clips,).

    Attributes:
        keys: what identifies each clip.
        targets: index of the label.
        groups: the clips' groups.
        devices: the recording devices; None if unknown.
        is_seen: True if the clip's device was seen in training, None if unknown.
        hits: 0 to 1, the mean over seeds.
        losses: -ln p(label), the mean over seeds.
    """

    keys: list[Key]
    targets: NDArray[np.int64]
    groups: NDArray[np.object_]
    devices: NDArray[np.object_]
    is_seen: NDArray[np.object_]
    hits: NDArray[np.float64]
    losses: NDArray[np.float64]


def pool(trials: Sequence[TrialResult]) -> Answers:
    """Pool the test clips of at least one trial, and average each clip over seeds."""
    seeds: dict[Key, list[tuple[bool, float]]] = defaultdict(list)
    facts: dict[Key, tuple[int, str, str | None, bool | None]] = {}
    for trial in trials:
        probabilities = np.array([clip.probabilities for clip in trial.clips], np.float32)
        targets = [trial.labels.index(clip.label) for clip in trial.clips]
        answers, losses = probabilities.argmax(axis=1), clip_losses(targets, probabilities)
        for clip, target, answer, loss in zip(trial.clips, targets, answers, losses, strict=True):
            key = trial.held_out, clip.name
            is_known = clip.device is not None and bool(trial.train_devices)
            is_seen = clip.device in trial.train_devices if is_known else None
            facts[key] = target, clip.group, clip.device, is_seen
            seeds[key].append((answer == target, loss))
    ordered = [facts[key] for key in seeds]
    return Answers(
        keys=list(seeds),
        targets=np.array([target for target, *_ in ordered]),
        groups=np.array([group for _, group, *_ in ordered], object),
        devices=np.array([device for _, _, device, _ in ordered], object),
        is_seen=np.array([is_seen for *_, is_seen in ordered], object),
        hits=np.array([np.mean([hit for hit, _ in found]) for found in seeds.values()]),
        losses=np.array([np.mean([loss for _, loss in found]) for found in seeds.values()]),
    )


def mean_answers(systems: Sequence[Answers]) -> Answers | None:
    """Average each clip over systems; returns None if their test clips differ.

    The macro accuracy of the result is the mean of theirs. A draw of groups, for an interval, serves all systems.
    """
    first, *others = systems
    if any(set(other.keys) != set(first.keys) for other in others):
        return None
    aligned = [first, *(_in_order(other, first.keys) for other in others)]
    is_seen = [
        values[0] if len(set(values)) == 1 else None for values in zip(*(a.is_seen for a in aligned), strict=True)
    ]
    return replace(
        first,
        is_seen=np.array(is_seen, object),
        hits=np.mean([answers.hits for answers in aligned], axis=0),
        losses=np.mean([answers.losses for answers in aligned], axis=0),
    )


def _in_order(answers: Answers, keys: Sequence[Key]) -> Answers:
    index_of = {key: index for index, key in enumerate(answers.keys)}
    order = [index_of[key] for key in keys]
    return replace(
        answers,
        keys=list(keys),
        **{
            name: getattr(answers, name)[order]
            for name in ("targets", "groups", "devices", "is_seen", "hits", "losses")
        },
    )
