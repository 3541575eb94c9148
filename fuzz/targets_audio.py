"""Recordings and streams: RIFF by its bytes, PCM from pipes, and whatever libsndfile reads."""

import io

from fuzz.targets import Target, outcome
from scenelet.audio.io import blocks, info
from scenelet.audio.pcm import SAMPLE_FORMATS, PcmFormat, read_stream
from scenelet.audio.wav import read_wav_header

MOST_SECONDS = 60.0


def stream(data: bytes) -> str:
    """A WAV that comes through a pipe, and the same bytes as raw samples."""

    def header() -> None:
        source = io.BytesIO(data)
        pcm, length = read_wav_header(source)
        for _ in read_stream(source, pcm, length):
            pass

    word = outcome(header)
    raw = PcmFormat(8000, 1 + len(data) % 2, SAMPLE_FORMATS[len(data) % len(SAMPLE_FORMATS)])
    outcome(lambda: list(read_stream(io.BytesIO(data), raw)))
    return word


def recording(data: bytes) -> str:
    """A recording as `predict` reads it."""

    def read() -> None:
        held = info(io.BytesIO(data))
        read = 0
        for block, rate in blocks(io.BytesIO(data), MOST_SECONDS):
            assert rate == held.sample_rate
            assert block.shape[0] == held.channels
            read += block.shape[1]

    return outcome(read)


TARGETS: dict[str, Target] = {"stream": stream, "recording": recording}
