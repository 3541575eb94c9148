"""Recordings whose decoder never returns: they are refused, and neither other clients nor a shutdown wait for them."""

import io
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import soundfile

from helpers.raw_http import open_connection, upload_request
from helpers.tiny_model import tiny_model
from helpers.web_service import active_requests
from scenelet.audio import decoder
from scenelet.model.file import write_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no decoder process")

DECODER = """
    import os
    import scenelet.audio.decoder_process as process

    class Sound(process.CompressedSound):
        def __init__(self, file):
            while b"hang" in os.pread(file.fileno(), 1 << 16, 0):
                pass
            super().__init__(file)

    process.CompressedSound = Sound
    process.main()
"""
SERVICE = """
    import sys
    import scenelet.server.app
    from scenelet.cli import main

    sys.executable, scenelet.server.app.DECODER_SECONDS = sys.argv.pop(1), 1e6
    main()
"""


@pytest.fixture
def hanging_python(tmp_path: Path) -> Path:
    """A Python that runs decoder processes which never finish a recording with the comment "hang"."""
    script, python = tmp_path / "decoder.py", tmp_path / "python"
    script.write_text(textwrap.dedent(DECODER))
    python.write_text(f"#!/bin/sh\nexec {sys.executable} {script}\n")
    python.chmod(0o755)
    return python


@pytest.fixture
def hanging_decoder(hanging_python: Path, tiny_service: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of a service with such decoders."""
    decoder.DECODER.close()
    monkeypatch.setattr(sys, "executable", str(hanging_python))
    monkeypatch.setattr(decoder.DECODER, "start_seconds", 1.0)
    yield tiny_service
    decoder.DECODER.close()


def flac(comment: str, seconds: float = 0.5) -> bytes:
    data = io.BytesIO()
    with soundfile.SoundFile(data, "w", 8000, 1, format="FLAC") as file:
        file.comment = comment
        file.write(0.1 * np.random.default_rng(0).standard_normal(round(8000 * seconds)))
    return data.getvalue()


def post(address: str, data: bytes) -> httpx.Response:
    return httpx.post(f"{address}/predict", files={"files": ("a.flac", data)}, timeout=120)


def leave_upload(address: str, data: bytes) -> None:
    """Send a complete request and leave."""
    head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.flac"\r\n\r\n'
    open_connection(address, upload_request(address, head + data + b"\r\n--b--\r\n")).close()


@pytest.mark.slow
def test_predict_hanging_decoder_does_not_delay_others(hanging_decoder: str) -> None:
    with ThreadPoolExecutor(8) as clients:
        waiting = [clients.submit(post, hanging_decoder, flac("hang")) for _ in range(8)]
        while active_requests(hanging_decoder) < 8:
            pass
        honest = post(hanging_decoder, flac("fine"))
        assert honest.status_code == 200
        assert not all(answer.done() for answer in waiting)
        for answer in waiting:
            (result,) = answer.result().json()["results"]
            assert re.match(r"a\.flac: decoding took longer than 1\.\d s of processor time", result["error"])


@pytest.mark.slow
def test_predict_client_that_leaves_frees_its_place(hanging_decoder: str) -> None:
    for _ in range(4):
        leave_upload(hanging_decoder, flac("hang"))
    while active_requests(hanging_decoder):
        pass
    assert post(hanging_decoder, flac("fine")).status_code == 200


@pytest.mark.slow
def test_serve_ends_while_decoders_hang(hanging_python: Path, tmp_path: Path) -> None:
    """The limit of processor time is far away, so only the shutdown can end the decoders."""
    write_model(tiny_model(), tmp_path / "street.scn")
    options = "serve", str(tmp_path / "street.scn"), "--port", "0"
    command = [sys.executable, "-c", textwrap.dedent(SERVICE), str(hanging_python), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert address is not None
        for _ in range(4):
            leave_upload(address[0], flac("hang"))
        while len(decoders := psutil.Process(process.pid).children()) < 4:
            pass
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGTERM)
    assert errors == ""
    psutil.wait_procs(decoders, timeout=30)
    assert not any(child.is_running() for child in decoders)


WAVE_LIST = b"RIFF\x18\0\0\0WAVELIST\0\0\1\0INFOfact\xf4\xff\xff\xff"
AMIGA = b"FORM\0\0\0F8SVXVHDR\0\0\0\x14" + bytes(12) + b"\x1f\x40\1\0\0\1\0\0BODY\xff\xff\xff\xf0" + bytes(30)


@pytest.mark.parametrize("data", [WAVE_LIST, AMIGA, b"OggS\0" * 200_000], ids=["LIST", "8SVX", "Ogg pages"])
def test_predict_known_hanging_file_is_refused(tiny_service: str, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(decoder.DECODER, "start_seconds", 30.0)
    with ThreadPoolExecutor(4) as clients:
        answers = [clients.submit(post, tiny_service, data) for _ in range(4)]
        for answer in answers:
            (result,) = answer.result().json()["results"]
            assert "error" in result
            assert "processor time" not in result["error"]
