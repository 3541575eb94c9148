"""Reading of recordings, from paths or open files, as blocks of float32 samples in constant memory."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
import soundfile
from numpy.typing import NDArray

from scenelet.audio.ogg import is_truncated
from scenelet.audio.pcm import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, find_invalid_samples
from scenelet.audio.wav import UNKNOWN_BYTES, Wav24Reader, find_data_chunk
from scenelet.errors import AudioError, EmptyAudioError, TooLongError, TruncatedAudioError, escape_unprintable
from scenelet.utils.console import print_message, report_progress
from scenelet.utils.files import walk_files

AudioSource: TypeAlias = str | os.PathLike[str] | BinaryIO
"""A recording: a path, or an open and seekable binary file. Errors call an open file by its `name`."""
Samples = NDArray[np.float32]
"""Samples (channels, n); full scale is +-1."""

EXTENSIONS = (".wav", ".flac", ".ogg", ".oga", ".mp3")
FORMATS = "WAV, FLAC, Ogg and MP3"
BLOCK_FRAMES = 1 << 18
MAX_BLOCK_SECONDS = 30  # a block of a low sample rate would become very long when it is resampled
UNKNOWN_FRAMES = 1 << 40  # libsndfile states at least so many if the header does not have the length
UNKNOWN_LENGTH_BLOCK_FRAMES = 256
MAX_LISTED_ERRORS = 3
ESTIMATED_LENGTH_FORMATS = ("MP3",)  # libsndfile can only estimate the length from their header


@dataclass(frozen=True)
class AudioInfo:
    """Properties that a recording's header states."""

    sample_rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.frames / self.sample_rate


def info(recording: AudioSource) -> AudioInfo:
    """Read a recording's header.

    Raises:
        AudioError: the file is missing, unreadable, empty or truncated, or has more than two channels.

    >>> from scenelet.model.pretrained import example
    >>> info(example("esc10"))
    AudioInfo(sample_rate=44100, channels=1, frames=220544)
    """
    with _open(recording) as (file, _):
        return AudioInfo(file.samplerate, file.channels, file.frames)


def blocks(
    recording: AudioSource, max_seconds: float | None = None, block_frames: int = BLOCK_FRAMES
) -> Iterator[tuple[Samples, int]]:
    """Yield `(samples (channels, n), sample_rate)` until the recording ends.

    Args:
        recording: a path or an open binary file.
        max_seconds: maximum length of the sound, whatever the header states.
        block_frames: maximum n. Recordings of a low sample rate have shorter blocks.

    Raises:
        AudioError: as `info`, or the sound ends early, or samples are not finite.
        TooLongError: the sound is longer than `max_seconds`.

    >>> from scenelet.model.pretrained import example
    >>> [(samples.shape, rate) for samples, rate in blocks(example("esc10"))]
    [((1, 220544), 44100)]
    """
    name = _name(recording)
    with _open(recording) as (file, reader):
        read = 0
        rate, length_unknown = file.samplerate, file.frames >= UNKNOWN_FRAMES
        # if the length is unknown, the read that meets the end fails and its samples are lost, so each read is short
        frames = UNKNOWN_LENGTH_BLOCK_FRAMES if length_unknown else min(block_frames, MAX_BLOCK_SECONDS * rate)
        while True:
            try:
                block = reader.read(frames, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, OSError) as error:
                if length_unknown and read:
                    break
                raise AudioError(f"{name}: damaged after {read / rate:.1f} s ({_reason(error)})") from None
            if len(block) == 0:
                break
            if fault := find_invalid_samples(block):
                raise AudioError(f"{name}: holds {fault}; export it again")
            read += len(block)
            if max_seconds is not None and read > max_seconds * rate:
                raise TooLongError(f"{name}: is longer than {max_seconds:g} s; cut it into shorter recordings")
            report_progress(read / rate, 0.0 if length_unknown else file.frames / rate)
            yield block.T, rate
        if read == 0:
            raise EmptyAudioError(f"{name}: holds no samples; record or export it again")
        if not length_unknown and file.format not in ESTIMATED_LENGTH_FORMATS and read < file.frames:
            raise TruncatedAudioError(
                f"{name}: ends after {read / rate:.1f} s of {file.frames / rate:.1f} s;"
                " the file is truncated, copy it again"
            )


def read(recording: AudioSource) -> tuple[Samples, int]:
    """Read a complete recording and return `(samples (channels, n), sample_rate)`.

    Raises:
        AudioError: as `blocks`.

    >>> from scenelet.model.pretrained import example
    >>> samples, sample_rate = read(example("esc10"))
    >>> samples.shape, sample_rate
    ((1, 220544), 44100)
    """
    parts, rates = zip(*blocks(recording), strict=True)
    return np.concatenate(parts, axis=1), rates[0]


def find_recordings(folder: str | os.PathLike[str], on_error: Callable[[OSError], None] | None = None) -> list[Path]:
    """List the recordings in a folder and its subfolders, and print what is skipped; see `walk_files`."""

    def report(path: Path, reason: str) -> None:
        print_message(f"{escape_unprintable(str(path))}: {reason}, skipped")

    return walk_files(Path(folder), EXTENSIONS, report, on_error)


