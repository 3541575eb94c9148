"""Measure a model file on labelled recordings, by the very path that prediction takes."""

import contextlib
from pathlib import Path
from typing import Any, get_args

from scenelet.config import SplitConfig
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.load import load_table
from scenelet.data.splits import make_split, split_hash
from scenelet.data.tau import is_tau_root
from scenelet.errors import DataError, UsageError, did_you_mean
from scenelet.evaluation.by_city import city_figures, subset_figures
from scenelet.evaluation.by_group import group_rows, worst_groups
from scenelet.evaluation.clip_audio import AudioChoice
from scenelet.evaluation.history import Epoch, find_history
from scenelet.evaluation.listening_page import listening_page
from scenelet.evaluation.metrics import reliability
from scenelet.evaluation.report import LISTENING, REPORT, ClipResult, write_report
from scenelet.evaluation.report_page import Shown, figure_files, report_page
from scenelet.inference.classifier import Classifier, load, model_path
from scenelet.inference.prediction import Prediction
from scenelet.model.summary import describe
from scenelet.utils.console import print_message, track
from scenelet.utils.files import make_folder

EXAMPLES = 12  # clips of each of the listening page's two lists
SPLITS = ("test", "validation", "train", "all")


def evaluate(
    model: str,
    data: Path,
    out: Path | None = None,
    *,
    fold: str | None = None,
    split: str | None = None,
    include_unused: bool = False,
    audio_dir: Path | None = None,
    run: Path | None = None,
    examples: int = EXAMPLES,
    audio: AudioChoice = "link",
) -> dict[str, Any]:
    """Predict every clip of a split and compare with its label; returns what `report.json` holds.

    Args:
        model: a `.scn` file or a built-in name.
        data: labelled recordings, as for training.
        out: folder for the report, see `scenelet.evaluation.report_page`, and its data; None writes nothing.
        fold: which fold is the test side; None: as in the model's training.
        split: "test", "validation", "train", or "all"; None: "test" of the split that the model was
            trained with, or of the data's own, and all clips of other recordings.
        unused: also measure the clips that the data's own split leaves out, where they are of a city that
            the model's training did not hear; see "unseen_with_unused" in `scenelet.evaluation.by_city`.
        audio_dir: where a CSV's files lie.
        run: folder of the training that the model comes from, whose curves the report shows; None: the one that the
            model file lies in, if it does.
        listen: mistakes, and as many unsure answers, on the listening page; 0 writes none.
        audio: whether the page links to recordings, holds them, or neither.

    Raises:
        SceneletError: model, data or run cannot be used, or a clip has a label the model does not know.
    """
    if examples < 0:
        raise UsageError(f"--examples {examples}: it is 0 or more")
    if run is not None and out is None:
        raise UsageError("--run shows a training's curves in the report; give --out too")
    if audio not in get_args(AudioChoice):
        raise UsageError(f"--audio {audio}: it is one of {', '.join(get_args(AudioChoice))}")
    classifier = load(model)
    if out is not None:
        make_folder(out)
    history = find_history(run, classifier.model, model_path(model)) if out is not None else []
    provenance = classifier.model.provenance
    table = load_table(data, audio_dir, bool(provenance.get("tau_3_class", False)) and is_tau_root(data))
    print_message(table.describe())
    measured, chosen, about, warning = _choose(table, split, fold, provenance)
    heard = provenance.get("train_cities", [])
    clips = (*chosen, *(_left_out(table, measured, heard) if include_unused else ()))
    unknown = sorted({clip.label for clip in clips} - set(classifier.labels))
    if unknown:
        raise DataError(
            f"{data}: label {unknown[0]!r} is not one of the model's ({', '.join(classifier.labels)})"
            f"{did_you_mean(unknown[0], classifier.labels)};"
            " rename it or leave these clips out"
        )
    with contextlib.closing(track([clip.path for clip in clips], "Evaluating", len(clips))) as paths:
        results = [
            ClipResult(clip, prediction.label, tuple(prediction.probabilities.values()), _rows(prediction))
            for clip, prediction in zip(clips, classifier.predict_many(paths), strict=True)
        ]
    report = subset_figures(results[: len(chosen)], classifier.labels)
    report |= city_figures(results[: len(chosen)], results[len(chosen) :], heard, classifier.labels)
    of_groups = group_rows(results[: len(chosen)])
    report |= {
        "reliability": _reliability(results[: len(chosen)], classifier.labels),
        "worst_groups": worst_groups(of_groups),
        "per_group": of_groups,
        "model": str(model),
        "labels": list(classifier.labels),
        "data": table.describe(),
        "synthetic": table.synthetic,
        "split": measured,
        "split_description": about,
        "warning": warning,
        "fold": None if measured == "all" else fold or provenance.get("split", {}).get("fold"),
        "city": None if measured == "all" or fold else provenance.get("split", {}).get("city"),
    }
    if out is not None:
        pages = _pages(classifier, report, results[: len(chosen)], out, history, examples, audio)
        write_report(out, report, results[: len(chosen)], classifier.labels, results[len(chosen) :], pages)
    return report


