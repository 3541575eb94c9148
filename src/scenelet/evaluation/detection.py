"""Answers as detections: precision and recall over thresholds, and the clips of background."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from scenelet.audio.io import info
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.false_alarms import poisson_interval
from scenelet.utils.text import pluralize

STEPS = 100
"""Number of steps between the thresholds 0 and 1."""


def detection_curve(predictions: Sequence[ClipPrediction], background: str | None) -> dict[str, list[float | None]]:
    """Compute precision and recall at thresholds that are the same for all labels.

    Precision is the fraction of right answers among the sure ones. Recall is the fraction of clips with a right and
    sure answer. Neither answers nor clips of background count. Their mistakes do: a clip of background with a sure
    answer lowers the precision.

    Args:
        predictions: the evaluated clips.
        background: the label that means none of the others, or None.

    Returns:
        "threshold", "precision" (None without sure answers) and "recall" (None without clips).

    >>> clip = ClipPrediction("1", "dog", "dog", (0.9, 0.1), "1")
    >>> other = ClipPrediction("2", "none", "dog", (0.6, 0.4), "2")
    >>> curve = detection_curve([clip, other], background="none")
    >>> curve["precision"][60], curve["precision"][61], curve["recall"][91]
    (0.5, 1.0, 0.0)
    """
    thresholds = np.arange(STEPS + 1) / STEPS
    answers = [clip for clip in predictions if clip.predicted != background]
    sure = thresholds[:, None] <= np.array([max(clip.probabilities) if clip.is_known else -1 for clip in answers])
    right = (sure & np.array([clip.is_correct for clip in answers], bool)).sum(axis=1)
    clips = sum(clip.label != background for clip in predictions)
    return {
        "threshold": thresholds.tolist(),
        "precision": [
            hits / count if count else None for hits, count in zip(right.tolist(), sure.sum(1).tolist(), strict=True)
        ],
        "recall": [hits / clips if clips else None for hits in right.tolist()],
    }


def background_metrics(
    predictions: Sequence[ClipPrediction], are_sure: Sequence[bool], background: str | None
) -> dict[str, Any]:
    """Return the part "background" of `report.json`; {} without a background or without its clips.

    Args:
        predictions: the evaluated clips.
        are_sure: whether the answer to each clip is sure.
        background: the label that means none of the others, or None.

    Returns:
        "background": {"label", "clips", "alarms" (clips that were taken for a class), "sure_alarms", "hours",
        "sure_alarms_per_hour" with its interval, "other_clips" and "other_accuracy" (of the other classes)}.

    Raises:
        AudioError: a recording of background cannot be read.
    """
    own = [clip for clip in predictions if clip.label == background]
    if not own:
        return {}
    alarms = [clip for clip in own if not clip.is_correct]
    answers = zip(predictions, are_sure, strict=True)
    sure = sum(is_sure for clip, is_sure in answers if clip.label == background and not clip.is_correct)
    others = [clip.is_correct for clip in predictions if clip.label != background]
    hours = sum(info(clip.recording).seconds for clip in own) / 3600
    return {
        "background": {
            "label": background,
            "clips": len(own),
            "alarms": len(alarms),
            "sure_alarms": sure,
            "hours": hours,
            "sure_alarms_per_hour": asdict(poisson_interval(sure, hours)),
            "other_clips": len(others),
            "other_accuracy": sum(others) / len(others) if others else None,
        }
    }


def background_text(report: Mapping[str, Any]) -> str:
    """Put the part "background" of a report into words; empty without it.

    >>> rate = {"value": 4.0, "low": 0.5, "high": 14.4}
    >>> found = {"label": "none", "clips": 9, "alarms": 3, "sure_alarms": 2, "hours": 0.5, "sure_alarms_per_hour": rate}
    >>> background_text({"background": found | {"other_clips": 80, "other_accuracy": 0.9}})
    'none: 9 clips, of which 3 were taken for a class, 2 of them surely (in 0.50 h: 4.0 [0.5, 14.4] per hour). ...'
    """
    if not (own := report.get("background")):
        return ""
    rate = own["sure_alarms_per_hour"]
    text = (
        f"{own['label']}: {pluralize(own['clips'], 'clip')}, of which {own['alarms']} were taken for a class,"
        f" {own['sure_alarms']} of them surely (in {own['hours']:.2f} h: {rate['value']:.1f}"
        f" [{rate['low']:.1f}, {rate['high']:.1f}] per hour)."
    )
    if own["other_accuracy"] is None:
        return text
    others = pluralize(own["other_clips"], "clip")
    return f"{text} Accuracy on the {others} of the other classes: {100 * own['other_accuracy']:.1f} %."
