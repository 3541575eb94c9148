"""A request's recordings -> their answers: how much of them is worked on, and by whom."""

import asyncio
import base64
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar

from scenelet.classifier import Classifier
from scenelet.errors import AudioError
from scenelet.features import levels, shown_range
from scenelet.recordings import UNKNOWN_FRAMES, info
from scenelet.web.uploads import Upload

Given = ParamSpec("Given")
Result = TypeVar("Result")

MOST_RATE = 192_000  # Hz; from here on a recording's length counts by its samples


async def answers(
    classifier: Classifier, pool: Executor, files: Sequence[Upload], max_seconds: float, picture: bool
) -> list[dict[str, Any]]:
    """An `Answer` for each recording, without what does not apply.

    A request has as many threads at most as the classifier, however many recordings it holds: others wait too.

    Args:
        classifier: the model.
        pool: its threads.
        files: the recordings.
        max_seconds: of one, and of all of them together.
        picture: also the log-mel of each one's first window.
    """
    shares = await _in(pool, lambda: list(_shares(files, max_seconds)))
    turns = asyncio.Semaphore(classifier.threads)

    async def one(file: Upload, share: float | str) -> dict[str, Any]:
        if isinstance(share, str):
            return {"file": file.name, "error": share}
        async with turns:
            return await _in(pool, _answer, classifier, file, share, picture)

    return await asyncio.gather(*map(one, files, shares))


def _shares(files: Sequence[Upload], max_seconds: float) -> Iterator[float | str]:
    """For each recording the seconds of it that may be read, or why it is not read at all.

    It goes by what the headers say: libsndfile never reads more than that, so one that lies is read in part.
    """
    left = max_seconds
    for file in files:
        try:
            head = info(file)
        except AudioError as error:
            yield str(error)
            continue
        weight = max(1.0, head.sample_rate / MOST_RATE)
        endless = head.frames >= UNKNOWN_FRAMES
        takes = left if endless else min(head.seconds * weight, max_seconds)
        if left <= 0 or takes > left:
            yield f"{file.name}: the request's recordings are together longer than {max_seconds:g} s; send fewer"
            continue
        left -= takes
        yield (takes if endless else max_seconds) / weight


def _answer(classifier: Classifier, file: Upload, max_seconds: float, picture: bool) -> dict[str, Any]:
    """By the thread that calls, alone."""
    try:
        prediction = classifier.predict(file, alone=True, max_seconds=max_seconds)
    except AudioError as error:
        return {"file": file.name, "error": str(error)}
    found: dict[str, Any] = {
        "file": file.name,
        "label": prediction.label,
        "unsure": prediction.probabilities[prediction.label] < classifier.unsure_below,
        "probabilities": prediction.probabilities,
        "windows": len(prediction.windows),
        "window_probabilities": prediction.windows.tolist(),
    }
    if picture:
        found["picture"] = _picture(classifier, file)
    return found


def _picture(classifier: Classifier, file: Upload) -> dict[str, Any]:
    """One `Picture`: the mean of the channels."""
    log_mel = next(classifier.log_mel_windows(file, alone=True)).mean(axis=0)
    drawn = levels(log_mel, *shown_range([log_mel], classifier.model.features.top_db))
    coded = base64.b64encode(drawn.tobytes()).decode()
    bands, frames = log_mel.shape
    return {"levels": coded, "bands": bands, "frames": frames, "seconds": classifier.model.window.seconds}


async def _in(
    pool: Executor, function: Callable[Given, Result], *arguments: Given.args, **options: Given.kwargs
) -> Result:
    call = functools.partial(function, *arguments, **options)
    return await asyncio.get_running_loop().run_in_executor(pool, call)
