"""Measure a model file on labelled recordings, by the very path that prediction takes."""

from pathlib import Path
from typing import Any

import numpy as np

from scenelet.classifier import load
from scenelet.config import SplitConfig
from scenelet.console import say, track
from scenelet.data.sources import load_table
from scenelet.data.splits import make_split
from scenelet.data.table import Clip, ClipTable
from scenelet.data.tau import is_tau_root
from scenelet.errors import DataError, UsageError
from scenelet.metrics import summary
from scenelet.reports.evaluation import ClipResult, write_report

SPLITS = ("test", "validation", "train", "all")


def evaluate(
    model: str,
    data: Path,
    out: Path | None = None,
    *,
    fold: str | None = None,
    split: str = "test",
    audio_dir: Path | None = None,
) -> dict[str, Any]:
    """Predict every clip of a split and compare with its label; returns what `report.json` holds.

    Args:
        model: a `.scn` file or a built-in name.
        data: labelled recordings, as for training.
        out: folder for `report.json` and `predictions.csv`; None writes nothing.
        fold: which fold is the test side; None: as in the model's training.
        split: "test", "validation", "train", or "all".
        audio_dir: where a CSV's files lie.

    Raises:
        SceneletError: model or data cannot be used, or a clip has a label the model does not know.
    """
    classifier = load(model)
    provenance = classifier.model.provenance
    table = load_table(data, audio_dir, bool(provenance.get("three_classes", False)) and is_tau_root(data))
    say(table.describe())
    clips = _choose(table, split, fold, provenance.get("split", {}))
    unknown = sorted({clip.label for clip in clips} - set(classifier.labels))
    if unknown:
        raise DataError(
            f"{data}: label {unknown[0]!r} is not one of the model's ({', '.join(classifier.labels)});"
            " rename it or leave these clips out"
        )
    results = []
    for clip in track(clips, "Evaluating", len(clips)):
        prediction = classifier.predict(clip.path)
        results.append(ClipResult(clip, prediction.label, tuple(prediction.probabilities.values())))
    targets = np.array([classifier.labels.index(clip.label) for clip in clips])
    report = summary(targets, np.array([result.probabilities for result in results], np.float32), classifier.labels)
    report |= {
        "model": str(model),
        "data": table.describe(),
        "made": table.made,
        "split": split,
        "fold": fold or provenance.get("split", {}).get("fold"),
    }
    if out is not None:
        write_report(out, report, results, classifier.labels)
    return report


def _choose(table: ClipTable, split: str, fold: str | None, trained: dict[str, Any]) -> tuple[Clip, ...]:
    if split not in SPLITS:
        raise UsageError(f"--split {split}: it is one of {', '.join(SPLITS)}")
    if split == "all":
        return table.clips
    settings = SplitConfig.model_validate({k: v for k, v in trained.items() if k in SplitConfig.model_fields})
    if fold is None and settings.fold is not None and settings.fold not in table.folds:
        raise DataError(
            f"{table.root}: the model was trained with fold {settings.fold} held out, and this data has no such fold;"
            " use --split all to measure every clip, or --fold"
        )
    if fold is not None:
        if settings.fold not in (None, fold):
            say(f"warning: the model was trained with fold {settings.fold} held out; it has heard other folds")
        settings = settings.model_copy(update={"fold": fold})
    chosen = make_split(table, settings)
    say(chosen.description)
    clips: tuple[Clip, ...] = getattr(chosen, split)
    if not clips:
        raise DataError(f"{table.root}: its {split} split is empty; use --split all to measure every clip")
    return clips
