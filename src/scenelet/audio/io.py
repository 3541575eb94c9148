"""Reading of recordings, from paths or open files, as blocks of float32 samples in constant memory."""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.compressed import UNKNOWN_FRAMES as UNKNOWN_FRAMES
from scenelet.audio.compressed import empty_error
from scenelet.audio.decoder import DECODER
from scenelet.audio.formats import ARCHIVES, READABLE, UNREADABLE_EXTENSIONS, WRAPPERS, passed_over_as
from scenelet.audio.formats import EXTENSIONS as EXTENSIONS
from scenelet.audio.pcm import MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, Sound, find_invalid_samples
from scenelet.audio.pcm import AudioInfo as AudioInfo
from scenelet.audio.segment import Segment, part_of
from scenelet.audio.wav import open_pcm
from scenelet.errors import AudioError, TooLongError, escape_unprintable
from scenelet.utils.console import print_message, report_progress
from scenelet.utils.files import walk_files
from scenelet.utils.text import pluralize

AudioSource: TypeAlias = str | os.PathLike[str] | BinaryIO | Segment
"""A recording: a path, or an open and seekable binary file, or a part of one. Errors call an open file by its `name`.
"""
Samples = NDArray[np.float32]
"""Samples (channels, n); full scale is +-1."""

BLOCK_FRAMES = 1 << 18
MAX_BLOCK_SECONDS = 30  # a block of a low sample rate would become very long when it is resampled
MAX_BLOCK_SAMPLES = 1 << 20  # over all channels
MAX_PEAK = 16.0  # times full scale: mixes and decoders stay below it, integers stored as floating point do not
MAX_LISTED_ERRORS = 3
MAX_PRINTED_NOTES = 20


def info(recording: AudioSource) -> AudioInfo:
    """Read a recording's header.

    Raises:
        AudioError: the file is missing, unreadable, empty or truncated, or of a format that cannot be read.

    >>> from scenelet.model.pretrained import example
    >>> info(example("esc10"))
    AudioInfo(sample_rate=44100, channels=1, frames=220544)
    """
    with open_sound(recording) as (sound, _):
        return AudioInfo(sound.sample_rate, sound.channels, sound.frames)


def print_note(note: str) -> None:
    """Print what is odd about a recording that can be read, once, and the first `MAX_PRINTED_NOTES` only."""
    if note in _printed or len(_printed) > MAX_PRINTED_NOTES:
        return
    _printed.add(note)
    is_last = len(_printed) > MAX_PRINTED_NOTES
    print_message("more recordings have odd headers; `scenelet check` lists all" if is_last else note)


_printed: set[str] = set()


