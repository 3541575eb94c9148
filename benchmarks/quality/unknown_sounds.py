"""Measure how often models answer "unsure" to sounds of classes that were left out of their training.

    python -m benchmarks.quality.unknown_sounds MODEL.scn [MODEL.scn ...] --data ESC10 --fold 1 --unknown FOLDER

Each model is trained without some classes of the data and tested on the fold, as here without dogs and rain:

    grep -v -e ,dog, -e ,rain, ESC10/meta.csv > eight.csv
    scenelet train eight.csv --audio-dir ESC10/audio --recipe low_complexity --fold 1 --out run
    scenelet compress run --out eight.scn

It prints a Markdown table of the recordings that are answered "unsure": clips of the model's classes in the fold, all
clips of the other classes, and the recordings in FOLDER. Three rules are compared:

- probability: the highest probability is below the threshold that 95 % of the first kind of clips reach.
- similarity: the similarity is below the minimum in the model file.
- both: the answer of `scenelet predict`, which also has the threshold on the probability that is in the model file.

The intervals are bootstrap intervals over recordings. They do not cover the variation between trainings.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scenelet.data.clips import Clip
from scenelet.data.load import load_table
from scenelet.errors import SceneletError, UsageError
from scenelet.evaluation.bootstrap import clip_mean
from scenelet.inference.classifier import Classifier, load
from scenelet.inference.prediction import Prediction
from scenelet.training.compression.known_sounds import lowest_similarity
from scenelet.utils.console import track

RULES = ("probability", "similarity", "both")


class Answer(NamedTuple):
    """Answer to one recording: its original recording, highest probability, similarity, and whether it is unsure."""

    group: str
    probability: float
    similarity: float
    unsure: bool


def answers(classifier: Classifier, clips: Sequence[tuple[Path, str]], description: str) -> list[Answer]:
    """Classify recordings, given with their groups. Those without a class (silence) are left out."""
    found = []
    predictions = classifier.predict_many(track([path for path, _ in clips], description, len(clips)))
    for (_, group), prediction in zip(clips, predictions, strict=True):
        if prediction.similarity is not None:
            found.append(_answer(group, prediction))
    return found


def _answer(group: str, prediction: Prediction) -> Answer:
    assert prediction.similarity is not None
    return Answer(group, max(prediction.probabilities.values()), prediction.similarity, prediction.unsure)


def unsure_by_rule(known: Sequence[Answer], found: Sequence[Answer], min_similarity: float) -> dict[str, list[bool]]:
    """Return for each rule whether each answer is unsure.

    Args:
        known: answers to clips of the model's classes, which set the threshold of the rule "probability".
        found: the answers to judge.
        min_similarity: the minimum in the model file.

    >>> known = [Answer("a", 0.8, 0.9, False)] * 20
    >>> unsure_by_rule(known, [Answer("b", 0.9, 0.5, True), Answer("c", 0.7, 0.95, False)], 0.6)
    {'probability': [False, True], 'similarity': [True, False], 'both': [True, False]}
    """
    threshold = lowest_similarity([answer.probability for answer in known])
    return {
        "probability": [answer.probability < threshold for answer in found],
        "similarity": [answer.similarity < min_similarity for answer in found],
        "both": [answer.unsure for answer in found],
    }


def measure(
    models: Sequence[str], clips: Sequence[Clip], fold: str, background: Sequence[Path]
) -> dict[str, list[tuple[str, dict[str, bool]]]]:
    """Return, for each kind of recording, the group of each answer and whether each rule calls it unsure.

    Raises:
        UsageError: a model has no known sounds, or knows all classes.
    """
    results: dict[str, list[tuple[str, dict[str, bool]]]] = {}
    for name in models:
        classifier = load(name)
        labels = set(classifier.labels)
        kinds = {
            "known clips": [(clip.path, clip.group) for clip in clips if clip.label in labels and clip.fold == fold],
            "unknown classes": [(clip.path, clip.group) for clip in clips if clip.label not in labels],
            "background": [(path, path.name) for path in background],
        }
        if classifier.model.known is None:
            raise UsageError(f"{name}: has no known sounds; compress its run with a fold of at least 59 clips")
        if not kinds["unknown classes"]:
            raise UsageError(f"{name}: knows all classes of the data; train a model without some of them")
        found = {kind: answers(classifier, paths, f"{name}, {kind}") for kind, paths in kinds.items()}
        for kind, rows in found.items():
            flags = unsure_by_rule(found["known clips"], rows, classifier.min_similarity)
            results.setdefault(kind, []).extend(
                (row.group, {rule: flags[rule][index] for rule in RULES}) for index, row in enumerate(rows)
            )
    return results


def table(results: dict[str, list[tuple[str, dict[str, bool]]]]) -> str:
    """Return a Markdown table with the percentage of unsure answers by kind and rule, with intervals."""
    lines = ["| recordings | answers | probability | similarity | both |", "|---|---|---|---|---|"]
    for kind, rows in results.items():
        cells = []
        for rule in RULES:
            values, groups = [flags[rule] for _, flags in rows], [group for group, _ in rows]
            interval = clip_mean(np.array(values, float), groups, np.random.default_rng(0))
            ends = (f"{100 * end:.0f}" for end in (interval.low or 0.0, interval.high or 1.0))
            cells.append(f"{100 * interval.value:.1f} [{', '.join(ends)}]")
        lines.append(f"| {kind} | {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Classify all recordings with each model, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fold", default="1")
    parser.add_argument("--unknown", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    try:
        clips = load_table(options.data).clips
        background = sorted(path for folder in options.unknown for path in folder.iterdir() if path.is_file())
        print(table(measure(options.models, clips, options.fold, background)))
    except SceneletError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
