"""A request's recordings -> their answers: how much of them is worked on, and by whom."""

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

Given = ParamSpec("Given")
Result = TypeVar("Result")

HEADERS = 4  # of recordings in a turn
WINDOWS = 2  # of a recording in a turn
MAX_SAMPLE_RATE = 192_000  # Hz; from here on a recording's length counts by its samples


class FairScheduler:
    """The threads of a service, of which whoever waits longest has the next; each turn is short.

    Args:
        threads: how many there are.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._free = asyncio.Semaphore(threads)
        self._pool = ThreadPoolExecutor(threads, "scenelet-serve")

    async def __aenter__(self) -> None:
        await self._free.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._free.release()

    async def run(self, function: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        """What the function gives, called by one of the threads; within a turn: `async with turns`."""
        call = functools.partial(function, *given, **named)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def end(self) -> None:
        """Take no more; waits for the turns under way."""
        self._pool.shutdown(cancel_futures=True)


async def predict_uploads(
    classifier: Classifier,
    turns: FairScheduler,
    files: Sequence[Upload],
    max_duration: float,
    picture: bool,
    gone: Callable[[], Awaitable[bool]],
) -> list[dict[str, Any]]:
    """An `Answer` for each recording, without what does not apply; none where the client has gone at once.

    A request has a thread for each of its recordings, and gives it back after every few windows: others wait too.

    Args:
        classifier: the model.
        turns: the threads.
        files: the recordings.
        max_seconds: of one, and of all of them together.
        picture: also the log-mel of each one's first window.
        gone: whether there is nobody left to be answered.
    """
    shares: list[float | str] = []
    heads = _shares(files, max_duration)
    while len(shares) < len(files):
        async with turns:
            if await gone():
                return []
            shares += await turns.run(lambda: list(itertools.islice(heads, HEADERS)))
    mine = asyncio.Semaphore(turns.threads)

    async def one(file: Upload, share: float | str) -> dict[str, Any]:
        if isinstance(share, str):
            return {"file": file.name, "error": share}
        async with mine:
            rows: list[Probabilities] = []
            work = _rows(classifier, file, share)
            drawn = {}
            try:
                while True:
                    async with turns:
                        if await gone():
                            break
                        some = await turns.run(lambda: list(itertools.islice(work, WINDOWS)))
                    rows += some
                    if len(some) < WINDOWS:
                        break
                if picture and rows:
                    async with turns:
                        drawn = {"picture": await turns.run(_picture, classifier, file)}
            except AudioError as error:
                return {"file": file.name, "error": str(error)}
        return {"file": file.name, **(_answer(classifier, np.stack(rows)) if rows else {}), **drawn}

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(file, share)) for file, share in zip(files, shares, strict=True)]
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return [task.result() for task in tasks]


def _rows(classifier: Classifier, file: Upload, max_duration: float) -> Iterator[Probabilities]:
    """The probabilities of each window, as `Classifier.predict` finds them."""
    model = classifier.model
    for cut in windows(file, model.features, model.window, max_seconds=max_duration):
        yield classifier.predict_window(cut)


def _shares(files: Sequence[Upload], max_duration: float) -> Iterator[float | str]:
    """For each recording the seconds of it that may be read, or why it is not read at all.

    It goes by what the headers say: libsndfile never reads more than that, so one that lies is read in part.
    """
    left = max_duration
    for file in files:
        try:
            head = info(file)
        except AudioError as error:
            yield str(error)
            continue
        weight = max(1.0, head.sample_rate / MAX_SAMPLE_RATE)
        endless = head.frames >= UNKNOWN_FRAMES
        takes = left if endless else min(head.seconds * weight, max_duration)
        if left <= 0 or takes > left:
            yield f"{file.name}: the request's recordings are together longer than {max_duration:g} s; send fewer"
            continue
        left -= takes
        yield (takes if endless else max_duration) / weight


def _answer(classifier: Classifier, rows: Probabilities) -> dict[str, Any]:
    """What the windows (n, classes) of a recording say together."""
    prediction = classifier.combine_windows(rows)
    return {
        "label": prediction.label,
        "unsure": prediction.unsure,
        "probabilities": prediction.probabilities,
        "windows": len(rows),
        "window_probabilities": rows.tolist(),
    }


def _picture(classifier: Classifier, file: Upload) -> dict[str, Any]:
    """One `Picture`: the mean of the channels."""
    log_mel = next(classifier.log_mel_windows(file)).mean(axis=0)
    drawn = levels(log_mel, *shown_range([log_mel], classifier.model.features.top_db))
    coded = base64.b64encode(drawn.tobytes()).decode()
    bands, frames = log_mel.shape
    return {"levels": coded, "bands": bands, "frames": frames, "seconds": classifier.model.window.seconds}
