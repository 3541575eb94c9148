"""What a request may ask for: so much sound in all, under any name, in any guise."""

import asyncio
import io
from collections.abc import Iterator
from threading import current_thread

import httpx
import numpy as np
import pytest
import soundfile

from helpers.raw_http import form, heard, link
from helpers.tiny_model import tiny_model
from helpers.web_service import elsewhere
from scenelet.audio.io import info
from scenelet.inference.classifier import Classifier
from scenelet.server.limits import ServerLimits
from scenelet.server.prediction import HEADERS, WINDOWS, FairScheduler, _shares, predict_uploads
from scenelet.server.uploads import Upload

SHORT = pytest.mark.parametrize("tiny_service", [ServerLimits(max_seconds=10)], indirect=True)


def silence(seconds: float, rate: int = 8000, kind: str = "FLAC") -> bytes:
    data = io.BytesIO()
    soundfile.write(data, np.zeros(round(seconds * rate), np.int16), rate, format=kind)
    return data.getvalue()


def unknown_length(flac: bytes) -> bytes:
    """As a program writes it to a pipe: its header does not say how many samples there are."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]


def shares(*recordings: bytes, most: float = 10) -> list[float | str]:
    return list(_shares([Upload(f"{i}", data) for i, data in enumerate(recordings)], most))


@SHORT
def test_all_recordings_of_a_request_are_bounded_together(tiny_service: str) -> None:
    small = silence(4)
    assert len(small) < 10_000  # hundreds of them fit into a request
    sent = [("files", (f"{i}.flac", small)) for i in range(5)]
    results = httpx.post(f"{tiny_service}/predict", files=sent, timeout=60).json()["results"]
    assert [result["file"] for result in results] == [f"{i}.flac" for i in range(5)]
    assert ["label" in result for result in results] == [True, True, False, False, False]
    assert results[2]["error"] == "2.flac: the request's recordings are together longer than 10 s; send fewer"


@SHORT
def test_a_length_that_is_not_told_is_bounded(tiny_service: str) -> None:
    sent = [("files", ("a.flac", unknown_length(silence(9)))), ("files", ("b.flac", unknown_length(silence(11))))]
    one, two = (httpx.post(f"{tiny_service}/predict", files=[part], timeout=60).json()["results"][0] for part in sent)
    assert one["label"]
    assert two["error"].startswith("b.flac: is longer than 10 s")


def test_how_much_of_each_is_read() -> None:
    assert shares(silence(1), silence(8), silence(1)) == [10, 10, 10]
    assert shares(silence(6), silence(6), silence(4))[::2] == [10, 10]  # what does not fit leaves room for others
    assert shares(silence(4), unknown_length(silence(1)), silence(1))[1] == pytest.approx(6)
    assert isinstance(shares(silence(4), unknown_length(silence(1)), silence(1))[2], str)
    assert shares(b"no sound", silence(1))[1] == 10
    assert shares(silence(1, 384_000), silence(1)) == [5, 10]
    assert isinstance(shares(silence(6, 384_000), silence(1))[1], str)
    assert len(shares(*[silence(0.1)] * 100)) == 100


CHARSETS = ("unicode_escape", "idna", "utf-7", "punycode", "zlib", "utf-16", "undefined")


@pytest.mark.parametrize("charset", CHARSETS)
def test_names_are_utf_8_whatever_is_said(tiny_service: str, charset: str) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="\\ud800\xff.wav"\r\n\r\nx\r\n--b--\r\n'
    answered = heard(
        link(tiny_service, form(tiny_service, body, f"multipart/form-data; boundary=b; charset={charset}"))
    )
    assert b" 422 " in answered
    assert '"file":"\\\\ud800\xff.wav"'.encode() in answered


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"../../etc/passwd", b"../../etc/passwd"),
        (b"a\0b", b"a\\\\x00b"),
        (b"\x1b[2J", b"\\\\x1b[2J"),
        (b"\xc2\x9b2J", b"\\\\x9b2J"),
        (b"\xe2\x80\xaeexe", b"\\\\u202eexe"),
        (b"n" * 3000, b"n" * 255),
    ],
)
def test_names_that_mean_no_good(tiny_service: str, sent: bytes, shown: bytes) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="' + sent + b'"\r\n\r\nx\r\n--b--\r\n'
    assert b'"file":"' + shown + b'","error":"' in heard(link(tiny_service, form(tiny_service, body)))


@pytest.mark.parametrize(
    "body",
    [
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nx\r\n' * 5000,
        b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n' * 5000,
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="' + b"n" * 1_000_000,
        b"--b\r\n" + b"A: b\r\n" * 5000,
    ],
)
def test_damaged_bodies(tiny_service: str, body: bytes) -> None:
    answered = heard(link(tiny_service, form(tiny_service, body)))
    assert b" 400 " in answered
    assert b"the request's body is not what it says" in answered


def test_who_has_gone_is_not_worked_for() -> None:
    asked: list[bool] = []

    async def gone() -> bool:
        asked.append(True)
        return len(asked) > 3  # the first time before its header is read

    async def work() -> list[dict[str, object]]:
        turns = FairScheduler(1)
        found = await predict_uploads(
            Classifier(tiny_model(), 1), turns, [Upload("long", silence(100))], 600, False, gone
        )
        turns.end()
        return found

    (result,) = elsewhere(work())
    assert result["windows"] == 2 * WINDOWS  # of 500


def test_a_short_recording_does_not_wait_for_the_end_of_a_long_one() -> None:
    async def work() -> bool:
        turns, classifier, begun = FairScheduler(1), Classifier(tiny_model(), 1), asyncio.Event()

        async def here() -> bool:
            begun.set()  # a turn has begun
            return False

        async def ask(seconds: float) -> None:
            await predict_uploads(classifier, turns, [Upload("a", silence(seconds))], 600, False, here)

        long = asyncio.create_task(ask(100))
        await begun.wait()
        await ask(1)
        overtaken = not long.done()
        await long
        turns.end()
        return overtaken

    assert elsewhere(work())


def test_headers_are_read_in_turns_and_for_nobody_who_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(
        "scenelet.server.prediction.info", lambda file: read.append(current_thread().name) or info(file)
    )
    asked: list[int] = []

    async def gone() -> bool:
        asked.append(len(read))
        return len(asked) > 2

    async def ask() -> list[dict[str, object]]:
        turns = FairScheduler(1)
        files = [Upload(f"{i}", silence(0.1)) for i in range(100)]
        found = await predict_uploads(Classifier(tiny_model(), 1), turns, files, 600, False, gone)
        turns.end()
        return found

    assert elsewhere(ask()) == []
    assert asked == [0, HEADERS, 2 * HEADERS]
    assert {name.rpartition("_")[0] for name in read} == {"scenelet-serve"}


def test_a_fault_of_ours_ends_the_work_for_the_whole_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def rows(_: Classifier, file: Upload, __: float) -> Iterator[np.ndarray]:
        if file.name == "bad":
            raise ZeroDivisionError("the first")
        yield from [np.ones(3, np.float32)] * 1000

    async def gone() -> bool:
        asked.append(True)
        return False

    async def ask() -> int:
        turns = FairScheduler(2)
        files = [Upload("long", silence(1)), Upload("bad", silence(1)), Upload("long too", silence(1))]
        with pytest.raises(ZeroDivisionError, match="the first"):
            await predict_uploads(Classifier(tiny_model(), 1), turns, files, 600, False, gone)
        then = len(asked)
        for _ in range(100):
            await turns.run(int)
        turns.end()
        return len(asked) - then

    monkeypatch.setattr("scenelet.server.prediction._rows", rows)
    assert elsewhere(ask()) == 0
