"""The samples of one open recording: decoded as far as possible, with what is odd about them."""

import contextlib
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.chunks import allowed_missing
from scenelet.audio.decoder import DECODER, DecodedFile, DecoderRefusedError
from scenelet.audio.decoder_process import Piece
from scenelet.audio.formats import unreadable
from scenelet.audio.layout import find_layout
from scenelet.audio.pcm import MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from scenelet.audio.wav import PcmFile
from scenelet.errors import AudioError, EmptyAudioError, TruncatedAudioError

UNKNOWN_FRAMES = 1 << 40  # libsndfile states at least so many if the header does not have the length
MAX_FAULTS = 16
"""Damaged places behind which decoding continues."""


class Sound:
    """Reader of an open recording.

    Args:
        data: the open file.
        name: what errors call it.

    Attributes:
        file: its header, and the reader of its samples.

    Raises:
        AudioError: as `scenelet.audio.io.info`.
    """

    def __init__(self, data: BinaryIO, name: str) -> None:
        self.name, self._data = name, data
        self._layout = find_layout(data, name)
        self._decoding = contextlib.ExitStack()
        self.file = self._open(self._layout.pieces)
        self._total = self.file.frames
        self._count, self._skipped = 0, 0
        self._faults: list[str] = []
        self._is_over = False
        if fault := self._header_fault():
            self._decoding.close()
            raise fault

    def __enter__(self) -> "Sound":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoding.close()

    def read(self, frames: int) -> NDArray[np.float32]:
        """Read up to `frames` frames (frames, channels), and no frames at the end of what can be decoded."""
        block: NDArray[np.float32] = np.zeros((0, self.file.channels), np.float32)
        while not self._is_over and not len(block):
            block, fault = self.file.read(frames)
            self._count += len(block)
            if fault:
                self._is_over = not self._decode_on(fault)
            elif not len(block):
                self._is_over = True
        return block

    def finish(self) -> list[str]:
        """Return what is odd about a recording that was read to its end.

        Raises:
            EmptyAudioError: there were no samples.
            AudioError: more of it cannot be decoded than `allowed_missing`.
        """
        layout, rate = self._layout, self.file.sample_rate
        if self._count == 0 and not self._faults:
            raise self._empty()
        if self._total >= UNKNOWN_FRAMES:
            return layout.notes
        stated = (layout.flac.stated_samples if layout.flac else 0) or self._total
        is_short = self._count < self._total
        if is_short and (self._faults or not self._length_is_estimate()):
            missing = stated - self._count
            times = f"{self._count / rate:.1f} s of {stated / rate:.1f} s"
            if (self._skipped and 2 * self._count >= stated) or missing <= allowed_missing(stated, rate):
                where = self._faults[0] if self._faults else "ends early"
                return [*layout.notes, f"{where}; {missing / rate:.2f} s of {stated / rate:.1f} s are missing"]
            if self._faults and layout.flac is None:
                raise AudioError(f"{self.name}: {self._faults[0]} of {stated / rate:.1f} s; export it again")
            raise TruncatedAudioError(f"{self.name}: ends after {times}; the file is truncated, copy it again")
        if not is_short and stated != self._total:
            return [*layout.notes, f"its header states {stated / rate:.1f} s, but {self._total / rate:.1f} s are there"]
        return layout.notes

    def _open(self, pieces: list[Piece]) -> DecodedFile | PcmFile:
        if self._layout.pcm and self._layout.sound:
            return PcmFile(self._data, self._layout.sound, self._layout.pcm)
        try:
            return self._decoding.enter_context(DECODER.open(self._data, pieces, self.name))
        except DecoderRefusedError as error:
            raise unreadable(self.name, f"it is {self._layout.format}, but {error}") from None

    def _header_fault(self) -> AudioError | None:
        file, name = self.file, self.name
        if file.frames == 0:
            return self._empty()
        if file.channels > MAX_CHANNELS:
            return AudioError(f"{name}: has {file.channels} channels, more than {MAX_CHANNELS}; export fewer")
        if not MIN_SAMPLE_RATE <= file.sample_rate <= MAX_SAMPLE_RATE:
            size = "low" if file.sample_rate < MIN_SAMPLE_RATE else "high"
            return AudioError(
                f"{name}: has a sample rate of {file.sample_rate} Hz, too {size} for sound; is its header damaged?"
            )
        return None

    def _empty(self) -> AudioError:
        return EmptyAudioError(f"{self.name}: holds no samples; record or export it again")

    def _decode_on(self, fault: str) -> bool:
        """Continue behind a damaged frame, and return whether there is anything."""
        position = self._count + self._skipped
        self._faults.append(f"damaged after {position / self.file.sample_rate:.1f} s ({fault})")
        stream = self._layout.flac
        if stream is None or len(self._faults) > MAX_FAULTS:
            return False
        found = stream.pieces_after(position, self._total)
        if found is None:
            return False
        pieces, first = found
        self._skipped += first - position
        self._decoding.close()
        self.file = self._open(pieces)
        return True

    def _length_is_estimate(self) -> bool:
        """Tell whether libsndfile can only estimate the length from the header."""
        return self._layout.format == "MPEG" or self.file.subtype.startswith("MPEG")
