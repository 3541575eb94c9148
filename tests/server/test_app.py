"""The service over HTTP: answers as offline, and a clear refusal for everything else."""

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
def test_the_answer_is_the_offline_one(tiny_service: str, subtype: str) -> None:
    files = [(f"{i}.wav", wav(0.3 + 0.2 * i, i, 1 + i % 2, subtype)) for i in range(4)]
    answered = post(tiny_service, *files).json()
    assert answered["model"] == "tiny"
    offline = Classifier(tiny_model(), threads=1)
    for (name, data), result in zip(files, answered["results"], strict=True):
        expected = offline.predict(io.BytesIO(data))
        assert (result["file"], result["label"]) == (name, expected.label)
        assert result["probabilities"] == expected.probabilities
        assert result["windows"] == len(expected.windows)
        assert result["window_probabilities"] == expected.windows.tolist()


def test_a_real_recording(esc10_service: str) -> None:
    (result,) = post(esc10_service, ("dog.ogg", EXAMPLE.read_bytes()), params={"picture": True}).json()["results"]
    expected = scenelet.load("esc10").predict(EXAMPLE)
    assert result["label"] == expected.label == "dog"
    assert not result["unsure"]
    np.testing.assert_allclose(list(result["probabilities"].values()), list(expected.probabilities.values()), atol=1e-6)
    picture = result["picture"]
    assert len(base64.b64decode(picture["levels"])) == picture["bands"] * picture["frames"]


def test_what_is_wrong_with_one_recording_stands_in_its_place(tiny_service: str) -> None:
    name = "<script>\u00e9\U0001f600.wav"
    answered = post(tiny_service, ("a.wav", wav()), (name, b"no sound"), ("cut.wav", wav()[:-100]), ("none.wav", b""))
    assert answered.status_code == 200
    good, text, cut, empty = answered.json()["results"]
    assert good["label"]
    assert text["file"] == name
    assert text["error"].startswith(f"{name}: not a recording that can be read")
    assert "100 of" in cut["error"]
    assert empty["error"] == "none.wav: the file is empty; copy or record it again"
    assert post(tiny_service, ("x.wav", b"no sound")).status_code == 422


@pytest.mark.parametrize("tiny_service", [ServerLimits(max_body=20_000, max_seconds=1, max_files=2)], indirect=True)
def test_limits_have_clear_answers(tiny_service: str) -> None:
    large = post(tiny_service, ("a.wav", b"x" * 30_000))
    assert large.status_code == 413
    assert large.json()["detail"] == "the request is larger than 20,000 bytes; send fewer or shorter recordings"

    def parts() -> Iterator[bytes]:  # a body whose length is not told
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
        for _ in range(30):
            yield b"x" * 1000
        yield b"\r\n--b--\r\n"

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert httpx.post(f"{tiny_service}/predict", content=parts(), headers=kind).status_code == 413
    (result,) = post(tiny_service, ("long.wav", wav(1.01, channels=1))).json()["results"]
    assert result["error"] == "long.wav: is longer than 1 s; cut it into shorter recordings"
    assert post(tiny_service, ("fits.wav", wav(1.0, channels=1))).status_code == 200
    many = post(tiny_service, *[(f"{i}.wav", wav(0.2, channels=1)) for i in range(3)])
    assert many.status_code == 400
    assert "Too many files" in many.json()["detail"]
    assert httpx.get(f"{tiny_service}/health").json()["under_way"] == 0


def test_a_client_cannot_make_the_service_fail(tiny_service: str) -> None:
    """Sound that would leave float32, and a header in which our reader of 24 bits finds no sound."""
    loud, odd = io.BytesIO(), io.BytesIO()
    soundfile.write(loud, np.full(8000, 1e20), 8000, format="WAV", subtype="FLOAT")
    soundfile.write(odd, np.zeros(8000), 8000, format="WAVEX", subtype="PCM_24")
    damaged = bytearray(odd.getvalue())
    damaged[damaged.index(b"fact") + 4] = 0
    results = post(tiny_service, ("loud", loud.getvalue()), ("odd", bytes(damaged)), ("good", wav())).json()["results"]
    assert results[0]["error"] == "loud: holds samples up to 1.0e+20 times full scale; export it again"
    assert "error" in results[1] or results[1]["label"]
    assert results[2]["label"]


def test_bodies_that_are_no_recordings(tiny_service: str) -> None:
    def ask(**options: object) -> tuple[int, str]:
        answered = httpx.post(f"{tiny_service}/predict", **options)  # type: ignore[arg-type]
        return answered.status_code, answered.json()["detail"]

    assert ask(json={})[0] == 415
    assert ask(files={"note": (None, "text")}) == (
        400,
        "the request holds no recording; send at least one as a file: -F files=@street.wav",
    )
    assert ask(content=b"--b", headers={"Content-Type": "multipart/form-data"})[0] == 400
    assert ask(content=b"junk", headers={"Content-Type": "multipart/form-data; boundary=b"})[0] == 400


@pytest.mark.parametrize("tiny_service", [ServerLimits(max_clients=1)], indirect=True)
def test_one_too_many_is_told_to_come_again(tiny_service: str) -> None:
    host = urlsplit(tiny_service)
    body = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n' + wav(0.3) + b"\r\n--b--\r\n"
    )
    head = (
        f"POST /predict HTTP/1.1\r\nHost: {host.netloc}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host.hostname, host.port)) as slow:
        slow.sendall(head.encode() + body[:100])
        while httpx.get(f"{tiny_service}/health").json()["under_way"] == 0:
            pass
        refused = post(tiny_service, ("b.wav", wav(0.3)))
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
        assert refused.json()["detail"].startswith("1 requests are under way")
        slow.sendall(body[100:])
        answered = b""
        while part := slow.recv(1 << 16):
            answered += part
    assert json.loads(answered.partition(b"\r\n\r\n")[2])["results"][0]["label"]
    assert post(tiny_service, ("b.wav", wav(0.3))).status_code == 200


def test_what_is_said_of_the_model(esc10_service: str) -> None:
    model = httpx.get(f"{esc10_service}/model").json()
    assert model["labels"] == list(scenelet.load("esc10").labels)
    assert (model["seconds"], model["threshold"]) == (5.0, 0.776874)
    described = httpx.get(f"{esc10_service}/openapi.json").json()
    assert {"/predict", "/health", "/model"} == set(described["paths"])
    assert "/static-offline-docs/" in httpx.get(f"{esc10_service}/docs").text
    assert "https://" not in httpx.get(f"{esc10_service}/docs").text
    policy = httpx.get(esc10_service).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'")
    assert policy.endswith("connect-src 'self' " + " ".join(f"{s}://{esc10_service[7:]}" for s in ("ws", "wss")))
