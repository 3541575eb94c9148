"""Tests of decoding in child processes: limits, crashes, threads and forks."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import psutil
import pytest
import soundfile

from scenelet.audio import decoder as decoders
from scenelet.audio.decoder import Decoder
from scenelet.errors import AudioError, DecoderError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems decode in the same process")


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder(start_seconds=20.0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def flac() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, (30_000, 2)), 8000, format="FLAC")
    return file.getvalue()


def decode(decoder: Decoder, file: BinaryIO) -> np.ndarray:
    with decoder.open(file) as opened:
        blocks = []
        while len(block := opened.read(7000)[0]):
            blocks.append(block)
    return np.concatenate(blocks)


def expected(data: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]


def only_child(decoder: Decoder) -> subprocess.Popen:
    (child,) = decoder._idle
    return child.process


def test_open_file_and_bytes_give_the_samples_of_libsndfile(decoder: Decoder, flac: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(flac)
    with (tmp_path / "a.flac").open("rb") as file:
        assert np.array_equal(decode(decoder, file), expected(flac))
    first = only_child(decoder)
    assert np.array_equal(decode(decoder, io.BytesIO(flac)), expected(flac))
    assert only_child(decoder) is first  # the child is used again


def test_open_gives_the_header(decoder: Decoder, flac: bytes) -> None:
    with decoder.open(io.BytesIO(flac)) as opened:
        assert (opened.sample_rate, opened.channels, opened.frames) == (8000, 2, 30_000)


def test_open_what_libsndfile_refuses_raises_and_the_child_is_kept(decoder: Decoder, flac: bytes) -> None:
    au = b".snd" + bytes([0, 0, 0, 24]) + bytes(992)
    for data, text in ((au, r"it is AU; libsndfile: "), (b"no sound" * 100, "not recognized")):
        with pytest.raises(AudioError, match=text), decoder.open(io.BytesIO(data)):
            pass
    first = only_child(decoder)
    decode(decoder, io.BytesIO(flac))
    assert only_child(decoder) is first


def test_open_endless_file_raises_and_the_next_file_is_read(tmp_path: Path, flac: bytes) -> None:
    """The test runs in a process of its own, which is ended if the limit does not work."""
    (tmp_path / "a.flac").write_bytes(flac)
    script = """
import io, sys
from scenelet.audio.decoder import Decoder
from scenelet.errors import DecoderError
decoder = Decoder(start_seconds=0.2)
endless = b"\\xff\\xfb\\x90\\0" + b"\\xff\\xeb\\x90\\0" * (1 << 23)  # the second is no frame, but begins like one
try:
    with decoder.open(io.BytesIO(endless)):
        pass
except DecoderError as error:
    print(error)
decoder.start_seconds = 20.0
with open(sys.argv[1], "rb") as file, decoder.open(file) as opened:
    print(len(opened.read(40_000)[0]))
"""
    command = [sys.executable, "-c", script, str(tmp_path / "a.flac")]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.splitlines()
    assert lines == [
        "decoding took longer than 0.2 s of processor time; the file is damaged, export it again",
        "30000",
    ]


def test_read_after_crash_raises_and_the_next_file_is_read(decoder: Decoder, flac: bytes) -> None:
    decode(decoder, io.BytesIO(flac))
    process = only_child(decoder)
    with decoder.open(io.BytesIO(flac)) as opened:
        process.send_signal(signal.SIGSEGV)
        process.wait()
        with pytest.raises(AudioError, match=r"the decoder crashed \(-11\)"):
            opened.read(1000)
    assert decoder._idle == []
    assert len(decode(decoder, io.BytesIO(flac))) == 30_000


def test_read_of_shortened_file_raises(decoder: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 1_000_000), 44100)
    with path.open("rb") as file, decoder.open(file) as opened:
        opened.read(1000)
        os.truncate(path, 100_000)
        with pytest.raises(DecoderError, match=r"^the file became shorter while it was read; "):
            opened.read(1_000_000)


def test_open_left_early_keeps_the_child_and_an_ended_one_is_replaced(decoder: Decoder, flac: bytes) -> None:
    with decoder.open(io.BytesIO(flac)) as opened:
        opened.read(100)
    first = only_child(decoder)
    first.kill()
    first.wait()
    assert np.array_equal(decode(decoder, io.BytesIO(flac)), expected(flac))
    assert only_child(decoder) is not first


def test_read_from_silent_child_raises(decoder: Decoder, flac: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    decode(decoder, io.BytesIO(flac))
    child = decoder._idle[0]
    assert child.connection.gettimeout() == decoders.SILENT_SECONDS
    monkeypatch.setattr(decoders, "SILENT_SECONDS", 0.1)
    with decoder.open(io.BytesIO(flac)) as opened:
        child.connection.settimeout(0.1)  # not before: a busy machine takes longer to open a file
        child.process.send_signal(signal.SIGSTOP)
        with pytest.raises(AudioError, match=r"decoding gave nothing for 0\.1 s"):
            opened.read(1000)
    assert child.process.wait() == -signal.SIGKILL


def test_open_two_at_once_and_from_threads_do_not_mix(decoder: Decoder, flac: bytes) -> None:
    with decoder.open(io.BytesIO(flac)) as opened:
        first = opened.read(100)[0]
        with ThreadPoolExecutor(4) as pool:
            read = list(pool.map(lambda _: decode(decoder, io.BytesIO(flac)), range(8)))
        rest = opened.read(40_000)[0]
    assert np.array_equal(np.concatenate([first, rest]), expected(flac))
    assert all(np.array_equal(samples, expected(flac)) for samples in read)
    assert len(decoder._idle) == 1


@pytest.mark.slow
def test_open_after_fork_uses_another_child(tmp_path: Path, flac: bytes) -> None:
    (tmp_path / "a.flac").write_bytes(flac)
    script = """
import multiprocessing, sys
from scenelet.audio.io import read
def frames(_):
    return read(sys.argv[1])[0].shape[1]
if __name__ == "__main__":
    print(frames(0))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(*pool.map(frames, range(6)))
    print(frames(0))
"""
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "a.flac")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["30000"] * 8


def test_child_ends_with_killed_parent(tmp_path: Path, flac: bytes) -> None:
    (tmp_path / "a.flac").write_bytes(flac)
    script = """
import sys, time
from scenelet.audio.decoder import DECODER
from scenelet.audio.io import read
read(sys.argv[1])
print(DECODER._idle[0].process.pid, flush=True)
time.sleep(600)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "a.flac")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(timeout=60)


def test_damaged_mp3_prints_nothing(decoder: Decoder, capfd: pytest.CaptureFixture[str]) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, 30_000), 8000, format="MP3")
    data = bytearray(file.getvalue())
    data[2000:2200] = b"\xff" * 200
    decode(decoder, io.BytesIO(data))
    assert capfd.readouterr() == ("", "")


def test_open_without_free_processes_raises(decoder: Decoder, flac: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refused)
    with pytest.raises(AudioError, match=r"^no process can be started to decode it \(Resource"):
        decode(decoder, io.BytesIO(flac))


def test_open_in_frozen_program_decodes_in_this_process(
    decoder: Decoder, flac: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)  # its executable is not Python
    assert np.array_equal(decode(decoder, io.BytesIO(flac)), expected(flac))
    assert decoder._idle == []
    with pytest.raises(AudioError), decoder.open(io.BytesIO(b"no sound" * 9)):
        pass