def summarize_audio_errors(errors: Sequence[AudioError], total: int) -> AudioError:
    """Combine the errors of some of `total` recordings into one, which quotes the first few.

    >>> print(summarize_audio_errors([AudioError("a.wav: empty"), AudioError("b.wav: empty")], total=9))
    2 of 9 recordings cannot be read, `scenelet check` lists them: (1) a.wav: empty; (2) b.wav: empty
    """
    if len(errors) == 1:
        return AudioError(f"{errors[0]} (`scenelet check` goes through all recordings)")
    first = "; ".join(f"({number}) {error}" for number, error in enumerate(errors[:MAX_LISTED_ERRORS], 1))
    return AudioError(f"{len(errors):,} of {total:,} recordings cannot be read, `scenelet check` lists them: {first}")


@contextlib.contextmanager
def open_audio(recording: AudioSource) -> Iterator[BinaryIO]:
    """Open a recording, or rewind one that is open already. Such a file stays open at the end."""
    if isinstance(recording, str | os.PathLike):
        with Path(recording).open("rb", buffering=0) as file:  # libsndfile reads by the same descriptor
            yield cast(BinaryIO, file)
    else:
        recording.seek(0)
        yield recording


@contextlib.contextmanager
def _open(recording: AudioSource) -> Iterator[tuple[soundfile.SoundFile, soundfile.SoundFile | Wav24Reader]]:
    """Yield the recording's header and a reader of its samples.

    A path is opened once, so that header and samples come from the same file even if the path is replaced meanwhile.
    """
    name = _name(recording)
    with contextlib.ExitStack() as stack:
        try:
            if isinstance(recording, str | os.PathLike):
                _check_is_file(Path(recording), name)
            data = stack.enter_context(open_audio(recording))
            _check_not_empty_or_truncated_ogg(data, name)
            start = _find_wav_sound(data, name)
            file = stack.enter_context(_open_soundfile(recording, data))
            reader = Wav24Reader(data, start, file) if start is not None and Wav24Reader.supports(file) else file
        except OSError as error:
            raise AudioError(f"{name}: cannot be read ({error.strerror or error})") from None
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{name}: not a recording that can be read ({_reason(error)}); {FORMATS} can") from None
        if file.frames == 0:
            raise EmptyAudioError(f"{name}: holds no samples; record or export it again")
        if file.channels > 2:
            raise AudioError(f"{name}: has {file.channels} channels; export it as mono or stereo")
        if not MIN_SAMPLE_RATE <= file.samplerate <= MAX_SAMPLE_RATE:
            size = "low" if file.samplerate < MIN_SAMPLE_RATE else "high"
            raise AudioError(
                f"{name}: has a sample rate of {file.samplerate} Hz, too {size} for sound; is its header damaged?"
            )
        yield file, reader


def _open_soundfile(recording: AudioSource, data: BinaryIO) -> soundfile.SoundFile:
    data.seek(0)
    if not isinstance(recording, str | os.PathLike):
        return soundfile.SoundFile(data)
    # on Windows a file descriptor belongs to one C library, and libsndfile may use another
    return soundfile.SoundFile(data.fileno() if os.name == "posix" else recording, closefd=False)


def _check_is_file(path: Path, name: str) -> None:
    """Raise AudioError if the path is not a file. Opening a named pipe would wait for a writer."""
    if path.is_file():
        return
    if path.exists():
        raise AudioError(f"{name}: not a file; give the path of a recording")
    if path.is_symlink():
        raise AudioError(f"{name}: a link that leads to no file; fix or delete it")
    raise AudioError(f"{name}: no such file")


def _check_not_empty_or_truncated_ogg(file: BinaryIO, name: str) -> None:
    """Raise AudioError for an empty file, and for a truncated Ogg, which libsndfile reads without an error."""
    if file.seek(0, os.SEEK_END) == 0:
        raise EmptyAudioError(f"{name}: the file is empty; copy or record it again")
    if is_truncated(file):
        raise TruncatedAudioError(f"{name}: its last page is incomplete; the file is truncated, copy it again")


def _find_wav_sound(file: BinaryIO, name: str) -> int | None:
    """Return the offset of a WAV's sound, or None for other formats.

    Raises:
        TruncatedAudioError: bytes of sound are missing. libsndfile reads such a WAV without an error.
    """
    found = find_data_chunk(file)
    if found is None:
        return None
    (start, size), file_size = found, file.seek(0, os.SEEK_END)
    if not UNKNOWN_BYTES <= size <= 0xFFFFFFFF and start + size > file_size:
        raise TruncatedAudioError(
            f"{name}: {start + size - file_size} of {size} bytes of sound are missing;"
            " the file is truncated, copy it again"
        )
    return start


def _name(recording: AudioSource) -> str:
    is_path = isinstance(recording, str | os.PathLike)
    return escape_unprintable(str(recording if is_path else getattr(recording, "name", "the recording")))


def _reason(error: Any) -> str:
    """Return libsndfile's message. It claims that the file does not exist if it does not recognize the format."""
    if "does not exist" in str(error):
        return "its format is not recognized"
    return str(getattr(error, "error_string", error)).strip().rstrip(".")
