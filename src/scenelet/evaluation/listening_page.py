"""The listening page of an evaluation: mistakes and least certain answers, with audio, spectrograms and corrections."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scenelet.data.clips import ClipTable
from scenelet.evaluation.answer_table import answer_table
from scenelet.evaluation.clip_audio import EMBED_SECONDS, AudioChoice, PlayerSource, player_source
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.spectrogram import spectrogram_windows
from scenelet.inference.classifier import Classifier
from scenelet.utils.console import track
from scenelet.utils.html import render

MAX_WINDOWS = 3  # shown per recording
MAX_LEVELS = 5_000_000  # in all spectrograms of a page; base64 adds a third
MAX_CURVE_POINTS = 500
MAX_PROBABILITIES = 4  # shown per recording
MAX_PADDING_SECONDS = 0.5  # padding of the last window that the player may lack


def select_clips(predictions: Sequence[ClipPrediction], count: int) -> tuple[list[int], list[int]]:
    """Select the clips of the listening page, at most `count` for each of its two lists.

    Returns:
        Indices of mistakes, the most confident first. Indices of the least certain other clips: the smallest
        difference between the two highest probabilities comes first.

    >>> clips = [
    ...     ClipPrediction("a.wav", "rain", "sea", (0.1, 0.9), group="garden"),
    ...     ClipPrediction("b.wav", "sea", "sea", (0.4, 0.6), group="coast"),
    ... ]
    >>> select_clips(clips, count=5)
    ([0], [1])
    """
    wrong = [i for i, prediction in enumerate(predictions) if not prediction.is_correct]
    mistakes = sorted(wrong, key=lambda i: -max(predictions[i].probabilities))[:count]

    def margin(i: int) -> float:
        second, first = sorted((0.0, *predictions[i].probabilities))[-2:]
        return first - second

    return mistakes, sorted((i for i in range(len(predictions)) if i not in mistakes), key=margin)[:count]


def listening_page(
    classifiers: Sequence[Classifier],
    predictions: Sequence[ClipPrediction],
    table: ClipTable,
    page: Path,
    model: str,
    count: int,
    audio: AudioChoice,
) -> tuple[str, dict[int, str]]:
    """Render the listening page.

    Args:
        classifiers: the model that answered each clip; all have the same labels.
        predictions: the evaluated clips, with their paths and windows.
        table: the data set, whose labels the page corrects.
        page: path of the page; links to recordings are relative to it.
        model: the model's name.
        count: maximum length of each of the two lists.
        audio: see `scenelet.evaluation.clip_audio.player_source`.

    Returns:
        HTML, and index of a clip -> its anchor on the page.

    Raises:
        AudioError: a recording cannot be read.
    """
    mistakes, uncertain = select_clips(predictions, count)
    chosen = [*mistakes, *uncertain]
    labels = classifiers[0].labels
    windows = {i: strongest_windows(predictions[i], labels) for i in chosen}
    max_levels = MAX_LEVELS // max(1, sum(map(len, windows.values())))
    entries = {
        i: _entry(classifiers[i], predictions[i], i, windows[i], page, max_levels, audio)
        for i in track(chosen, "Listening page", len(chosen))
    }
    answers = answer_table(table, predictions, show_folder=audio == "link")
    numbers = {name: number for number, name in enumerate(answers.rows)}
    for i, entry in entries.items():
        entry["row"] = numbers.get(predictions[i].name)
    parts = [
        {"title": "Mistakes", "kind": "mistakes", "entries": [entries[i] for i in mistakes]},
        {"title": "Least certain answers", "kind": "uncertain", "entries": [entries[i] for i in uncertain]},
    ]
    wrong = sum(not prediction.is_correct for prediction in predictions)
    html = render(
        "scenelet.evaluation",
        "listening.html.j2",
        model=model,
        parts=parts,
        clips=len(predictions),
        wrong=wrong,
        audio=audio,
        embed_seconds=EMBED_SECONDS,
        answers=answers.script_values(labels),
        total=len(table.clips),
        left_out=answers.left_out,
    )
    return html, {i: entries[i]["anchor"] for i in chosen}


def strongest_windows(prediction: ClipPrediction, labels: Sequence[str]) -> list[int]:
    """Return the indices of at most `MAX_WINDOWS` windows with the highest probability of the answer, in time order."""
    answer = labels.index(prediction.predicted)
    order = sorted(range(len(prediction.windows)), key=lambda i: -prediction.windows[i][answer])
    return sorted(order[:MAX_WINDOWS])


def _entry(
    classifier: Classifier,
    prediction: ClipPrediction,
    index: int,
    windows: Sequence[int],
    page: Path,
    max_levels: int,
    audio: AudioChoice,
) -> dict[str, Any]:
    """Collect the template's values for one clip."""
    labels, config = classifier.labels, classifier.model.window
    answer, truth = labels.index(prediction.predicted), labels.index(prediction.label)
    rate = classifier.model.features.sample_rate
    hop = config.hop_samples(rate) / rate
    count = len(prediction.windows)
    strongest = max(windows, key=lambda i: prediction.windows[i][answer])
    shown = sorted(range(len(labels)), key=lambda k: -prediction.probabilities[k])[:MAX_PROBABILITIES]
    if truth not in shown:
        shown[-1] = truth
    length = (count - 1) * hop + config.seconds  # an upper bound, since the last window may be padded
    begin = max(0.0, min(strongest * hop, length - EMBED_SECONDS))
    source = player_source(prediction.recording, page, audio, begin)
    return {
        "anchor": f"clip-{index + 1}",
        "clip": prediction,
        "probability": prediction.probabilities[answer],
        "probabilities": [
            {"label": labels[k], "value": prediction.probabilities[k], "answer": k == answer, "truth": k == truth}
            for k in shown
        ],
        "count": count,
        "windows": [
            window | {"played": _is_played(window, source)}
            for window in spectrogram_windows(classifier, prediction.recording, windows, answer, max_levels)
        ],
        "over_time": _over_time(prediction, answer, truth) if count > 1 else None,
        "seconds": length,
        "source": source,
    }


def _is_played(window: dict[str, Any], source: PlayerSource) -> bool:
    """Tell if the player has all audible sound of a window."""
    if not source.url or source.seconds is None:
        return bool(source.url)
    begin = window["start"] + window["span"][0]
    end = source.start + source.seconds + MAX_PADDING_SECONDS
    return bool(source.start <= begin and begin + window["span"][1] <= end)


def _over_time(prediction: ClipPrediction, answer: int, truth: int) -> dict[str, str]:
    """Draw the probabilities of answer and label over the windows, as points of lines in a box of 100 by 100."""
    values = np.asarray(prediction.windows)
    step = math.ceil(len(values) / MAX_CURVE_POINTS)
    xs = (np.arange(0, len(values), step) + 0.5) / len(values) * 100

    def points(k: int) -> str:
        return " ".join(f"{x:.2f},{100 - 100 * y:.2f}" for x, y in zip(xs, values[::step, k], strict=True))

    return {"answer": points(answer), "truth": "" if truth == answer else points(truth)}
