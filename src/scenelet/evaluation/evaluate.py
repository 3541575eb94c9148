"""`scenelet evaluate`: measure a model file on labeled recordings, with the same code that predicts."""

import contextlib
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from scenelet.data.background import background_hash
from scenelet.data.clips import MULTI_LABELS, Clip, Clips, ClipTable, MultiLabel
from scenelet.data.load import load_table
from scenelet.data.tau import is_tau_root
from scenelet.errors import DataError, UsageError, did_you_mean
from scenelet.evaluation.alarm_report import alarm_report, check_storable, store_thresholds
from scenelet.evaluation.breakdown import group_rows, metrics_by, subset_metrics, worst_groups
from scenelet.evaluation.clip_audio import AudioChoice
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.detection import background_metrics, detection_curve
from scenelet.evaluation.false_alarms import (
    TARGET_PER_HOUR,
    count_alarms,
    find_background,
    find_thresholds,
)
from scenelet.evaluation.history import Epoch, find_history
from scenelet.evaluation.listening_page import listening_page
from scenelet.evaluation.metrics import log_loss, reliability
from scenelet.evaluation.report import LISTENING, REPORT, write_report
from scenelet.evaluation.report_page import figure_files, report_page
from scenelet.evaluation.subset import Subset, select_subset, select_unused, trained_names, trained_split
from scenelet.inference.calibration import apply_temperature, stored_calibration
from scenelet.inference.classifier import Classifier, load
from scenelet.inference.device_models import DeviceModels
from scenelet.inference.prediction import mean_probabilities
from scenelet.inference.threshold import general_threshold, json_thresholds
from scenelet.model.device_files import GENERAL, is_device_folder
from scenelet.model.pretrained import model_path
from scenelet.model.summary import describe
from scenelet.utils.console import print_message, print_warning, track
from scenelet.utils.files import make_folder

EXAMPLES = 12  # clips in each of the listening page's two lists


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
    multi_label: MultiLabel | None = None,
    background: Path | None = None,
    target_per_hour: float | None = None,
    store: bool = False,
) -> dict[str, Any]:
    """Predict every clip of a subset and compare the predictions with the labels.

    Args:
        model: a `.scn` file, the name of a built-in model, or a folder as
            `scenelet.inference.device_models.DeviceModels`, whose models answer the clips of their devices.
        data: labeled recordings, as for training.
        out: folder for the report and its data (see `scenelet.evaluation.report`); None writes nothing.
        fold: the fold to test on; None: as in the model's training.
        split: "test", "validation", "train" or "all"; None: see `scenelet.evaluation.subset.select_subset`.
        include_unused: also measure the clips that the data's own split leaves out and whose city was not seen in
            training; see "unseen_cities_with_unused" in `scenelet.evaluation.breakdown.metrics_by`.
        audio_dir: folder of the files that a CSV names.
        run: folder of the model's run, for the training curves; None: the folder of the model file, if it is that run.
        examples: maximum number of mistakes, and of least certain answers, on the listening page; 0 writes no page.
        audio: link the page to the recordings ("link"), embed them ("embed"), or leave out the audio ("none").
        multi_label: what to do with sound of several labels, as in `load_table`; None: as in the model's training.
        background: a recording or a folder of recordings of none of the classes, to count false alarms.
        target_per_hour: the rate of false alarms to find thresholds for; None: `TARGET_PER_HOUR`.
        store: write these thresholds into the model file.

    Returns:
        The content of `report.json`.

    Raises:
        SceneletError: model, data or run cannot be used, or the model does not know a clip's label.
    """
    _check_options(out, run, examples, audio)
    recordings = _check_background(background, target_per_hour, store)
    if store:
        check_storable(model)
    models = DeviceModels(model) if is_device_folder(model) else None
    classifier = load(model) if models is None else models.for_device(None)
    file = model_path(model) if models is None else models.path_for(None)
    if out is not None:
        make_folder(out)
    history = find_history(run, classifier.model, file) if out is not None else []
    provenance = classifier.model.provenance
    tau_3_class = bool(provenance.get("tau_3_class", False)) and is_tau_root(data)
    multi_label = multi_label or _stored_multi_label(provenance.get("multi_label"))
    # one class is enough to count false alarms
    table = load_table(data, audio_dir, tau_3_class, min_classes=1, multi_label=multi_label)
    print_message(table.describe())
    subset = select_subset(table, split, fold, provenance)
    training_cities = trained_names(provenance, "train_cities")
    unused = select_unused(table, subset.name, training_cities) if include_unused else []
    clips = (*subset.clips, *unused)
    _check_labels(data, clips, classifier.labels)
    classifiers = [classifier if models is None else models.for_device(clip.device) for clip in clips]
    predictions = _predict(models or classifier, clips)
    measured, unmeasured = predictions[: len(subset.clips)], predictions[len(subset.clips) :]
    report = subset_metrics(measured, classifier.labels)
    report |= metrics_by("city", measured, training_cities, classifier.labels, unmeasured)
    report |= metrics_by("device", measured, trained_names(provenance, "train_devices"), classifier.labels)
    report |= _group_metrics(measured, classifiers[: len(measured)])
    if recordings:
        report["false_alarms"] = _false_alarms(classifier, recordings, target_per_hour or TARGET_PER_HOUR, measured)
    report |= _description(model, file, classifier, table, subset, fold)
    if models is not None:
        report["device_models"] = _describe_models(models, subset.clips)
    if out is not None:
        pages = _pages(classifiers, file, report, measured, table, out, history, examples, audio)
        write_report(out, report, measured, classifier.labels, unmeasured, pages)
    if store:
        store_thresholds(model_path(model), report)
    return report


