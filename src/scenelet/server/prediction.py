"""Fair scheduling of the recordings in all requests, and their predictions."""

import asyncio
import contextlib
import functools
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from scenelet.audio.decoder import DECODER
from scenelet.audio.io import UNKNOWN_FRAMES, Samples, info
from scenelet.audio.windows import windows
from scenelet.errors import AudioError
from scenelet.inference.classifier import Classifier
from scenelet.inference.prediction import Prediction, WindowPrediction
from scenelet.server.spectrogram import SpectrogramReader
from scenelet.server.uploads import Upload

Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_SAMPLE_RATE = 192_000
"""Hz. A recording with a higher rate counts as longer, in proportion to its number of samples."""
READERS = 16
"""Recordings that are read at once. A damaged one may keep its decoder process (30 MB) busy for seconds."""
LONG_SECONDS = 60.0
"""Length from which a recording counts as long. Long ones take at most half of the readers."""
PIECES_PER_TURN = 8  # of a spectrogram


class FairScheduler:
    """Threads that requests share: each one holds a thread for a short turn, and the longest waiting one is next.

    A turn of prediction is `async with scheduler` with a call of `run` in it. Recordings are read by further threads,
    which mostly wait for the decoder: `async with scheduler.reading(seconds)`. So a recording whose decoder hangs
    delays no prediction.

    Args:
        threads: number of threads that predict.
        headers_per_turn: recordings whose headers are read in one turn.
        readers: recordings that are read at once.
    """

    def __init__(self, threads: int, headers_per_turn: int = 4, readers: int = READERS) -> None:
        self.threads, self.headers_per_turn = threads, headers_per_turn
        self._free, self._readers = asyncio.Semaphore(threads), asyncio.Semaphore(readers)
        self._long_readers = asyncio.Semaphore(max(1, readers // 2))
        self._pool = ThreadPoolExecutor(threads + readers, "scenelet-serve")

    async def __aenter__(self) -> None:
        await self._free.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._free.release()

    @contextlib.asynccontextmanager
    async def reading(self, seconds: float = 0.0) -> AsyncIterator[None]:
        """Hold a reader for a recording of this length; several calls of `run` may follow."""
        async with contextlib.AsyncExitStack() as stack:
            if seconds > LONG_SECONDS:
                await stack.enter_async_context(self._long_readers)
            await stack.enter_async_context(self._readers)
            yield

    async def run(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Call the function in one of the threads and return its result.

        If the caller is cancelled, the thread still ends first, so that its turn is not given to another one.
        """
        call = functools.partial(function, *args, **kwargs)
        work = asyncio.get_running_loop().run_in_executor(self._pool, call)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise

    def shutdown(self) -> None:
        """End the decoders and the current turns, and drop all others."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        DECODER.close()
        self._pool.shutdown()


@dataclass(frozen=True)
class Allowance:
    """Part of a request's maximum length that one recording may use.

    Attributes:
        seconds: length that its header states, or the maximum if there is none.
        max_seconds: length at which reading stops.
    """

    seconds: float
    max_seconds: float


async def predict_uploads(
    classifier: Classifier,
    scheduler: FairScheduler,
    uploads: Sequence[Upload],
    max_seconds: float,
    with_spectrogram: bool,
    is_disconnected: Callable[[], Awaitable[bool]],
) -> list[dict[str, Any]]:
    """Classify the recordings of one request.

    The request uses as many threads as there are, and gives each up after a window so that other requests progress.

    Args:
        classifier: the model.
        scheduler: the threads.
        uploads: the recordings.
        max_seconds: maximum length of one recording, and of all of them together.
        with_spectrogram: whether to add the spectrogram of each recording.
        is_disconnected: returns whether the client has disconnected, so that the work can stop.

    Returns:
        One `scenelet.server.schemas.RecordingResult` per recording, as a dictionary without the fields that do not
        apply. The list is empty if the client disconnected before the headers were read.
    """
    allowances: list[Allowance | str] = []
    remaining = readable_seconds(uploads, max_seconds)
    while len(allowances) < len(uploads):
        async with scheduler.reading():
            if await is_disconnected():
                return []
            allowances += await scheduler.run(lambda: list(itertools.islice(remaining, scheduler.headers_per_turn)))
    request = _Request(classifier, scheduler, with_spectrogram, is_disconnected)
    request_threads = asyncio.Semaphore(scheduler.threads)

    async def predict_one(upload: Upload, allowance: Allowance | str) -> dict[str, Any]:
        if isinstance(allowance, str):
            return {"file": upload.name, "error": allowance}
        try:
            async with request_threads, scheduler.reading(allowance.seconds):
                result = await request.predict(upload, allowance)
        except AudioError as error:
            result = {"error": str(error)}
        return {"file": upload.name, **result}

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(predict_one(*pair)) for pair in zip(uploads, allowances, strict=True)]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


@dataclass(frozen=True)
class _Request:
    """State that the recordings of one request share."""

    classifier: Classifier
    scheduler: FairScheduler
    with_spectrogram: bool
    is_disconnected: Callable[[], Awaitable[bool]]

    async def predict(self, upload: Upload, allowance: Allowance) -> dict[str, Any]:
        """Classify one recording; stop early if the client disconnects."""
        model, notes, rows = self.classifier.model, list[str](), list[WindowPrediction]()
        cuts = windows(upload, model.features, model.window, max_seconds=allowance.max_seconds, on_note=notes.append)
        async for batch in self._read(cuts, self.scheduler.threads):
            rows += await asyncio.gather(*map(self._predict_window, batch))
        if not rows:
            return {}
        prediction = self.classifier.combine_windows(rows, cuts.no_sound)
        result = _to_json(prediction) | ({"notes": notes} if notes else {})
        if self.with_spectrogram:
            reader = SpectrogramReader(model, upload, allowance.seconds, allowance.max_seconds)
            async for _ in self._read(reader.read(), PIECES_PER_TURN):
                pass
            result["spectrogram"] = await self.scheduler.run(reader.image)
        return result

    async def _read(self, items: Iterator[Item], count: int) -> AsyncIterator[list[Item]]:
        """Yield lists of up to `count` items that a thread has read, until the client disconnects."""
        while not await self.is_disconnected():
            batch = await self.scheduler.run(lambda: list(itertools.islice(items, count)))
            yield batch
            if len(batch) < count:
                break

    async def _predict_window(self, samples: Samples) -> WindowPrediction:
        async with self.scheduler:
            return await self.scheduler.run(self.classifier.predict_window, samples)


def readable_seconds(uploads: Sequence[Upload], max_seconds: float) -> Iterator[Allowance | str]:
    """Divide the maximum length of a request among its recordings.

    The lengths come from the headers. A wrong header does no harm, since no more is read than `Allowance.max_seconds`.

    Yields:
        For each recording its part, or the error if it must not be read.

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
        limit = (needed if is_unknown else max_seconds) / weight
        yield Allowance(limit if is_unknown else min(header.seconds, limit), limit)


def _to_json(prediction: Prediction) -> dict[str, Any]:
    return {
        "label": prediction.label,
        "unsure": prediction.unsure,
        "probabilities": prediction.probabilities,
        "windows": len(prediction.windows),
        "window_probabilities": prediction.windows.tolist(),
    }
