"""Fair scheduling of the recordings in all requests, and their predictions."""

import asyncio
import base64
import functools
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import numpy as np

from scenelet.audio.display import levels, shown_range
from scenelet.audio.io import UNKNOWN_FRAMES, info
from scenelet.audio.windows import windows
from scenelet.errors import AudioError
from scenelet.inference.classifier import Classifier
from scenelet.inference.prediction import Probabilities
from scenelet.server.uploads import Upload

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

MAX_SAMPLE_RATE = 192_000
"""Hz. A recording with a higher rate counts as longer, in proportion to its number of samples."""


class FairScheduler:
    """Threads that requests share: each one holds a thread for a short turn, and the longest waiting one is next.

    Take a turn with `async with scheduler`, and call `run` within it.

    Args:
        threads: number of threads.
        headers_per_turn: recordings whose headers are read in one turn.
        windows_per_turn: windows of a recording that are predicted in one turn.
    """

    def __init__(self, threads: int, headers_per_turn: int = 4, windows_per_turn: int = 2) -> None:
        self.threads = threads
        self.headers_per_turn, self.windows_per_turn = headers_per_turn, windows_per_turn
        self._free = asyncio.Semaphore(threads)
        self._pool = ThreadPoolExecutor(threads, "scenelet-serve")

    async def __aenter__(self) -> None:
        await self._free.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._free.release()

    async def run(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Call the function in one of the threads and return its result."""
        call = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def shutdown(self) -> None:
        """Wait for the current turns, and drop all others."""
        self._pool.shutdown(cancel_futures=True)


async def predict_uploads(
    classifier: Classifier,
    scheduler: FairScheduler,
    uploads: Sequence[Upload],
    max_seconds: float,
    with_spectrogram: bool,
    is_disconnected: Callable[[], Awaitable[bool]],
) -> list[dict[str, Any]]:
    """Classify the recordings of one request.

    The request uses one thread per recording, and gives it up after every few windows so that other requests progress.

    Args:
        classifier: the model.
        scheduler: the threads.
        uploads: the recordings.
        max_seconds: maximum length of one recording, and of all of them together.
        with_spectrogram: whether to add the log-mel of each recording's first window.
        is_disconnected: returns whether the client has disconnected, so that the work can stop.

    Returns:
        One `scenelet.server.schemas.RecordingResult` per recording, as a dictionary without the fields that do not
        apply. The list is empty if the client disconnected before the headers were read.
    """
    limits: list[float | str] = []
    remaining_limits = readable_seconds(uploads, max_seconds)
    while len(limits) < len(uploads):
        async with scheduler:
            if await is_disconnected():
                return []
            limits += await scheduler.run(lambda: list(itertools.islice(remaining_limits, scheduler.headers_per_turn)))
    request_threads = asyncio.Semaphore(scheduler.threads)

    async def predict_one(upload: Upload, limit: float | str) -> dict[str, Any]:
        if isinstance(limit, str):
            return {"file": upload.name, "error": limit}
        try:
            async with request_threads:
                result = await _predict_one(classifier, scheduler, upload, limit, with_spectrogram, is_disconnected)
        except AudioError as error:
            result = {"error": str(error)}
        return {"file": upload.name, **result}

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(predict_one(*pair)) for pair in zip(uploads, limits, strict=True)]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _predict_one(
    classifier: Classifier,
    scheduler: FairScheduler,
    upload: Upload,
    max_seconds: float,
    with_spectrogram: bool,
    is_disconnected: Callable[[], Awaitable[bool]],
) -> dict[str, Any]:
    """Classify one recording in short turns; stop early if the client disconnects."""
    rows: list[Probabilities] = []
    windows = _predict_windows(classifier, upload, max_seconds)
    while True:
        async with scheduler:
            if await is_disconnected():
                break
            batch = await scheduler.run(lambda: list(itertools.islice(windows, scheduler.windows_per_turn)))
        rows += batch
        if len(batch) < scheduler.windows_per_turn:
            break
    if not rows:
        return {}
    result = _summarize(classifier, np.stack(rows))
    if with_spectrogram:
        async with scheduler:
            result["spectrogram"] = await scheduler.run(_spectrogram, classifier, upload)
    return result


def readable_seconds(uploads: Sequence[Upload], max_seconds: float) -> Iterator[float | str]:
    """Divide the maximum length of a request among its recordings.

    The lengths come from the headers. A wrong header does no harm, since libsndfile never reads more than it states.

    Yields:
        For each recording the number of seconds that may be read, or the error if it must not be read.

    Examples:
        >>> list(readable_seconds([Upload("empty.wav", b"")], 600.0))
        ['empty.wav: the file is empty; copy or record it again']
    """
    remaining = max_seconds
    for upload in uploads:
        try:
            header = info(upload)
        except AudioError as error:
            yield str(error)
            continue
        weight = max(1.0, header.sample_rate / MAX_SAMPLE_RATE)
        is_unknown = header.frames >= UNKNOWN_FRAMES
        needed = remaining if is_unknown else min(header.seconds * weight, max_seconds)
        if remaining <= 0 or needed > remaining:
            yield f"{upload.name}: the request's recordings are together longer than {max_seconds:g} s; send fewer"
            continue
        remaining -= needed
        yield (needed if is_unknown else max_seconds) / weight


def _predict_windows(classifier: Classifier, upload: Upload, max_seconds: float) -> Iterator[Probabilities]:
    """Yield the probabilities of each window, the same numbers as `Classifier.predict`."""
    model = classifier.model
    for cut in windows(upload, model.features, model.window, max_seconds=max_seconds):
        yield classifier.predict_window(cut)


def _summarize(classifier: Classifier, rows: Probabilities) -> dict[str, Any]:
    """Combine the probabilities of the windows of a recording, (n, classes)."""
    prediction = classifier.combine_windows(rows)
    return {
        "label": prediction.label,
        "unsure": prediction.unsure,
        "probabilities": prediction.probabilities,
        "windows": len(rows),
        "window_probabilities": rows.tolist(),
    }


def _spectrogram(classifier: Classifier, upload: Upload) -> dict[str, Any]:
    """Return the first window as a `scenelet.server.schemas.Spectrogram`, averaged over the channels."""
    log_mel = next(classifier.log_mel_windows(upload)).mean(axis=0)
    image = levels(log_mel, *shown_range([log_mel], classifier.model.features.top_db))
    encoded = base64.b64encode(image.tobytes()).decode()
    bands, frames = log_mel.shape
    return {"levels": encoded, "bands": bands, "frames": frames, "seconds": classifier.model.window.seconds}
