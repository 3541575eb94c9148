"""The listening page of an evaluation: mistakes and unsure answers, to be heard and seen as the network sees them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scenelet.evaluation.clip_audio import EMBED_SECONDS, AudioChoice, PlayerSource, player_source
from scenelet.evaluation.report import ClipResult
from scenelet.evaluation.spectrogram import shown_windows
from scenelet.inference.classifier import Classifier
from scenelet.utils.console import track
from scenelet.utils.html import render

MAX_WINDOWS = 3  # of a recording that are shown
MAX_LEVELS = 5_000_000  # of all spectrograms of a page; in base64 a third more bytes
TAIL = 0.5  # s of a last window that may be padding
SHOWN_LABELS = 4  # with their probabilities


def select_clips(results: Sequence[ClipResult], count: int) -> tuple[list[int], list[int]]:
    """Which clips to listen to: `count` mistakes, and as many others, at most.

    Returns:
        Indices of mistakes, those with the highest probability of the wrong answer first; and of other clips, those
        whose two highest probabilities are nearest to each other first.
    """
    wrong = [i for i, result in enumerate(results) if not result.right]
    mistakes = sorted(wrong, key=lambda i: -max(results[i].probabilities))[:count]
    others = [i for i in range(len(results)) if i not in set(mistakes)]
    return mistakes, sorted(others, key=lambda i: _margin(results[i]))[:count]


def _margin(result: ClipResult) -> float:
    second, first = sorted((0.0, *result.probabilities))[-2:]
    return first - second


def listening_page(
    classifier: Classifier, results: Sequence[ClipResult], page: Path, model: str, count: int, audio: AudioChoice
) -> tuple[str, dict[int, str]]:
    """The page, and which clips are on it.

    Args:
        classifier: the model that gave `results`.
        results: of the measured clips, with their windows' probabilities.
        page: where the page will lie; links to recordings are relative to it.
        model: what the model is called.
        count: clips of each of the two lists.
        audio: see `scenelet.evaluation.clip_audio.player_source`.

    Returns:
        HTML; and index of a clip -> the anchor at which it stands.

    Raises:
        AudioError: a recording cannot be read.
    """
    mistakes, unsure = select_clips(results, count)
    chosen = [*mistakes, *unsure]
    windows = {i: strongest_windows(results[i], classifier.labels) for i in chosen}
    share = MAX_LEVELS // max(1, sum(map(len, windows.values())))
    entries = {
        i: _entry(classifier, results[i], i, windows[i], page, share, audio)
        for i in track(chosen, "Listening page", len(chosen))
    }
    parts = [
        {"title": "Mistakes", "kind": "mistakes", "entries": [entries[i] for i in mistakes]},
        {"title": "Hardly sure", "kind": "unsure", "entries": [entries[i] for i in unsure]},
    ]
    html = render(
        "scenelet.evaluation",
        "listening.html.j2",
        model=model,
        parts=parts,
        clips=len(results),
        wrong=sum(not result.right for result in results),
        audio=audio,
        embed_seconds=EMBED_SECONDS,
    )
    return html, {i: entries[i]["anchor"] for i in chosen}


def strongest_windows(result: ClipResult, labels: Sequence[str]) -> list[int]:
    """The windows of a recording that are most for its answer, in the order of time."""
    answer = labels.index(result.label)
    order = sorted(range(len(result.windows)), key=lambda i: -result.windows[i][answer])
    return sorted(order[:MAX_WINDOWS])


def _entry(
    classifier: Classifier,
    result: ClipResult,
    index: int,
    windows: Sequence[int],
    page: Path,
    share: int,
    audio: AudioChoice,
) -> dict[str, Any]:
    """A clip as the template takes it."""
    labels, clip, config = classifier.labels, result.clip, classifier.model.window
    answer, truth = labels.index(result.label), labels.index(clip.label)
    rate = classifier.model.features.sample_rate
    hop = config.hop_samples(rate) / rate
    count = len(result.windows)
    strongest = max(windows, key=lambda i: result.windows[i][answer])
    length = (count - 1) * hop + config.seconds  # the last window may be longer than what is left
    begin = max(0.0, min(strongest * hop, length - EMBED_SECONDS))
    sound = player_source(clip.path, page, audio, begin)
    order = sorted(range(len(labels)), key=lambda k: -result.probabilities[k])[:SHOWN_LABELS]
    if truth not in order:
        order[-1] = truth
    return {
        "anchor": f"clip-{index + 1}",
        "clip": clip,
        "right": result.right,
        "answer": result.label,
        "probability": result.probabilities[answer],
        "shares": [
            {"label": labels[k], "share": result.probabilities[k], "answer": k == answer, "truth": k == truth}
            for k in order
        ],
        "count": count,
        "windows": [
            window | {"played": _is_played(window, sound)}
            for window in shown_windows(classifier, clip.path, windows, answer, share)
        ],
        "over_time": _over_time(result, answer, truth) if count > 1 else None,
        "seconds": length,
        "sound": sound,
    }


def _is_played(window: dict[str, Any], sound: PlayerSource) -> bool:
    """Whether the player holds all that is heard in a window."""
    if not sound.url:
        return False
    first, heard = window["span"]
    begin = window["start"] + first
    return sound.seconds is None or (begin >= sound.start and begin + heard <= sound.start + sound.seconds + TAIL)


def _over_time(result: ClipResult, answer: int, truth: int) -> dict[str, str]:
    """Probabilities of answer and label over the windows, as points of a line in a box of 100 by 100."""
    values = np.asarray(result.windows)
    step = math.ceil(len(values) / 500)  # more points than a screen has
    xs = (np.arange(0, len(values), step) + 0.5) / len(values) * 100

    def points(k: int) -> str:
        return " ".join(f"{x:.2f},{100 - 100 * y:.2f}" for x, y in zip(xs, values[::step, k], strict=True))

    return {"answer": points(answer), "truth": "" if truth == answer else points(truth)}
