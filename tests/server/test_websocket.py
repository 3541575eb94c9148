"""The WebSocket: the same numbers as a file's windows, and one clear message for what cannot be understood."""

import itertools
import json

import httpx
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from helpers.tiny_model import tiny_model
from scenelet.audio.windows import windows_of_array
from scenelet.inference.classifier import Classifier
from scenelet.inference.stream import Stream
from scenelet.server.limits import ServerLimits

HOP = 0.05


def talk(address: str, query: str = "", **options: object) -> ClientConnection:
    return connect(f"{address.replace('http', 'ws')}/stream{query}", **options)  # type: ignore[arg-type]


def offline(samples: np.ndarray, rate: int) -> list[list[float]]:
    """The probabilities of the windows of samples that are there as a whole."""
    model = tiny_model()
    window = model.window.model_copy(update={"hop_seconds": HOP})
    classifier = Classifier(model, threads=1)
    cuts = windows_of_array(samples, rate, model.features, window)
    return [classifier.predict_window(cut).tolist() for cut in cuts]


@pytest.mark.parametrize(("form", "dtype", "scale"), [("f32", "<f4", 1), ("s16", "<i2", 32767)])
def test_the_stream_gives_the_numbers_of_the_file(tiny_service: str, form: str, dtype: str, scale: int) -> None:
    rng = np.random.default_rng(0)
    sent = (scale * 0.1 * rng.standard_normal((9000, 2)).clip(-9, 9)).astype(dtype)  # (frames, channels)
    data = sent.tobytes()
    heard = sent.T.astype(np.float32) / (1 if form == "f32" else 2**15)
    with talk(tiny_service, f"?sample_rate=11025&channels=2&format={form}&hop={HOP}") as client:
        ready = json.loads(client.recv())
        assert (ready["type"], ready["window_seconds"], ready["hop_seconds"]) == ("ready", 0.2, HOP)
        cuts = [0, 8, 8000, 8008, len(data)]
        for start, stop in itertools.pairwise(cuts):
            client.send(data[start:stop])
        client.send("end")
        moments = []
        while (message := json.loads(client.recv()))["type"] == "moment":
            moments.append(message)
        assert message == {"type": "end"}
    expected = offline(np.ascontiguousarray(heard), 11025)
    assert len(moments) == len(expected) > 10
    np.testing.assert_allclose([m["probabilities"] for m in moments], expected, rtol=0, atol=1e-7)
    ends = [m["seconds"] for m in moments]
    np.testing.assert_allclose(ends[:-1], 0.2 + HOP * np.arange(len(ends) - 1))
    assert ends[-1] == pytest.approx(9000 / 11025)  # the last window is padded; the sound is not longer
    assert moments[0]["changed"]
    np.testing.assert_allclose(np.sum([m["smoothed"] for m in moments], axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "sample_rate=: give the samples' rate, 500 to 768000 Hz"),
        ("?sample_rate=48k", "sample_rate=48k: give the samples' rate, 500 to 768000 Hz"),
        pytest.param(
            f"?sample_rate={'1' * 5000}",
            f"sample_rate={'1' * 20}: give the samples' rate, 500 to 768000 Hz",
            id="more digits than Python takes",
        ),
        ("?sample_rate=8000&channels=3", "channels=3: give 1 or 2"),
        ("?sample_rate=8000&format=u8", "format=u8: it is one of s16, s24, s32, f32"),
        ("?sample_rate=8000&hop=9", "a hop of 9 s; give one from 0.05 s up to the window's 0.2 s"),
        ("?sample_rate=8000&hop=nan", "a hop of nan s; give one from 0.05 s up to the window's 0.2 s"),
        ("?sample_rate=8000&hop=-inf", "a hop of -inf s; give one from 0.05 s up to the window's 0.2 s"),
        ("?sample_rate=8000&hop=1e999", "a hop of inf s; give one from 0.05 s up to the window's 0.2 s"),
        pytest.param(
            f"?sample_rate=8000&hop={'9' * 5000}",
            "a hop of inf s; give one from 0.05 s up to the window's 0.2 s",
            id="a hop without end",
        ),
        ("?sample_rate=8000&hop=x", "hop=x: give seconds, e.g. 1"),
        ("?rate=8000", "rate: no such parameter; there are sample_rate, channels, format and hop"),
    ],
)
def test_an_address_that_cannot_be_understood(tiny_service: str, query: str, message: str) -> None:
    with talk(tiny_service, query) as client:
        assert json.loads(client.recv()) == {"type": "error", "message": message}
        with pytest.raises(Exception, match="1008"):
            client.recv()


def test_a_client_that_is_faster_than_its_sound_does_not_stop_others(tiny_service: str) -> None:
    """A megabyte at the least hop is many windows; who sends it and goes must not be worked for."""
    for _ in range(2):
        with talk(tiny_service, "?sample_rate=8000&hop=0.05&format=s16") as client:
            client.recv()
            client.send(bytes(1_000_000))
    assert httpx.get(f"{tiny_service}/health", timeout=10).json()["status"] == "ok"
    while httpx.get(f"{tiny_service}/health", timeout=10).json()["under_way"]:
        pass


def test_a_message_of_minutes_is_worked_on_a_second_at_a_time(
    tiny_service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    push = Stream.push

    def seen(stream: Stream, samples: np.ndarray) -> object:
        taken.append(samples.shape[1])
        return push(stream, samples)

    monkeypatch.setattr(Stream, "push", seen)
    with talk(tiny_service, "?sample_rate=1000&hop=0.2&format=s16") as client:
        client.send(bytes(2 * 2500))
        client.send("end")
        while json.loads(client.recv())["type"] != "end":
            pass
    assert taken == [1000, 1000, 500]


def test_the_end_of_no_sound_is_an_error(tiny_service: str) -> None:
    with talk(tiny_service, "?sample_rate=8000&hop=0.1") as client:
        client.recv()
        client.send("end")
        assert json.loads(client.recv()) == {"type": "error", "message": "no sound came"}


@pytest.mark.parametrize("sent", [b"12345", "hello", np.array([np.nan], "<f4").tobytes()])
def test_messages_that_cannot_be_understood(tiny_service: str, sent: bytes | str) -> None:
    with talk(tiny_service, "?sample_rate=8000&hop=0.1") as client:
        client.recv()
        client.send(sent)
        assert json.loads(client.recv())["type"] == "error"


@pytest.mark.parametrize("tiny_service", [ServerLimits(clients=1)], indirect=True)
def test_one_stream_too_many_is_refused_and_a_closed_one_makes_room(tiny_service: str) -> None:
    with talk(tiny_service, "?sample_rate=8000&hop=0.1") as first:
        first.recv()
        with pytest.raises(InvalidStatus) as refused:
            talk(tiny_service, "?sample_rate=8000&hop=0.1")
        assert refused.value.response.status_code == 429
    for _ in range(200):  # the service learns of the close a moment later
        try:
            with talk(tiny_service, "?sample_rate=8000&hop=0.1") as again:
                assert json.loads(again.recv())["type"] == "ready"
            return
        except InvalidStatus:
            continue
    pytest.fail("the closed stream still counts")
