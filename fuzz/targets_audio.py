"""Targets for recordings and streams: RIFF, PCM from pipes, and all formats of libsndfile."""

import io

from fuzz.targets import FindingError, Target, outcome
from scenelet.audio.compressed import find_stream
from scenelet.audio.io import blocks, info
from scenelet.audio.pcm import SAMPLE_FORMATS, PcmFormat, read_stream
from scenelet.audio.wav import read_wav_header
from scenelet.errors import DecoderError
from scenelet.timeline.recording_time import times_in_header

MAX_SECONDS = 60.0


def stream(data: bytes) -> str:
    """Read a WAV from a pipe, and the same bytes as raw samples."""

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
    """Read a recording as `predict` does. The decoder's limits must never be needed: it is a finding if they are."""

    def read() -> None:
        header = info(io.BytesIO(data))
        for block, rate in blocks(io.BytesIO(data), MAX_SECONDS, on_note=notes.append):
            assert rate == header.sample_rate
            assert block.shape[0] == header.channels

    def guarded() -> None:
        try:
            read()
        except DecoderError as error:
            raise FindingError(str(error)) from error

    notes: list[str] = []
    times_in_header(io.BytesIO(data))  # never an error
    outcome(lambda: find_stream(io.BytesIO(data)))  # in this process, where coverage and exceptions are seen
    return outcome(guarded)


TARGETS: dict[str, Target] = {"stream": stream, "recording": recording}
