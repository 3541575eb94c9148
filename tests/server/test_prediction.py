"""Scheduling: the length of a request is limited, and requests progress side by side."""

import asyncio
import io
from threading import Barrier, current_thread

import httpx
import numpy as np
import pytest
import soundfile

from helpers.tiny_model import tiny_model
from helpers.web_service import run_async
from scenelet.audio.io import UNKNOWN_FRAMES, AudioInfo
from scenelet.inference.classifier import Classifier
from scenelet.inference.prediction import WindowPrediction
from scenelet.server.limits import ServerLimits
from scenelet.server.prediction import Allowance, FairScheduler, predict_uploads, readable_seconds
from scenelet.server.uploads import Upload

SHORT = pytest.mark.parametrize("tiny_service", [ServerLimits(max_seconds=10)], indirect=True)


def silence(seconds: float, rate: int = 8000) -> bytes:
    return flac(np.zeros(round(seconds * rate), np.int16), rate)


def flac(samples: np.ndarray, rate: int = 8000) -> bytes:
    data = io.BytesIO()
    soundfile.write(data, samples, rate, format="FLAC")
    return data.getvalue()


def wav(seconds: float) -> bytes:
    """Silence that needs no decoder process."""
    data = io.BytesIO()
    soundfile.write(data, np.zeros(round(seconds * 8000), np.int16), 8000, format="WAV")
    return data.getvalue()