def _rows(prediction: Prediction) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in prediction.windows.tolist())


def _reliability(results: list[ClipResult], labels: tuple[str, ...]) -> dict[str, Any]:
    targets = [labels.index(result.clip.label) for result in results]
    return reliability(targets, [result.probabilities for result in results])


def _pages(
    classifier: Classifier,
    report: dict[str, Any],
    results: list[ClipResult],
    out: Path,
    history: list[Epoch],
    examples: int,
    audio: AudioChoice,
) -> dict[str, str]:
    """The report's pages and figures, by file name."""
    pages = figure_files(report, history)
    anchors = None
    if examples:
        name = Path(report["model"]).name
        listening, anchors = listening_page(classifier, results, out / LISTENING, name, examples, audio)
        pages[LISTENING] = listening
    shown = Shown(describe(model_path(report["model"])), results, history, anchors)
    return {REPORT: report_page(report, pages, shown)} | pages


def _choose(
    table: ClipTable, split: str | None, fold: str | None, provenance: dict[str, Any]
) -> tuple[str, tuple[Clip, ...], str, str | None]:
    """Name and clips of the split to measure, what it is, and what makes its figures doubtful."""
    if split not in (None, *SPLITS):
        raise UsageError(f"--split {split}: it is one of {', '.join(SPLITS)}")
    if split == "all":
        return "all", table.clips, f"all {len(table.clips):,} clips", None
    trained = {k: v for k, v in provenance.get("split", {}).items() if k in SplitConfig.model_fields}
    settings = SplitConfig.model_validate(trained if fold is None else {**trained, "fold": fold, "city": None})
    asked = split is not None or fold is not None or table.has_split
    try:
        chosen = make_split(table, settings)
    except DataError:
        if asked:
            raise
        return _everything(table)
    same = split_hash(chosen) == provenance.get("split_hash")
    if not same and not asked:
        return _everything(table)
    warning = None if same else "this is not the split that the model was trained with; it may have heard some clips"
    if warning is not None:
        print_message(f"warning: {warning}")
    print_message(chosen.description)
    side = split or "test"
    clips: tuple[Clip, ...] = getattr(chosen, side)
    if not clips:
        raise DataError(f"{table.root}: its {side} split is empty; use --split all to measure every clip")
    return side, clips, f"{side} side of: {chosen.description}", warning


def _left_out(table: ClipTable, measured: str, heard: list[str]) -> list[Clip]:
    """The clips in no split whose city training did not hear."""
    if not heard:
        raise UsageError(
            "--include-unused: the model file does not say in which cities its training clips were recorded"
        )
    if measured == "all":
        raise UsageError("--include-unused: every clip is measured already")
    found = [clip for clip in table.clips if clip.split is None and clip.city not in (None, *heard)]
    if not (table.has_split and found):
        raise UsageError(f"--include-unused: {table.source} leaves out no clip of a city that training did not hear")
    return found


def _everything(table: ClipTable) -> tuple[str, tuple[Clip, ...], str, str]:
    about = f"all {len(table.clips):,} clips: these are not the recordings that the model was trained with"
    warning = "clips that it was trained on, if any are among them, flatter the figures"
    print_message(about)
    print_message(f"warning: {warning}")
    return "all", table.clips, about, warning
