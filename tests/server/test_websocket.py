"""Live audio: the same numbers as for a file, and a clear error for invalid messages."""

import itertools
import json

import httpx
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from helpers.tiny_model import tiny_model
from helpers.web_service import active_requests, websocket_url
from scenelet.audio.windows import windows_of_array
from scenelet.inference.classifier import Classifier
from scenelet.inference.stream import Stream
from scenelet.server.limits import ServerLimits

HOP = 0.05


def open_stream(address: str, query: str = "") -> ClientConnection:
    return connect(websocket_url(address, f"stream{query}"))


def offline(samples: np.ndarray, rate: int) -> list[list[float]]:
    """Return the probabilities of the windows of an array."""
    model = tiny_model()
    window = model.window.model_copy(update={"hop_seconds": HOP})
    classifier = Classifier(model, threads=1)
    cuts = windows_of_array(samples, rate, model.features, window)
    return [classifier.predict_window(cut).probabilities.tolist() for cut in cuts]


@pytest.mark.parametrize(("form", "dtype", "scale"), [("f32", "<f4", 1), ("s16", "<i2", 32767)])
def test_stream_same_numbers_as_file(tiny_service: str, form: str, dtype: str, scale: int) -> None:
    rng = np.random.default_rng(0)
    sent = (scale * 0.1 * rng.standard_normal((9000, 2)).clip(-9, 9)).astype(dtype)  # (frames, channels)
    data = sent.tobytes()
    received = sent.T.astype(np.float32) / (1 if form == "f32" else 2**15)
    with open_stream(tiny_service, f"?sample_rate=11025&channels=2&format={form}&hop={HOP}") as client:
        ready = json.loads(client.recv())
        assert (ready["type"], ready["window_seconds"], ready["hop_seconds"]) == ("ready", 0.2, HOP)
        cuts = [0, 8, 8000, 8008, len(data)]
        for start, stop in itertools.pairwise(cuts):
            client.send(data[start:stop])
        client.send("end")
        predictions = []
        while (message := json.loads(client.recv()))["type"] == "prediction":
            predictions.append(message)
        assert message == {"type": "end"}
    expected = offline(np.ascontiguousarray(received), 11025)
    assert len(predictions) == len(expected) > 10
    np.testing.assert_allclose([p["probabilities"] for p in predictions], expected, rtol=0, atol=1e-7)
    ends = [p["seconds"] for p in predictions]
    np.testing.assert_allclose(ends[:-1], 0.2 + HOP * np.arange(len(ends) - 1))
    assert ends[-1] == pytest.approx(9000 / 11025)  # the last window is padded; the sound is not longer
    assert predictions[0]["changed"]
    np.testing.assert_allclose(np.sum([p["smoothed"] for p in predictions], axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "sample_rate=: give the samples' rate, 500 to 768000 Hz"),
        ("?sample_rate=48k", "sample_rate=48k: give the samples' rate, 500 to 768000 Hz"),
        pytest.param(
            f"?sample_rate={'1' * 5000}",
            f"sample_rate={'1' * 20}: give the samples' rate, 500 to 768000 Hz",
            id="more digits than int() accepts",
        ),
        ("?sample_rate=8000&channels=3", "channels=3: give 1 or 2"),
        ("?sample_rate=8000&format=u8", "format=u8: give one of s16, s24, s32, f32"),
        ("?sample_rate=8000&hop=9", "a hop of 9 s; give one from 0.05 s up to the window's 0.2 s"),
        ("?sample_rate=8000&hop=nan", "a hop of nan s; give one from 0.05 s up to the window's 0.2 s"),
        ("?sample_rate=8000&hop=-inf", "a hop of -inf s; give one from 0.05 s up to the window's 0.2 s"),
        ("?sample_rate=8000&hop=1e999", "a hop of inf s; give one from 0.05 s up to the window's 0.2 s"),
        pytest.param(
            f"?sample_rate=8000&hop={'9' * 5000}",
            "a hop of inf s; give one from 0.05 s up to the window's 0.2 s",
            id="infinite hop",
        ),
        ("?sample_rate=8000&hop=x", "hop=x: give seconds, e.g. 1"),
        ("?rate=8000", "rate: no such parameter; use sample_rate, channels, format and hop"),
    ],
)
def test_stream_invalid_query_is_error(tiny_service: str, query: str, message: str) -> None:
    with open_stream(tiny_service, query) as client:
        assert json.loads(client.recv()) == {"type": "error", "message": message}
        with pytest.raises(Exception, match="1008"):
            client.recv()


def test_stream_fast_client_does_not_block_others(tiny_service: str) -> None:
    """A megabyte at the minimum hop is many windows. They must not be computed after the client has disconnected."""
    for _ in range(2):
        with open_stream(tiny_service, "?sample_rate=8000&hop=0.05&format=s16") as client:
            client.recv()
            client.send(bytes(1_000_000))
    assert httpx.get(f"{tiny_service}/health", timeout=10).json()["status"] == "ok"
    while active_requests(tiny_service):
        pass


def test_stream_long_message_is_processed_by_second(tiny_service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[int] = []
    push = Stream.push

    def note_block(stream: Stream, samples: np.ndarray) -> object:
        blocks.append(samples.shape[1])
        return push(stream, samples)

    monkeypatch.setattr(Stream, "push", note_block)
    with open_stream(tiny_service, "?sample_rate=1000&hop=0.2&format=s16") as client:
        client.send(bytes(2 * 2500))
        client.send("end")
        while json.loads(client.recv())["type"] != "end":
            pass
    assert blocks == [1000, 1000, 500]


def test_stream_end_without_samples_is_error(tiny_service: str) -> None:
    with open_stream(tiny_service, "?sample_rate=8000&hop=0.1") as client:
        client.recv()
        client.send("end")
        assert json.loads(client.recv()) == {"type": "error", "message": "no sound came"}


@pytest.mark.parametrize("sent", [b"12345", "hello", np.array([np.nan], "<f4").tobytes()])
def test_stream_invalid_message_is_error(tiny_service: str, sent: bytes | str) -> None:
    with open_stream(tiny_service, "?sample_rate=8000&hop=0.1") as client:
        client.recv()
        client.send(sent)
        assert json.loads(client.recv())["type"] == "error"


@pytest.mark.parametrize("tiny_service", [ServerLimits(max_clients=1)], indirect=True)
def test_stream_when_full_is_refused_until_one_closes(tiny_service: str) -> None:
    with open_stream(tiny_service, "?sample_rate=8000&hop=0.1") as first:
        first.recv()
        with pytest.raises(InvalidStatus) as refused:
            open_stream(tiny_service, "?sample_rate=8000&hop=0.1")
        assert refused.value.response.status_code == 429
    for _ in range(200):  # the service notices the close with a delay
        try:
            with open_stream(tiny_service, "?sample_rate=8000&hop=0.1") as second:
                assert json.loads(second.recv())["type"] == "ready"
            return
        except InvalidStatus:
            continue
    pytest.fail("the closed stream still counts")