def with_unknown_length(flac: bytes) -> bytes:
    """Clear the number of samples in the header, as programs do that write to a pipe."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]


def limits_of(*recordings: bytes) -> list[float | str]:
    found = readable_seconds([Upload(f"{i}", data) for i, data in enumerate(recordings)], 10)
    return [part.max_seconds if isinstance(part, Allowance) else part for part in found]


@SHORT
def test_predict_limits_total_length_of_request(tiny_service: str) -> None:
    small = silence(4)
    assert len(small) < 10_000  # hundreds of them fit into a request
    files = [("files", (f"{i}.flac", small)) for i in range(5)]
    results = httpx.post(f"{tiny_service}/predict", files=files, timeout=60).json()["results"]
    assert [result["file"] for result in results] == [f"{i}.flac" for i in range(5)]
    assert ["label" in result for result in results] == [True, True, False, False, False]
    assert results[2]["error"] == "2.flac: the request's recordings are together longer than 10 s; send fewer"


@SHORT
def test_predict_limits_recording_of_unknown_length(tiny_service: str) -> None:
    files = {"a.flac": with_unknown_length(silence(9)), "b.flac": with_unknown_length(silence(11))}
    short, long = (
        httpx.post(f"{tiny_service}/predict", files=[("files", file)], timeout=60).json()["results"][0]
        for file in files.items()
    )
    assert short["label"]
    assert long["error"].startswith("b.flac: is longer than 10 s")


def test_readable_seconds_divides_the_limit() -> None:
    assert limits_of(silence(1), silence(8), silence(1)) == [10, 10, 10]
    assert limits_of(silence(6), silence(6), silence(4))[::2] == [10, 10]  # the refused one does not count
    assert limits_of(silence(4), with_unknown_length(silence(1)), silence(1)) == [10, 10, 10]
    assert limits_of(b"no sound", silence(1))[1] == 10
    assert limits_of(silence(1, 384_000), silence(1)) == [5, 10]
    assert isinstance(limits_of(silence(6, 384_000), silence(1))[1], str)
    assert len(limits_of(*[silence(0.1)] * 100)) == 100


def test_readable_seconds_unknown_length_gets_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = iter([AudioInfo(8000, 1, 32_000), AudioInfo(8000, 1, UNKNOWN_FRAMES), AudioInfo(8000, 1, 8000)])
    monkeypatch.setattr("scenelet.server.prediction.info", lambda _: next(headers))
    assert limits_of(b"", b"", b"") == [10, 6, "2: the request's recordings are together longer than 10 s; send fewer"]


async def never_disconnected() -> bool:
    return False


async def predict(
    scheduler: FairScheduler, uploads: list[Upload], is_disconnected=never_disconnected, classifier=None
) -> list[dict[str, object]]:
    classifier = classifier or Classifier(tiny_model(), 1)
    return await predict_uploads(classifier, scheduler, uploads, 600, False, is_disconnected)


def test_predict_uploads_stops_when_client_disconnects() -> None:
    checks: list[bool] = []

    async def is_disconnected() -> bool:
        checks.append(True)
        return len(checks) > 3  # the first check comes before the header is read

    async def work() -> list[dict[str, object]]:
        scheduler = FairScheduler(3)
        results = await predict(scheduler, [Upload("long", silence(100))], is_disconnected)
        scheduler.shutdown()
        return results

    (result,) = run_async(work())
    assert result["windows"] == 2 * 3  # of 500


def test_predict_uploads_short_recording_overtakes_long() -> None:
    async def work() -> bool:
        scheduler, has_begun, is_overtaken = FairScheduler(1), asyncio.Event(), asyncio.Event()

        async def is_disconnected() -> bool:
            has_begun.set()
            return is_overtaken.is_set()

        long = asyncio.create_task(predict(scheduler, [Upload("a", wav(600))], is_disconnected))
        await has_begun.wait()
        await predict(scheduler, [Upload("b", wav(1))])
        was_done = long.done()
        is_overtaken.set()
        await long
        scheduler.shutdown()
        return was_done

    assert not run_async(work())


def test_scheduler_long_recordings_leave_readers_for_short_ones() -> None:
    async def work() -> None:
        scheduler, is_over = FairScheduler(1, readers=4), asyncio.Event()

        async def read(seconds: float) -> None:
            async with scheduler.reading(seconds):
                await is_over.wait()

        long = [asyncio.create_task(read(600)) for _ in range(10)]
        await asyncio.sleep(0)
        async with asyncio.timeout(60), scheduler.reading(10):
            is_over.set()
        await asyncio.gather(*long)
        scheduler.shutdown()

    run_async(work())


class WatchedUpload(Upload):
    """Upload that notes its name and the thread when it is read."""

    read_names: list[str]
    threads: set[str]

    def read(self, size: int | None = -1) -> bytes:
        if self.name not in self.read_names:
            self.read_names.append(self.name)
        self.threads.add(current_thread().name.rpartition("_")[0])
        return super().read(size)


def test_predict_uploads_reads_headers_in_short_turns() -> None:
    names: list[str] = []
    threads: set[str] = set()
    headers_at_check: list[int] = []

    async def is_disconnected() -> bool:
        headers_at_check.append(len(names))
        return len(headers_at_check) > 2

    async def work() -> list[dict[str, object]]:
        scheduler = FairScheduler(1, headers_per_turn=5)
        uploads = [WatchedUpload(f"{i}", silence(0.1)) for i in range(100)]
        for upload in uploads:
            upload.read_names, upload.threads = names, threads
        results = await predict(scheduler, uploads, is_disconnected)
        scheduler.shutdown()
        return results

    assert run_async(work()) == []
    assert headers_at_check == [0, 5, 10]
    assert threads == {"scenelet-serve"}


class MeetingClassifier(Classifier):
    """Classifier that predicts a window only when another thread predicts one too."""

    barrier = Barrier(2)

    def predict_window(self, samples: np.ndarray, **_: object) -> WindowPrediction:
        self.barrier.wait(timeout=60)
        return WindowPrediction(np.float32([0.5, 0.25, 0.25]))


def test_predict_uploads_windows_run_side_by_side() -> None:
    """A lone recording uses all threads."""

    async def work() -> list[dict[str, object]]:
        scheduler = FairScheduler(2)
        results = await predict(scheduler, [Upload("a", wav(0.8))], classifier=MeetingClassifier(tiny_model(), 1))
        scheduler.shutdown()
        return results

    (result,) = run_async(work())
    assert result["windows"] == 4


class FailingClassifier(Classifier):
    """Classifier that fails for every window with sound."""

    def predict_window(self, samples: np.ndarray, **_: object) -> WindowPrediction:
        if samples.any():
            raise ZeroDivisionError("the first")
        return WindowPrediction(np.ones(3, np.float32))


def test_predict_uploads_error_stops_whole_request() -> None:
    checks: list[bool] = []

    async def is_disconnected() -> bool:
        checks.append(True)
        return False

    async def work() -> int:
        scheduler, classifier = FairScheduler(2), FailingClassifier(tiny_model(), 1)
        long, noise = silence(100), flac(np.full(8000, 1000, np.int16))
        uploads = [Upload("long", long), Upload("bad", noise), Upload("long too", long)]
        with pytest.raises(ZeroDivisionError, match="the first"):
            await predict(scheduler, uploads, is_disconnected, classifier)
        before = len(checks)
        for _ in range(100):
            await scheduler.run(int)
        scheduler.shutdown()
        return len(checks) - before

    assert run_async(work()) == 0
