"""Audio of a clip for an HTML page: a link to the recording, or the recording embedded in the page."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

from scenelet.audio.io import blocks
from scenelet.audio.segment import Segment
from scenelet.utils.html import relative_url

AudioChoice = Literal["link", "embed", "none"]
EMBED_SECONDS = 30.0  # maximum length of an embedded recording
EMBED_RATE_HZ = 48000  # maximum sample rate of an embedded recording


@dataclass(frozen=True)
class PlayerSource:
    """Source of an audio player."""

    url: str  # link or data URL; "" if there is nothing to play
    start: float = 0.0  # position in the clip at which the audio begins, s; a linked part has a negative one
    seconds: float | None = None  # length of the audio; None: the whole recording


def player_source(recording: Path | Segment, page: Path, choice: AudioChoice, begin: float) -> PlayerSource:
    """Prepare a recording for a player on an HTML page.

    Args:
        recording: the recording, or a part of one, which the player begins and ends with.
        page: the HTML file.
        choice: "link" to the recording, "embed" up to `EMBED_SECONDS` of it as 16-bit FLAC, or "none".
        begin: position in the recording at which the embedded audio begins, in s.

    Raises:
        AudioError: the recording is to be embedded and cannot be read.

    >>> player_source(Path("data/a b.wav"), Path("out/page.html"), "link", 0.0).url
    '../data/a%20b.wav'
    >>> player_source(Segment(Path("data/a.wav"), 2, 3.5), Path("out/page.html"), "link", 0.0)
    PlayerSource(url='../data/a.wav#t=2.000,3.500', start=-2, seconds=None)
    """
    if choice == "embed":
        return _embed(recording, begin)
    if choice == "none":
        return PlayerSource("")
    if not isinstance(recording, Segment):
        return PlayerSource(relative_url(recording, page.parent))
    times = f"#t={recording.start:.3f},{recording.end:.3f}"
    return PlayerSource(relative_url(recording.path, page.parent) + times, -recording.start)


def _embed(recording: Path | Segment, begin: float) -> PlayerSource:
    """Encode up to `EMBED_SECONDS` of a recording, from `begin` on, as a data URL."""
    parts, count, rate = [], 0, 1
    for block, rate in blocks(recording):
        first = round(begin * rate)
        last = first + round(EMBED_SECONDS * rate)
        parts.append(block[:2, max(0, first - count) : max(0, last - count)])
        count += block.shape[1]
        if count >= last:
            break
    samples = np.concatenate(parts, axis=1)
    if rate > EMBED_RATE_HZ:
        samples, rate = soxr.resample(samples.T, rate, EMBED_RATE_HZ).T, EMBED_RATE_HZ
    data = io.BytesIO()
    soundfile.write(data, samples.T, rate, format="FLAC", subtype="PCM_16")
    url = "data:audio/flac;base64," + base64.b64encode(data.getvalue()).decode()
    return PlayerSource(url, begin, samples.shape[1] / rate)