def _stored_multi_label(stored: object) -> MultiLabel:
    """Return what training did with sound of several labels; "refuse" if the model file does not store it."""
    return next((each for each in MULTI_LABELS if each == stored), "refuse")


def _check_options(out: Path | None, run: Path | None, examples: int, audio: str) -> None:
    if examples < 0:
        raise UsageError(f"--examples {examples}: give 0 or more")
    if run is not None and out is None:
        raise UsageError("--run shows training curves in the report; give --out too")
    if audio not in get_args(AudioChoice):
        raise UsageError(f"--audio {audio}: give one of {', '.join(get_args(AudioChoice))}")


def _check_background(background: Path | None, target_per_hour: float | None, store: bool) -> Clips:
    """Check the options on false alarms, and return the recordings of background."""
    if background is None:
        if store or target_per_hour is not None:
            option = "--store" if store else "--target-per-hour"
            raise UsageError(f"{option} needs recordings of none of the classes; give them by --background")
        return ()
    if target_per_hour is not None and not 0 < target_per_hour < math.inf:
        raise UsageError(f"--target-per-hour {target_per_hour:g}: give a rate above 0")
    return find_background(background)


def _false_alarms(
    classifier: Classifier, recordings: Clips, target_per_hour: float, predictions: Sequence[ClipPrediction]
) -> dict[str, Any]:
    counts, general = count_alarms(classifier, recordings), general_threshold(classifier.model.results)
    found = find_thresholds(counts, general, target_per_hour)
    report = alarm_report(counts, general, found, target_per_hour, predictions)
    if report["warning"]:
        print_warning(f"warning: {report['warning']}")
    if classifier.model.provenance.get("background_hash") == background_hash(recordings):
        print_warning(
            "warning: the model was trained with these recordings of background, so the rate of false alarms is too"
            " low; give others"
        )
    return report


def _check_labels(data: Path, clips: Sequence[Clip], labels: tuple[str, ...]) -> None:
    unknown = sorted({clip.label for clip in clips} - set(labels))
    if unknown:
        raise DataError(
            f"{data}: label {unknown[0]!r} is not one of the model's ({', '.join(labels)})"
            f"{did_you_mean(unknown[0], labels)}; rename it or leave these clips out"
        )


def _predict(models: Classifier | DeviceModels, clips: Sequence[Clip]) -> list[ClipPrediction]:
    """Predict every clip. One error names all recordings that cannot be read."""
    with contextlib.closing(track([clip.recording for clip in clips], "Evaluating", len(clips))) as paths:
        if isinstance(models, DeviceModels):
            predictions = models.predict_many(paths, [clip.device for clip in clips])
        else:
            predictions = models.predict_many(paths)
        return [
            ClipPrediction.from_clip(
                clip,
                models.labels,
                tuple(prediction.probabilities.values()),
                prediction.windows.tolist(),
                prediction.is_known,
            )
            for clip, prediction in zip(clips, predictions, strict=True)
        ]


