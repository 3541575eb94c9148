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
from scenelet.utils.html import relative_url

AudioChoice = Literal["link", "embed", "none"]
EMBED_SECONDS = 30.0  # maximum length of an embedded recording
EMBED_RATE_HZ = 48000  # maximum sample rate of an embedded recording


@dataclass(frozen=True)
class PlayerSource:
    """Source of an audio player."""

    url: str  # link or data URL; "" if there is nothing to play
    start: float = 0.0  # position in the recording at which the audio begins, in s
    seconds: float | None = None  # length of the audio; None: the whole recording


def player_source(path: Path, page: Path, choice: AudioChoice, begin: float) -> PlayerSource:
    """Prepare a recording for a player on an HTML page.

    Args:
        path: the recording.
        page: the HTML file.
        choice: "link" to the recording, "embed" up to `EMBED_SECONDS` of it as 16-bit FLAC, or "none".
        begin: position in the recording at which the embedded audio begins, in s.

    Raises:
        AudioError: the recording is to be embedded and cannot be read.

    >>> player_source(Path("data/a b.wav"), Path("out/page.html"), "link", 0.0).url
    '../data/a%20b.wav'
    """
    if choice == "embed":
        return _embed(path, begin)
    return PlayerSource(relative_url(path, page.parent) if choice == "link" else "")


def _embed(path: Path, begin: float) -> PlayerSource:
    """Encode up to `EMBED_SECONDS` of a recording, from `begin` on, as a data URL."""
    parts, count, rate = [], 0, 1
    for block, rate in blocks(path):
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
