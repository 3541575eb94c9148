"""Measure a model file on labelled recordings, by the very path that prediction takes."""

from pathlib import Path
from typing import Any

from scenelet.classifier import load
from scenelet.config import SplitConfig
from scenelet.console import say, track
from scenelet.data.sources import load_table
from scenelet.data.splits import fingerprint, make_split
from scenelet.data.table import Clip, ClipTable
from scenelet.data.tau import is_tau_root
from scenelet.errors import AudioError, DataError, UsageError, did_you_mean
from scenelet.reports.evaluation import ClipResult, write_report
from scenelet.reports.places import city_figures, figures

SPLITS = ("test", "validation", "train", "all")


def evaluate(
    model: str,
    data: Path,
    out: Path | None = None,
    *,
    fold: str | None = None,
    split: str | None = None,
    unused: bool = False,
    audio_dir: Path | None = None,
) -> dict[str, Any]:
    """Predict every clip of a split and compare with its label; returns what `report.json` holds.

    Args:
        model: a `.scn` file or a built-in name.
        data: labelled recordings, as for training.
        out: folder for `report.json` and `predictions.csv`; None writes nothing.
        fold: which fold is the test side; None: as in the model's training.
        split: "test", "validation", "train", or "all"; None: "test" of the split that the model was
            trained with, or of the data's own, and all clips of other recordings.
        unused: also measure the clips that the data's own split leaves out, where they are of a city that
            the model's training did not hear; see "unseen_with_unused" in `scenelet.reports.places`.
        audio_dir: where a CSV's files lie.

    Raises:
        SceneletError: model or data cannot be used, or a clip has a label the model does not know.
    """
    classifier = load(model)
    provenance = classifier.model.provenance
    table = load_table(data, audio_dir, bool(provenance.get("three_classes", False)) and is_tau_root(data))
    say(table.describe())
    measured, chosen = _choose(table, split, fold, provenance)
    heard = provenance.get("train_cities", [])
    clips = (*chosen, *(_left_out(table, measured, heard) if unused else ()))
    unknown = sorted({clip.label for clip in clips} - set(classifier.labels))
    if unknown:
        raise DataError(
            f"{data}: label {unknown[0]!r} is not one of the model's ({', '.join(classifier.labels)})"
            f"{did_you_mean(unknown[0], classifier.labels)};"
            " rename it or leave these clips out"
        )
    results = []
    predictions = track(classifier.predict_all([clip.path for clip in clips]), "Evaluating", len(clips))
    for clip, prediction in zip(clips, predictions, strict=True):
        if isinstance(prediction, AudioError):
            raise prediction
        results.append(ClipResult(clip, prediction.label, tuple(prediction.probabilities.values())))
    report = figures(results[: len(chosen)], classifier.labels)
    report |= city_figures(results[: len(chosen)], results[len(chosen) :], heard, classifier.labels)
    report |= {
        "model": str(model),
        "labels": list(classifier.labels),
        "data": table.describe(),
        "made": table.made,
        "split": measured,
        "fold": None if measured == "all" else fold or provenance.get("split", {}).get("fold"),
        "city": None if measured == "all" or fold else provenance.get("split", {}).get("city"),
    }
    if out is not None:
        write_report(out, report, results[: len(chosen)], classifier.labels, results[len(chosen) :])
    return report


def _choose(
    table: ClipTable, split: str | None, fold: str | None, provenance: dict[str, Any]
) -> tuple[str, tuple[Clip, ...]]:
    """Name and clips of the split to measure."""
    if split not in (None, *SPLITS):
        raise UsageError(f"--split {split}: it is one of {', '.join(SPLITS)}")
    if split == "all":
        return "all", table.clips
    trained = {k: v for k, v in provenance.get("split", {}).items() if k in SplitConfig.model_fields}
    settings = SplitConfig.model_validate(trained if fold is None else {**trained, "fold": fold, "city": None})
    asked = split is not None or fold is not None or table.has_split
    try:
        chosen = make_split(table, settings)
    except DataError:
        if asked:
            raise
        return _everything(table)
    same = fingerprint(chosen) == provenance.get("split_fingerprint")
    if not same and not asked:
        return _everything(table)
    if not same:
        say("warning: this is not the split that the model was trained with; it may have heard some of these clips")
    say(chosen.description)
    clips: tuple[Clip, ...] = getattr(chosen, split or "test")
    if not clips:
        raise DataError(f"{table.root}: its {split or 'test'} split is empty; use --split all to measure every clip")
    return split or "test", clips


def _left_out(table: ClipTable, measured: str, heard: list[str]) -> list[Clip]:
    """The clips in no split whose city training did not hear."""
    if not heard:
        raise UsageError("--unused: the model file does not say in which cities its training clips were recorded")
    if measured == "all":
        raise UsageError("--unused: every clip is measured already")
    found = [clip for clip in table.clips if clip.split is None and clip.city not in (None, *heard)]
    if not (table.has_split and found):
        raise UsageError(f"--unused: {table.source} leaves out no clip of a city that training did not hear")
    return found


def _everything(table: ClipTable) -> tuple[str, tuple[Clip, ...]]:
    say(f"these are not the recordings that the model was trained with: all {len(table.clips):,} clips are measured")
    say("warning: clips that it was trained on, if any are among them, flatter the figures")
    return "all", table.clips