def blocks(
    recording: AudioSource,
    max_seconds: float | None = None,
    block_frames: int = BLOCK_FRAMES,
    on_note: Callable[[str], None] = print_note,
) -> Iterator[tuple[Samples, int]]:
    """Yield `(samples (channels, n), sample_rate)` until the recording ends.

    Args:
        recording: a path or an open binary file.
        max_seconds: maximum length of the sound, whatever the header states.
        block_frames: maximum n. Recordings of a low sample rate or of many channels have shorter blocks.
        on_note: called with a sentence that names the recording, for each thing that is odd about its file.

    Raises:
        AudioError: as `info`, or the sound ends early, or samples are not finite.
        TooLongError: the sound is longer than `max_seconds`.

    >>> from scenelet.model.pretrained import example
    >>> [(samples.shape, rate) for samples, rate in blocks(example("esc10"))]
    [((1, 220544), 44100)]
    """
    with open_sound(recording) as (sound, name):
        rate, total, count, peak = sound.sample_rate, sound.frames, 0, 0.0
        frames = min(block_frames, MAX_BLOCK_SECONDS * rate, MAX_BLOCK_SAMPLES // sound.channels)
        block, notes = sound.read(frames)
        while len(block):
            if fault := find_invalid_samples(block):
                raise AudioError(f"holds {fault}; export it again")
            count, peak = count + len(block), max(peak, float(block.max()))
            if max_seconds is not None and count > max_seconds * rate:
                raise TooLongError(f"is longer than {max_seconds:g} s; cut it into shorter recordings")
            report_progress(count / rate, 0.0 if total >= UNKNOWN_FRAMES else total / rate)
            yield block.T, rate
            block, notes = sound.read(frames)
        if peak > MAX_PEAK:
            notes = [*notes, f"its samples are up to {peak:,.0f} times full scale; divide them, or export it again"]
        for note in notes:
            on_note(f"{name}: {note}")


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
    """List the recordings in a folder and its subfolders, and print what is left out; see `search_folder`."""
    paths, passed_over = search_folder(folder, on_error)
    if passed_over:
        print_message(f"{escape_unprintable(str(folder))}: {describe_passed_over(passed_over)}")
    return paths


def search_folder(
    folder: str | os.PathLike[str], on_error: Callable[[OSError], None] | None = None
) -> tuple[list[Path], Counter[str]]:
    """List the recordings in a folder and its subfolders, and print what is no file; see `walk_files`.

    Returns:
        The paths, and the numbers of files that are passed over, see `passed_over_as`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("b.wav", "a.AIFF", "c.m4a", "notes.txt"):
    ...         (Path(folder) / name).touch()
    ...     paths, passed_over = search_folder(folder)
    >>> [path.name for path in paths], dict(passed_over)
    (['a.AIFF', 'b.wav'], {'.m4a': 1})
    """

    def report(path: Path, reason: str) -> None:
        print_message(f"{escape_unprintable(str(path))}: {reason}, skipped")

    others = {Path(f"a{name}").suffix for name in (*ARCHIVES, *WRAPPERS)}
    found = walk_files(Path(folder), (*EXTENSIONS, *UNREADABLE_EXTENSIONS, *others, "", ".dat"), report, on_error)
    paths = [path for path in found if path.suffix.lower() in EXTENSIONS]
    return paths, Counter(filter(None, map(passed_over_as, found)))


def describe_passed_over(counts: Mapping[str, int]) -> str:
    """Describe the recordings that `search_folder` has passed over.

    >>> describe_passed_over({".m4a": 8, ".wv": 2})[:70]
    '10 recordings passed over (8 .m4a, 2 .wv), convert them; only WAV, FLA'
    """
    listed = ", ".join(f"{count:,} {extension}" for extension, count in sorted(counts.items()))
    is_format = counts.keys() <= {*UNREADABLE_EXTENSIONS}
    total = pluralize(sum(counts.values()), "recording" if is_format else "file")
    fix = "convert them" if is_format else "unpack, rename or convert them"
    return f"{total} passed over ({listed}), {fix}; only {READABLE} can be read"


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
def open_audio(recording: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    """Open a recording, or rewind one that is open already. Such a file stays open at the end."""
    if isinstance(recording, str | os.PathLike):
        with Path(recording).open("rb", buffering=0) as file:  # libsndfile reads by the same descriptor
            yield cast(BinaryIO, file)
    else:
        recording.seek(0)
        yield recording


@contextlib.contextmanager
def open_sound(recording: AudioSource) -> Iterator[tuple[Sound, str]]:
    """Open a recording for reading, and yield the reader and what errors call the recording.

    A path is opened once, so that header and samples come from the same file even if the path is replaced meanwhile.
    Audio errors within the context get the recording's name.

    Raises:
        AudioError: as `info`.
    """
    has_path = isinstance(recording, str | os.PathLike | Segment)
    name = escape_unprintable(str(recording if has_path else getattr(recording, "name", "the recording")))
    segment = recording if isinstance(recording, Segment) else None
    source = recording.path if isinstance(recording, Segment) else recording
    try:
        with contextlib.ExitStack() as stack:
            try:
                if isinstance(source, str | os.PathLike):
                    _check_is_file(Path(source))
                file = stack.enter_context(open_audio(source))
                sound = open_pcm(file) or stack.enter_context(DECODER.open(file))
            except OSError as error:
                raise AudioError(f"cannot be read ({error.strerror or error})") from None
            _check_header(sound)
            yield (part_of(sound, segment) if segment else sound), name
    except AudioError as error:
        raise type(error)(f"{name}: {error}") from None


def _check_is_file(path: Path) -> None:
    """Raise AudioError if the path is not a file. Opening a named pipe would wait for a writer."""
    if path.exists() and not path.is_file():
        raise AudioError("not a file; give the path of a recording")
    if not path.exists():
        raise AudioError("a link that leads to no file; fix or delete it" if path.is_symlink() else "no such file")


def _check_header(sound: Sound) -> None:
    if sound.frames == 0:
        raise empty_error()
    if sound.channels > MAX_CHANNELS:
        raise AudioError(f"has {sound.channels} channels, more than {MAX_CHANNELS}; export fewer")
    if not MIN_SAMPLE_RATE <= sound.sample_rate <= MAX_SAMPLE_RATE:
        size = "low" if sound.sample_rate < MIN_SAMPLE_RATE else "high"
        raise AudioError(f"has a sample rate of {sound.sample_rate} Hz, too {size} for sound; is its header damaged?")
