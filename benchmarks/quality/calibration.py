"""Measure what a temperature does to the probabilities of models of all folds.

    python -m benchmarks.quality.calibration MODEL.scn [MODEL.scn ...] --data ESC10

Each model is tested on the fold that its training held out. There is one model per fold and number format. The
benchmark prints two Markdown tables. In the first, the temperature of a fold comes from the clips of the other folds,
which their own models predict: log loss and expected calibration error before and after, and the difference of the log
loss with its 95 % interval. In the second, it comes from a few clips of the fold, with and without the penalty of
`scenelet.training.compression.calibration`, and the others test it: the mean difference over `DRAWS` draws per fold.
"""

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from scenelet.data.clips import Clip
from scenelet.data.load import load_table
from scenelet.errors import DataError, SceneletError
from scenelet.evaluation.bootstrap import clip_mean, interval_text
from scenelet.evaluation.metrics import clip_losses, reliability
from scenelet.evaluation.subset import trained_split
from scenelet.inference.calibration import apply_temperature, stored_calibration
from scenelet.inference.classifier import Classifier, load
from scenelet.training.compression import calibration
from scenelet.training.probabilities import mean_over_windows
from scenelet.utils.console import track

CLIPS, DRAWS = (5, 10, 20, 40), 50
"""Numbers of clips that a temperature is found on, and draws of these clips."""


@dataclass(frozen=True)
class Answers:
    """Clips with the probabilities of their windows."""

    targets: NDArray[np.int64]  # (clips,)
    groups: tuple[str, ...]
    windows: tuple[NDArray[np.float32], ...]  # (windows, classes) of each clip

    def take(self, clips: Sequence[int] | NDArray[np.int64]) -> "Answers":
        """Return some of the clips."""
        groups, windows = tuple(self.groups[i] for i in clips), tuple(self.windows[i] for i in clips)
        return Answers(self.targets[list(clips)], groups, windows)

    def probabilities(self, temperature: float) -> NDArray[np.float32]:
        """Return the probabilities (clips, classes) with a temperature."""
        return mean_over_windows(apply_temperature(np.concatenate(self.windows), temperature), self.counts)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of windows of each clip."""
        return np.array([len(rows) for rows in self.windows])

    def temperature(self) -> float:
        """Return the temperature that `compress` would store."""
        return calibration.find_temperature(self.targets, np.concatenate(self.windows), self.counts)


def join(answers: Sequence[Answers]) -> Answers:
    """Join the clips of several folds."""
    targets = np.concatenate([own.targets for own in answers])
    groups = tuple(group for own in answers for group in own.groups)
    windows = tuple(rows for own in answers for rows in own.windows)
    return Answers(targets, groups, windows)


def predict(classifier: Classifier, clips: Sequence[Clip]) -> Answers:
    """Predict clips, without the model's own temperature."""
    stored = stored_calibration(classifier.model.results)
    undo = 1 / stored.temperature if stored else 1.0
    found = track(classifier.predict_many(clip.path for clip in clips), "Predicting", len(clips))
    windows = tuple(apply_temperature(prediction.windows, undo) for prediction in found)
    targets = np.array([classifier.labels.index(clip.label) for clip in clips])
    return Answers(targets, tuple(clip.group for clip in clips), windows)


def row(kind: str, fold: str, own: Answers, temperature: str, after: NDArray[np.float32]) -> str:
    """Return a row of the first table."""
    before = own.probabilities(1)
    losses = [clip_losses(own.targets, answers) for answers in (before, after)]
    difference = clip_mean(losses[1] - losses[0], own.groups, np.random.default_rng(0))
    interval = interval_text(vars(difference), 3, sign=True)
    means = " | ".join(f"{loss.mean():.3f}" for loss in losses)
    errors = " | ".join(f"{reliability(own.targets, answers)['ece']:.3f}" for answers in (before, after))
    return f"| {kind} | {fold} | {len(own.targets)} | {temperature} | {means} | {interval} | {errors} |"


def cross_fitted(kind: str, folds: dict[str, Answers]) -> list[str]:
    """Return a row for each fold, with the temperature of the others, and one for all folds."""
    rows, calibrated = [], []
    for fold, own in sorted(folds.items()):
        temperature = join([other for name, other in folds.items() if name != fold]).temperature()
        calibrated.append(own.probabilities(temperature))
        rows.append(row(kind, fold, own, f"{temperature:.2f}", calibrated[-1]))
    everything = join([own for _, own in sorted(folds.items())])
    return [*rows, row(kind, "all", everything, "", np.concatenate(calibrated))]


def few_clips(kind: str, folds: dict[str, Answers]) -> list[str]:
    """Return a row for each number of clips that the temperature is found on."""
    rows = []
    for count in CLIPS:
        changes = defaultdict(list)
        for own in folds.values():
            rng = np.random.default_rng(0)
            for _ in range(DRAWS):
                order = rng.permutation(len(own.targets))
                few, others = own.take(order[:count]), own.take(order[count:])
                before = clip_losses(others.targets, others.probabilities(1)).mean()
                for deviation in (math.inf, calibration.PRIOR_DEVIATION):
                    with patch.object(calibration, "PRIOR_DEVIATION", deviation):
                        after = others.probabilities(few.temperature())
                    changes[deviation].append(clip_losses(others.targets, after).mean() - before)
        means = " | ".join(f"{np.mean(found):+.3f} | {np.quantile(found, 0.95):+.3f}" for found in changes.values())
        rows.append(f"| {kind} | {count} | {means} |")
    return rows


def main() -> None:
    """Read the command line, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help="model that was trained without one of the folds")
    parser.add_argument("--data", type=Path, required=True, help="data set with folds")
    options = parser.parse_args()
    folds: dict[str, dict[str, Answers]] = defaultdict(dict)  # by number format
    try:
        clips = load_table(options.data).clips
        for name in options.models:
            classifier = load(name)
            fold = trained_split(classifier.model.provenance).fold
            held_out = [clip for clip in clips if clip.fold == fold]
            if not held_out:
                raise DataError(f"{name}: its training held out fold {fold}, which {options.data} does not have")
            folds[str(classifier.model.provenance.get("dtype"))][str(fold)] = predict(classifier, held_out)
    except SceneletError as error:
        sys.exit(f"error: {error}")
    print("| format | fold | clips | temperature | log loss | after | difference | calibration error | after |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind, answers in folds.items():
        print(*cross_fitted(kind, answers), sep="\n", flush=True)
    print("\n| format | clips | without penalty: mean | 95th percentile | with it: mean | 95th percentile |")
    print("|---|---|---|---|---|---|")
    for kind, answers in folds.items():
        print(*few_clips(kind, answers), sep="\n", flush=True)


if __name__ == "__main__":
    main()
