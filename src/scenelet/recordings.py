"""Recordings, files on disk or open ones, -> blocks of float32 samples, in constant memory."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from scenelet.errors import AudioError, CutShortError, EmptyAudioError, TooLongError
from scenelet.pcm import UNKNOWN_BYTES, fault_of
from scenelet.riff import Recording, Wav24, chunks, opened

Samples = NDArray[np.float32]
"""(channels, n), full scale is +-1."""

EXTENSIONS = (".wav", ".flac", ".ogg", ".oga", ".mp3")
LEAST_RATE = 500  # Hz; resampled from less, a block would become many times as long
BLOCK = 1 << 18  # samples per channel read at a time
BLOCK_SECONDS = 30  # of them at most: resampled from a low rate, a block would become many times as long
UNKNOWN_FRAMES = 1 << 40  # what `UNKNOWN_BYTES` is for WAV, of other formats
ESTIMATED = ("MP3",)  # formats whose header only lets libsndfile guess the length


@dataclass(frozen=True)
class AudioInfo:
    """What a recording's header says."""

    sample_rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate


def info(recording: Recording) -> AudioInfo:
    """Read a recording's header.

    Raises:
        AudioError: not a file, not a recording, empty, cut short, or more than two channels.
    """
    with _open(recording) as file:
        return AudioInfo(file.samplerate, file.channels, file.frames)


def blocks(recording: Recording, max_seconds: float | None = None) -> Iterator[tuple[Samples, int]]:
    """Yield `(samples (channels, n), sample_rate)` until the recording ends.

    Raises:
        AudioError: as `info`; also when the sound ends before its header says, or is not finite.
        TooLongError: there is more sound than `max_seconds`, whatever the header says.
    """
    name = _name(recording)
    with _open(recording) as file:
        read = 0
        endless = file.frames >= UNKNOWN_FRAMES
        # in a file of unknown length the read that meets the end fails, and its samples are lost: make it short
        size = 256 if endless else min(BLOCK, BLOCK_SECONDS * file.samplerate)
        # a file's own object, or ours for the one kind that libsndfile is slow at
        source = Wav24(recording, file) if Wav24.fits(recording, file) else file
        while True:
            try:
                block = source.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                if endless and read:
                    break
                raise AudioError(f"{name}: damaged after {read / file.samplerate:.1f} s ({_reason(error)})") from None
            if len(block) == 0:
                break
            if fault := fault_of(block):
                raise AudioError(f"{name}: holds {fault}; export it again")
            read += len(block)
            if max_seconds is not None and read > max_seconds * file.samplerate:
                raise TooLongError(f"{name}: is longer than {max_seconds:g} s; cut it into shorter recordings")
            yield block.T, file.samplerate
        if read == 0:
            raise EmptyAudioError(f"{name}: holds no samples; record or export it again")
        if not endless and file.format not in ESTIMATED and read < file.frames:
            raise CutShortError(
                f"{name}: ends after {read / file.samplerate:.1f} s of {file.frames / file.samplerate:.1f} s;"
                " the file was cut short, copy it again"
            )


def read(recording: Recording) -> tuple[Samples, int]:
    """The whole recording: `(samples (channels, n), sample_rate)`. Raises as `blocks`."""
    parts, rates = zip(*blocks(recording), strict=True)
    return np.concatenate(parts, axis=1), rates[0]


def _open(recording: Recording) -> soundfile.SoundFile:
    name = _name(recording)
    try:
        if isinstance(recording, Path) and not recording.exists():
            raise AudioError(f"{name}: no such file")
        if isinstance(recording, Path) and not recording.is_file():
            raise AudioError(f"{name}: not a file; give the path of a recording")
        _refuse_empty_or_cut(recording, name)
        # soundfile encodes names strictly, and a name may be any bytes
        on_disk = isinstance(recording, Path) and os.name == "posix"
        file = soundfile.SoundFile(os.fsencode(recording) if on_disk else recording)  # type: ignore[arg-type]
    except OSError as error:
        raise AudioError(f"{name}: cannot be read ({error.strerror or error})") from None
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{name}: not a recording that can be read ({_reason(error)}); WAV, FLAC, Ogg and MP3 can"
        ) from None
    if file.frames == 0 or file.channels > 2 or file.samplerate < LEAST_RATE:
        channels, frames, rate = file.channels, file.frames, file.samplerate
        file.close()
        if frames == 0:
            raise EmptyAudioError(f"{name}: holds no samples; record or export it again")
        if channels > 2:
            raise AudioError(f"{name}: has {channels} channels; export it as mono or stereo")
        raise AudioError(f"{name}: has a sample rate of {rate} Hz, too low for sound; is its header damaged?")
    return file


def _refuse_empty_or_cut(recording: Recording, name: str) -> None:
    """libsndfile reads a WAV whose data ends early as if it were shorter; a user should know."""
    with opened(recording) as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            raise EmptyAudioError(f"{name}: the file is empty; copy or record it again")
        file.seek(0)
        riff = file.read(12)
        if riff[:4] == b"RIFF" and riff[8:] == b"WAVE":
            for kind, length, start in chunks(file):
                if kind == b"data" and length < UNKNOWN_BYTES and start + length > size:
                    raise CutShortError(
                        f"{name}: {start + length - size} of {length} bytes of sound are missing;"
                        " the file was cut short, copy it again"
                    )
        file.seek(0)  # an open file is read from here on


def _name(recording: Recording) -> str:
    return str(recording if isinstance(recording, Path) else getattr(recording, "name", "the recording"))


def _reason(error: Any) -> str:
    """libsndfile's reason; for sound it cannot recognise it says that the file does not exist."""
    if "does not exist" in str(error):
        return "its format is not recognised"
    return str(getattr(error, "error_string", error)).strip().rstrip(".")
