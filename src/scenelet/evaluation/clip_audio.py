"""The sound of a clip for a page: as a link to the recording, or as a part of the page."""

import base64
import io
import os
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

from scenelet.audio.io import blocks

AudioChoice = Literal["link", "embed", "none"]
EMBED_SECONDS = 30.0  # of a recording that a page holds
EMBED_RATE = 48000  # Hz; what is above is resampled to it


@dataclass(frozen=True)
class PlayerSource:
    """What a player plays.

    Attributes:
        url: "" where there is nothing to play.
        start: s of the recording at which it begins.
        seconds: of the recording that are there; None: all of it.
    """

    url: str
    start: float = 0.0
    seconds: float | None = None


def player_source(path: Path, page: Path, choice: AudioChoice, begin: float) -> PlayerSource:
    """A recording for the page that will lie at `page`.

    Args:
        path: of the recording.
        page: of the HTML file.
        choice: "link": a URL of the recording; "embed": up to `EMBED_SECONDS` of it as 16-bit FLAC; "none".
        begin: s at which the embedded part of a longer recording begins.

    Raises:
        AudioError: embedding a recording that cannot be read.
    """
    if choice == "none":
        return PlayerSource("")
    if choice == "link":
        return PlayerSource(link(path, page.parent))
    return embedded(path, begin)


def link(path: Path, folder: Path) -> str:
    """URL of a file: relative to `folder` where there is a way, percent-encoded byte by byte."""
    absolute = os.path.abspath(path)
    try:
        relative = os.path.relpath(absolute, os.path.abspath(folder))
    except ValueError:  # on another drive
        return Path(absolute).as_uri()
    return urllib.parse.quote(os.fsencode(relative.replace(os.sep, "/")), safe="/")


def embedded(path: Path, begin: float) -> PlayerSource:
    """Up to `EMBED_SECONDS` of a recording from `begin` on, or from its start where all of it fits, as a data URL."""
    parts, count, rate = [], 0, 1
    for block, sample_rate in blocks(path):
        rate = sample_rate
        first = round(begin * rate)
        kept = block[:, max(0, first - count) : max(0, first + round(EMBED_SECONDS * rate) - count)]
        count += block.shape[1]
        if kept.shape[1]:
            parts.append(kept)
        if count >= first + round(EMBED_SECONDS * rate):
            break
    samples = np.concatenate(parts, axis=1)
    if rate > EMBED_RATE:
        samples, rate = soxr.resample(samples.T, rate, EMBED_RATE).T, EMBED_RATE
    data = io.BytesIO()
    soundfile.write(data, samples.T, rate, format="FLAC", subtype="PCM_16")
    url = "data:audio/flac;base64," + base64.b64encode(data.getvalue()).decode()
    return PlayerSource(url, begin, samples.shape[1] / rate)
