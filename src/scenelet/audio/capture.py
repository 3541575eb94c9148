"""Live sound from a sound card, a pipe, or a file that is read as if it were live."""

import contextlib
import queue
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from scenelet.audio.io import AudioSource, Samples, blocks, info
from scenelet.audio.pcm import PcmFormat, read_stream
from scenelet.audio.wav import read_wav_header
from scenelet.errors import AudioError, UsageError

BLOCK_SECONDS = 0.1
UNPLUGGED_SECONDS = 10.0  # a card without a block for so long is taken for unplugged
MAX_QUEUED_SECONDS = 5.0  # of sound; if the machine is slower, blocks are lost


@dataclass(frozen=True)
class LiveAudio:
    """Live sound, a context manager that closes its source at the end.

    Attributes:
        sample_rate: Hz.
        blocks: samples (1 or 2, n) until the sound ends.
        close: closes the source.
    """

    sample_rate: int
    blocks: Iterator[Samples]
    close: Callable[[], object] = lambda: None

    def __enter__(self) -> "LiveAudio":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def from_file(recording: AudioSource) -> LiveAudio:
    """Read a recording in short blocks, as live sound comes.

    Raises:
        AudioError: as `scenelet.audio.io.blocks`. Faults behind the header are raised while the blocks are read.
    """
    rate = info(recording).sample_rate
    size = max(1, round(BLOCK_SECONDS * rate))
    return LiveAudio(rate, (block for block, _ in blocks(recording, block_frames=size)))


def from_pipe(stream: BinaryIO, raw: PcmFormat | None) -> LiveAudio:
    """Read a stream of bytes: raw samples of the given format, or a WAV if `raw` is None.

    Raises:
        AudioError: the stream is not a WAV, or is of a kind that only files may have. Invalid samples raise it while
            the blocks are read.
    """
    with _prefix_errors():
        pcm, data_bytes = (raw, None) if raw is not None else read_wav_header(stream)

    def prefixed_blocks() -> Iterator[Samples]:
        with _prefix_errors():
            yield from read_stream(stream, pcm, data_bytes, BLOCK_SECONDS)

    return LiveAudio(pcm.sample_rate, prefixed_blocks())


@contextlib.contextmanager
def _prefix_errors() -> Iterator[None]:
    try:
        yield
    except AudioError as error:
        raise AudioError(f"standard input: {error}") from None


def from_microphone(
    device: str | None, channels: int, sample_rate: int | None, on_loss: Callable[[float | None], None]
) -> LiveAudio:
    """Record from a sound card, which stays open until `LiveAudio.close`.

    Args:
        device: a device number or a part of a device name. None is the system's default.
        channels: 1 or 2. A card with one channel gives one.
        sample_rate: Hz. None is the card's default.
        on_loss: is called with the seconds of sound that were lost because the machine is too slow. None: the card
            dropped some, and does not tell how much.

    Raises:
        ModuleNotFoundError: sounddevice is not installed.
        UsageError: the device does not exist or cannot be opened with these settings.
        AudioError: the library PortAudio is not installed.
    """
    try:
        import sounddevice
    except OSError as error:  # sounddevice is installed but PortAudio is not
        raise AudioError(
            f"the sound card cannot be used ({error}); install PortAudio (Debian: apt-get install libportaudio2)"
        ) from None
    chosen: Any = int(device) if device is not None and device.isdecimal() else device
    queued: queue.Queue[Samples] = queue.Queue(round(MAX_QUEUED_SECONDS / BLOCK_SECONDS))
    lost: queue.SimpleQueue[float | None] = queue.SimpleQueue()

    def on_block(data: Samples, frames: int, clock: Any, status: Any) -> None:
        if status.input_overflow:
            lost.put(None)
        try:
            queued.put_nowait(data.T.copy())  # `data` is PortAudio's memory, which the next block overwrites
        except queue.Full:
            lost.put(BLOCK_SECONDS)

    try:
        found = sounddevice.query_devices(chosen, "input")
        count = min(channels, int(found["max_input_channels"]))
        rate = sample_rate or int(found["default_samplerate"])
        card = sounddevice.InputStream(
            rate, round(BLOCK_SECONDS * rate), chosen, count, dtype="float32", callback=on_block
        )
        with contextlib.ExitStack() as stack:
            stack.callback(card.close)
            card.start()
            stack.pop_all()  # it started, and stays open
    except (sounddevice.PortAudioError, ValueError) as error:
        raise UsageError(
            f"no sound can be taken from {device or 'the microphone'} ({error});"
            " `python -m sounddevice` lists the devices for --device"
        ) from None
    return LiveAudio(rate, _card_blocks(queued, lost, on_loss), card.close)


def _card_blocks(
    queued: "queue.Queue[Samples]",
    lost: "queue.SimpleQueue[float | None]",
    on_loss: Callable[[float | None], None],
) -> Iterator[Samples]:
    """Yield the blocks of a card, and report the lost ones."""
    while True:
        try:
            yield queued.get(timeout=UNPLUGGED_SECONDS)
        except queue.Empty:
            raise AudioError("the sound card gives no more sound; connect it again") from None
        losses = [lost.get() for _ in range(lost.qsize())]
        if seconds := sum(loss for loss in losses if loss is not None):
            on_loss(seconds)
        if None in losses:
            on_loss(None)


def pace_in_real_time(sound: LiveAudio) -> LiveAudio:
    """Delay the blocks so that they do not come faster than live sound."""

    def paced() -> Iterator[Samples]:
        begin, samples = time.monotonic(), 0
        for block in sound.blocks:
            samples += block.shape[1]
            time.sleep(max(0.0, begin + samples / sound.sample_rate - time.monotonic()))
            yield block

    return LiveAudio(sound.sample_rate, paced(), sound.close)


def standard_input() -> BinaryIO:
    """Return standard input as a binary file.

    Raises:
        UsageError: standard input is closed or a terminal.
    """
    if sys.stdin is None or sys.stdin.isatty():
        state = "closed" if sys.stdin is None else "a terminal"
        raise UsageError(f"standard input is {state}; pipe sound into it: arecord -t wav | scenelet listen MODEL -")
    return sys.stdin.buffer
