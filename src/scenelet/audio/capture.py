"""Where a listener's sound comes from: a sound card, a file, or a pipe; blocks of samples in the end."""

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from scenelet.audio.io import Samples, blocks, info
from scenelet.audio.pcm import PcmFormat, read_stream, read_wav_header
from scenelet.errors import AudioError, UsageError

BLOCK_SECONDS = 0.1
SILENT_SECONDS = 10.0  # without a block from a card, after which it is taken for unplugged
WAITING_SECONDS = 5.0  # of sound that may wait for a slow machine, before some is lost


@dataclass(frozen=True)
class LiveAudio:
    """Live sound: its rate in Hz, and blocks (1 or 2, n) of samples until it ends."""

    sample_rate: int
    blocks: Iterator[Samples]


def from_file(path: Path) -> LiveAudio:
    """A recording, in short blocks, as if it came in live.

    Raises:
        AudioError: as `scenelet.audio.io.blocks`; those that a header cannot tell are raised on the way.
    """
    rate = info(path).sample_rate
    size = max(1, round(BLOCK_SECONDS * rate))

    def short() -> Iterator[Samples]:
        for block, _ in blocks(path):
            for start in range(0, block.shape[1], size):
                yield block[:, start : start + size]

    return LiveAudio(rate, short())


def from_pipe(stream: BinaryIO, raw: PcmFormat | None) -> LiveAudio:
    """A stream of bytes: samples of the format `raw`, or, where that is None, a WAV.

    Raises:
        AudioError: it is no WAV, or one of a kind that a pipe cannot be read as; on the way, samples that are none.
    """
    with _named():
        pcm, length = (raw, None) if raw is not None else read_wav_header(stream)

    def named() -> Iterator[Samples]:
        with _named():
            yield from read_stream(stream, pcm, length, BLOCK_SECONDS)

    return LiveAudio(pcm.sample_rate, named())


@contextlib.contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except AudioError as error:
        raise AudioError(f"standard input: {error}") from None


def from_microphone(
    device: str | None, channels: int, sample_rate: int | None, lost: Callable[[float], None]
) -> LiveAudio:
    """A sound card.

    Args:
        device: a number or a part of a name; None: the system's own choice.
        channels: 1 or 2; a card with one gives one.
        sample_rate: Hz; None: the card's own.
        lost: told the seconds of sound that were lost, where the machine is too slow.

    Raises:
        ModuleNotFoundError: sounddevice is not installed.
        UsageError: there is no such device, or it cannot be opened so.
        AudioError: PortAudio, which it calls, is not there.
    """
    try:
        import sounddevice
    except OSError as error:  # it is there, and the library that it calls is not
        raise AudioError(
            f"the sound card cannot be used ({error}); install PortAudio (Debian: apt-get install libportaudio2)"
        ) from None
    chosen: Any = int(device) if device is not None and device.isdecimal() else device
    waiting: queue.Queue[Samples] = queue.Queue(round(WAITING_SECONDS / BLOCK_SECONDS))
    missed = threading.Semaphore(0)

    def heard(data: Samples, frames: int, clock: Any, status: Any) -> None:
        if status.input_overflow:
            missed.release()
        try:
            waiting.put_nowait(np.ascontiguousarray(data.T))
        except queue.Full:
            missed.release()

    try:
        found = sounddevice.query_devices(chosen, "input")
        count = min(channels, int(found["max_input_channels"]))
        rate = sample_rate or int(found["default_samplerate"])
        opened = sounddevice.InputStream(
            rate, round(BLOCK_SECONDS * rate), chosen, count, dtype="float32", callback=heard
        )
        opened.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise UsageError(
            f"no sound can be taken from {device or 'the microphone'} ({error});"
            " `python -m sounddevice` lists the devices for --device"
        ) from None
    return LiveAudio(rate, _blocks(opened, waiting, missed, lost))


def _blocks(
    opened: Any, waiting: "queue.Queue[Samples]", missed: threading.Semaphore, lost: Callable[[float], None]
) -> Iterator[Samples]:
    """What a card that was started gives, until it gives no more."""
    with contextlib.closing(opened):
        while True:
            try:
                yield waiting.get(timeout=SILENT_SECONDS)
            except queue.Empty:
                raise AudioError("the sound card gives no more sound; connect it again") from None
            count = 0
            while missed.acquire(blocking=False):
                count += 1
            if count:
                lost(count * BLOCK_SECONDS)


def pace_in_real_time(sound: LiveAudio) -> LiveAudio:
    """The same sound, no faster than it would come in live."""

    def paced() -> Iterator[Samples]:
        begin, heard = time.monotonic(), 0
        for block in sound.blocks:
            heard += block.shape[1]
            time.sleep(max(0.0, begin + heard / sound.sample_rate - time.monotonic()))
            yield block

    return LiveAudio(sound.sample_rate, paced())


def standard_input() -> BinaryIO:
    """Standard input's bytes.

    Raises:
        UsageError: it is a terminal.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("standard input is a terminal; pipe sound into it: arecord -t wav | scenelet listen MODEL -")
    return sys.stdin.buffer