def _group_metrics(predictions: Sequence[ClipPrediction], classifiers: Sequence[Classifier]) -> dict[str, Any]:
    """Measure the clips; `classifiers` are the models that answered them."""
    used = list(dict.fromkeys(classifiers))
    labels = used[0].labels
    targets = [labels.index(prediction.label) for prediction in predictions]
    rows = group_rows(predictions)
    are_sure = [
        prediction.is_sure(classifier.thresholds[labels.index(prediction.predicted)])
        for prediction, classifier in zip(predictions, classifiers, strict=True)
    ]
    sure = [prediction.is_correct for prediction, is_sure in zip(predictions, are_sure, strict=True) if is_sure]
    similarities = {each.model.known and each.model.known.min_similarity for each in used}
    background = used[0].model.background
    return {
        **background_metrics(predictions, are_sure, background),
        "detection": detection_curve(predictions, background),
        "reliability": reliability(targets, [prediction.probabilities for prediction in predictions]),
        # models of several devices have temperatures of their own
        "calibration": _calibration(targets, predictions, used[0]) if len(used) == 1 else None,
        "sure": {
            "thresholds": json_thresholds([threshold for each in used for threshold in each.thresholds]),
            "min_similarity": similarities.pop() if len(similarities) == 1 else None,
            "clips": len(sure),
            "right": sum(sure),
        },
        "worst_groups": worst_groups(rows),
        "per_group": rows,
    }


def _calibration(
    targets: Sequence[int], predictions: Sequence[ClipPrediction], classifier: Classifier
) -> dict[str, Any] | None:
    """Return the model's temperature, and log loss and calibration error without it; None without a temperature."""
    stored = stored_calibration(classifier.model.results)
    if stored is None:
        return None
    before = [
        mean_probabilities(apply_temperature(np.array(prediction.windows), 1 / stored.temperature)).tolist()
        for prediction in predictions
    ]
    without = {"log_loss": log_loss(targets, before), "ece": reliability(targets, before)["ece"]}
    return {"temperature": stored.temperature, "subset": stored.subset, "clips": stored.clips, "without": without}


def _description(
    model: str, file: Path, classifier: Classifier, table: ClipTable, subset: Subset, fold: str | None
) -> dict[str, Any]:
    """Describe what was measured: the model, the data and the subset."""
    split = trained_split(classifier.model.provenance)
    return {
        "model": str(model),
        "model_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "labels": list(classifier.labels),
        "data": table.describe(),
        "synthetic": table.synthetic,
        "split": subset.name,
        "split_description": subset.description,
        "warning": subset.warning,
        "fold": None if subset.name == "all" else fold or split.fold,
        "city": None if subset.name == "all" or fold else split.city,
    }


def _describe_models(models: DeviceModels, clips: Sequence[Clip]) -> dict[str, dict[str, Any]]:
    """Return the number of clips that each model of a folder answered, and the SHA-256 and size of its file."""
    counts = Counter(models.name_for(clip.device) for clip in clips)
    files = {name: models.path_for(name).read_bytes() for name in (GENERAL, *models.devices)}
    return {
        name: {"clips": counts[name], "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in files.items()
    }


def _pages(
    classifiers: Sequence[Classifier],
    file: Path,
    report: dict[str, Any],
    predictions: Sequence[ClipPrediction],
    table: ClipTable,
    out: Path,
    history: list[Epoch],
    examples: int,
    audio: AudioChoice,
) -> dict[str, str]:
    """Render the report's pages and figures, by file name."""
    pages = figure_files(report, history)
    anchors = None
    if examples:
        name = Path(report["model"]).name
        page = out / LISTENING
        pages[LISTENING], anchors = listening_page(classifiers, predictions, table, page, name, examples, audio)
    described = describe(file)
    return {REPORT: report_page(report, pages, described, predictions, history, anchors)} | pages
