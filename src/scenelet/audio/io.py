"""Recordings, files on disk or open ones, -> blocks of float32 samples, in constant memory."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from scenelet.audio.ogg import is_truncated
from scenelet.audio.pcm import UNKNOWN_BYTES, find_invalid_samples
from scenelet.audio.wav import Recording, Wav24Reader, find_data_chunk, open_audio
from scenelet.errors import AudioError, EmptyAudioError, TooLongError, TruncatedAudioError, escape_unprintable
from scenelet.utils.console import print_message, report_progress
from scenelet.utils.files import walk_files

Samples = NDArray[np.float32]
"""(channels, n), full scale is +-1."""

EXTENSIONS = (".wav", ".flac", ".ogg", ".oga", ".mp3")
SAMPLE_RATE_RANGE = (500, 768_000)
"""Hz that recordings may have; resampled from less, a block would become many times as long."""
BLOCK = 1 << 18  # samples per channel read at a time
BLOCK_SECONDS = 30  # of them at most: resampled from a low rate, a block would become many times as long
UNKNOWN_FRAMES = 1 << 40  # what `UNKNOWN_BYTES` is for WAV, of other formats
FORMATS = "WAV, FLAC, Ogg and MP3"
FIRST_FEW = 3  # recordings that one error names
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
    with _open(recording) as (file, _):
        return AudioInfo(file.samplerate, file.channels, file.frames)


def blocks(recording: Recording, max_seconds: float | None = None) -> Iterator[tuple[Samples, int]]:
    """Yield `(samples (channels, n), sample_rate)` until the recording ends.

    Raises:
        AudioError: as `info`; also when the sound ends before its header says, or is not finite.
        TooLongError: there is more sound than `max_seconds`, whatever the header says.
    """
    name = _name(recording)
    with _open(recording) as (file, source):
        read = 0
        endless = file.frames >= UNKNOWN_FRAMES
        # in a file of unknown length the read that meets the end fails, and its samples are lost: make it short
        size = 256 if endless else min(BLOCK, BLOCK_SECONDS * file.samplerate)
        while True:
            try:
                block = source.read(size, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, OSError) as error:
                if endless and read:
                    break
                raise AudioError(f"{name}: damaged after {read / file.samplerate:.1f} s ({_reason(error)})") from None
            if len(block) == 0:
                break
            if fault := find_invalid_samples(block):
                raise AudioError(f"{name}: holds {fault}; export it again")
            read += len(block)
            if max_seconds is not None and read > max_seconds * file.samplerate:
                raise TooLongError(f"{name}: is longer than {max_seconds:g} s; cut it into shorter recordings")
            report_progress(read / file.samplerate, 0.0 if endless else file.frames / file.samplerate)
            yield block.T, file.samplerate
        if read == 0:
            raise EmptyAudioError(f"{name}: holds no samples; record or export it again")
        if not endless and file.format not in ESTIMATED and read < file.frames:
            raise TruncatedAudioError(
                f"{name}: ends after {read / file.samplerate:.1f} s of {file.frames / file.samplerate:.1f} s;"
                " the file was cut short, copy it again"
            )


def read(recording: Recording) -> tuple[Samples, int]:
    """The whole recording: `(samples (channels, n), sample_rate)`. Raises as `blocks`."""
    parts, rates = zip(*blocks(recording), strict=True)
    return np.concatenate(parts, axis=1), rates[0]


def find_recordings(folder: Path, on_error: Callable[[OSError], None] | None = None) -> list[Path]:
    """List the recordings in a folder and its subfolders, and print what is skipped; see `walk_files`."""

    def report(path: Path, reason: str) -> None:
        print_message(f"{escape_unprintable(str(path))}: {reason}, skipped")

    return walk_files(folder, EXTENSIONS, report, on_error)


def summarize_audio_errors(faults: Sequence[AudioError], of: int) -> AudioError:
    """One error for what is wrong with some of so many recordings; it names the first few."""
    if len(faults) == 1:
        return AudioError(f"{faults[0]} (`scenelet check` goes through all recordings)")
    first = "; ".join(f"({number}) {fault}" for number, fault in enumerate(faults[:FIRST_FEW], 1))
    return AudioError(f"{len(faults):,} of {of:,} recordings cannot be read, `scenelet check` lists them: {first}")


@contextlib.contextmanager
def _open(recording: Recording) -> Iterator[tuple[soundfile.SoundFile, soundfile.SoundFile | Wav24Reader]]:
    """The recording's header, and what reads its samples.

    A path is opened once: whatever comes to lie under the name meanwhile, what is read is of one file.
    """
    name = _name(recording)
    with contextlib.ExitStack() as stack:
        try:
            if isinstance(recording, Path):
                _refuse_what_is_no_file(recording, name)
            data = stack.enter_context(open_audio(recording))
            _refuse_empty_or_cut_ogg(data, name)
            start = _sound_start(data, name)
            file = stack.enter_context(_sound_file(recording, data))
            # libsndfile is slow at these
            source = Wav24Reader(data, start, file) if start is not None and Wav24Reader.fits(file) else file
        except OSError as error:
            raise AudioError(f"{name}: cannot be read ({error.strerror or error})") from None
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{name}: not a recording that can be read ({_reason(error)}); {FORMATS} can") from None
        low, high = SAMPLE_RATE_RANGE
        if file.frames == 0:
            raise EmptyAudioError(f"{name}: holds no samples; record or export it again")
        if file.channels > 2:
            raise AudioError(f"{name}: has {file.channels} channels; export it as mono or stereo")
        if not low <= file.samplerate <= high:
            which = "low" if file.samplerate < low else "high"
            raise AudioError(
                f"{name}: has a sample rate of {file.samplerate} Hz, too {which} for sound; is its header damaged?"
            )
        yield file, source


def _sound_file(recording: Recording, data: BinaryIO) -> soundfile.SoundFile:
    data.seek(0)
    if not isinstance(recording, Path):
        return soundfile.SoundFile(data)
    # on Windows a descriptor is known to one C library, and libsndfile may have another
    return soundfile.SoundFile(data.fileno() if os.name == "posix" else recording, closefd=False)


def _refuse_what_is_no_file(path: Path, name: str) -> None:
    """Before it is opened: a pipe would wait for a writer."""
    if path.is_file():
        return
    if path.exists():
        raise AudioError(f"{name}: not a file; give the path of a recording")
    if path.is_symlink():
        raise AudioError(f"{name}: a link that leads to no file; mend or delete it")
    raise AudioError(f"{name}: no such file")


def _refuse_empty_or_cut_ogg(file: BinaryIO, name: str) -> None:
    """libsndfile reads an Ogg that ends early as if it were shorter; a user should know."""
    if file.seek(0, os.SEEK_END) == 0:
        raise EmptyAudioError(f"{name}: the file is empty; copy or record it again")
    if is_truncated(file):
        raise TruncatedAudioError(f"{name}: its last page is not whole; the file was cut short, copy it again")


def _sound_start(file: BinaryIO, name: str) -> int | None:
    """Where the bytes of a WAV's sound start; None: of another format, or not found.

    libsndfile reads a WAV whose data ends early as if it were shorter; a user should know.
    """
    found = find_data_chunk(file)
    if found is None:
        return None
    (start, length), size = found, file.seek(0, os.SEEK_END)
    if not 0 <= length - UNKNOWN_BYTES <= 0xFFFFFFFF - UNKNOWN_BYTES and start + length > size:
        raise TruncatedAudioError(
            f"{name}: {start + length - size} of {length} bytes of sound are missing;"
            " the file was cut short, copy it again"
        )
    return start


def _name(recording: Recording) -> str:
    return escape_unprintable(
        str(recording if isinstance(recording, Path) else getattr(recording, "name", "the recording"))
    )


def _reason(error: Any) -> str:
    """libsndfile's reason; for sound it cannot recognize it says that the file does not exist."""
    if "does not exist" in str(error):
        return "its format is not recognized"
    return str(getattr(error, "error_string", error)).strip().rstrip(".")
