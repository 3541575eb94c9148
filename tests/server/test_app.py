"""The service over HTTP: the same predictions as offline, and a clear error for everything else."""

import base64
import io
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import soundfile

import scenelet
from helpers.tiny_model import tiny_model
from helpers.web_service import active_requests
from scenelet.inference.classifier import Classifier
from scenelet.model.pretrained import built_in
from scenelet.server.limits import ServerLimits

EXAMPLE = built_in("esc10").with_name("esc10.example.ogg")  # type: ignore[union-attr]


def wav(seconds: float = 0.5, seed: int = 0, channels: int = 2, subtype: str = "PCM_16") -> bytes:
    noise = 0.1 * np.random.default_rng(seed).standard_normal((round(8000 * seconds), channels))
    data = io.BytesIO()
    soundfile.write(data, noise, 8000, subtype=subtype, format="WAV")
    return data.getvalue()


def post(address: str, *files: tuple[str, bytes], **options: object) -> httpx.Response:
    return httpx.post(f"{address}/predict", files=[("files", file) for file in files], timeout=60, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_predict_same_numbers_as_offline(tiny_service: str, subtype: str) -> None:
    files = [(f"{i}.wav", wav(0.3 + 0.2 * i, i, 1 + i % 2, subtype)) for i in range(4)]
    response = post(tiny_service, *files).json()
    assert response["model"] == "tiny"
    offline = Classifier(tiny_model(), threads=1)
    for (name, data), result in zip(files, response["results"], strict=True):
        expected = offline.predict(io.BytesIO(data))
        assert (result["file"], result["label"]) == (name, expected.label)
        assert result["probabilities"] == expected.probabilities
        assert result["windows"] == len(expected.windows)
        assert result["window_probabilities"] == expected.windows.tolist()


def test_predict_example_recording_is_dog(esc10_service: str) -> None:
    (result,) = post(esc10_service, ("dog.ogg", EXAMPLE.read_bytes()), params={"spectrogram": True}).json()["results"]
    expected = scenelet.load("esc10").predict(EXAMPLE)
    assert result["label"] == expected.label == "dog"
    assert not result["unsure"]
    np.testing.assert_allclose(list(result["probabilities"].values()), list(expected.probabilities.values()), atol=1e-6)
    spectrogram = result["spectrogram"]
    assert len(base64.b64decode(spectrogram["levels"])) == spectrogram["bands"] * spectrogram["frames"]


def test_predict_spectrogram_covers_long_recording_in_few_bytes(tiny_service: str) -> None:
    """A recording may last for hours; what is drawn of it stays small, and shows the same time as its player."""
    samples = np.zeros((8000 * 290, 1))
    samples[8000 * 145 :] = 0.1 * np.random.default_rng(0).standard_normal((8000 * 145, 1))
    data = io.BytesIO()
    soundfile.write(data, samples, 8000, format="FLAC")
    (result,) = post(tiny_service, ("a.flac", data.getvalue()), params={"spectrogram": True}).json()["results"]
    drawn = result["spectrogram"]
    assert drawn["seconds"] == 290
    assert (drawn["frames"], drawn["bands"] <= 128) == (600, True)
    image = np.frombuffer(base64.b64decode(drawn["levels"]), np.uint8).reshape(drawn["bands"], -1)
    assert image[:, :298].max() < image[:, 302:].mean(axis=0).min()


def test_predict_silence_is_no_class(tiny_service: str) -> None:
    data = io.BytesIO()
    soundfile.write(data, np.zeros(8000), 8000, format="WAV")
    (result,) = post(tiny_service, ("quiet.wav", data.getvalue())).json()["results"]
    assert (result["label"], result["unsure"]) == ("silence", True)


def test_predict_builds_no_network(tiny_service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests come from several threads, so what they share is made before the first one."""
    monkeypatch.setattr("scenelet.inference.classifier.make_pipeline", None)
    assert post(tiny_service, ("a.wav", wav()), ("b.wav", wav())).status_code == 200


def test_predict_odd_recording_has_notes(tiny_service: str) -> None:
    data = bytearray(wav(1.0))
    data[40:44] = bytes(4)  # the length of the sound, as a recorder leaves it when it loses power
    (result,) = post(tiny_service, ("odd.wav", bytes(data))).json()["results"]
    assert result["label"]
    assert len(result["notes"]) == 1
    assert result["notes"][0].startswith("odd.wav: ")


def test_predict_bad_recording_has_error_in_its_result(tiny_service: str) -> None:
    name = "<script>\u00e9\U0001f600.wav"
    truncated = wav()[: -len(wav()) // 2]
    response = post(tiny_service, ("a.wav", wav()), (name, b"no sound"), ("cut.wav", truncated), ("none.wav", b""))
    assert response.status_code == 200
    good, text, cut, empty = response.json()["results"]
    assert good["label"]
    assert text["file"] == name
    assert text["error"].startswith(f"{name}: not a recording that can be read")
    assert "the file is truncated, copy it again" in cut["error"]
    assert empty["error"] == "none.wav: the file is empty; copy or record it again"
    assert post(tiny_service, ("x.wav", b"no sound")).status_code == 422


LOW_LIMITS = ServerLimits(max_body_bytes=20_000, max_seconds=1, max_files=2)


@pytest.mark.parametrize("tiny_service", [LOW_LIMITS], indirect=True)
def test_predict_above_limits_has_clear_error(tiny_service: str) -> None:
    large = post(tiny_service, ("a.wav", b"x" * 30_000))
    assert large.status_code == 413
    assert large.json()["detail"] == "the request is larger than 20,000 bytes; send fewer or shorter recordings"

    def chunks() -> Iterator[bytes]:  # a body without Content-Length
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
        for _ in range(30):
            yield b"x" * 1000
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert httpx.post(f"{tiny_service}/predict", content=chunks(), headers=headers).status_code == 413
    (result,) = post(tiny_service, ("long.wav", wav(1.01, channels=1))).json()["results"]
    assert result["error"] == "long.wav: is longer than 1 s; cut it into shorter recordings"
    assert post(tiny_service, ("fits.wav", wav(1.0, channels=1))).status_code == 200
    many = post(tiny_service, *[(f"{i}.wav", wav(0.2, channels=1)) for i in range(3)])
    assert many.status_code == 400
    assert many.json()["detail"].startswith("the request has more than 2 recordings")
    assert active_requests(tiny_service) == 0


def test_predict_damaged_recordings_do_not_fail(tiny_service: str) -> None:
    """One exceeds float32 when it is scaled; in the other the 24-bit reader finds no samples."""
    loud, odd = io.BytesIO(), io.BytesIO()
    soundfile.write(loud, np.full(8000, 1e20), 8000, format="WAV", subtype="FLOAT")
    soundfile.write(odd, np.zeros(8000), 8000, format="WAVEX", subtype="PCM_24")
    damaged = bytearray(odd.getvalue())
    damaged[damaged.index(b"fact") + 4] = 0
    results = post(tiny_service, ("loud", loud.getvalue()), ("odd", bytes(damaged)), ("good", wav())).json()["results"]
    assert results[0]["error"] == "loud: holds samples up to 1.0e+20 times full scale; export it again"
    assert "error" in results[1] or results[1]["label"]
    assert results[2]["label"]


@pytest.mark.parametrize("tiny_service", [ServerLimits(max_clients=1)], indirect=True)
def test_predict_when_full_is_refused_with_retry(tiny_service: str) -> None:
    host = urlsplit(tiny_service)
    body = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n' + wav(0.3) + b"\r\n--b--\r\n"
    )
    header = (
        f"POST /predict HTTP/1.1\r\nHost: {host.netloc}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host.hostname, host.port)) as slow:
        slow.sendall(header.encode() + body[:100])
        while active_requests(tiny_service) == 0:
            pass
        refused = post(tiny_service, ("b.wav", wav(0.3)))
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
        assert refused.json()["detail"] == "the service has its maximum of 1 active request; try again soon"
        slow.sendall(body[100:])
        response = b""
        while part := slow.recv(1 << 16):
            response += part
    assert json.loads(response.partition(b"\r\n\r\n")[2])["results"][0]["label"]
    assert post(tiny_service, ("b.wav", wav(0.3))).status_code == 200


def test_app_pages_describe_model_and_stay_local(esc10_service: str) -> None:
    model = httpx.get(f"{esc10_service}/model").json()
    assert model["labels"] == list(scenelet.load("esc10").labels)
    assert (model["window_seconds"], model["thresholds"]) == (5.0, [0.5560494661331177] * 10)
    schema = httpx.get(f"{esc10_service}/openapi.json").json()
    assert {"/predict", "/health", "/model"} == set(schema["paths"])
    assert "/static-offline-docs/" in httpx.get(f"{esc10_service}/docs").text
    assert "https://" not in httpx.get(f"{esc10_service}/docs").text
