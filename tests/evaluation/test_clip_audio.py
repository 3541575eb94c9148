"""Audio of a page: links, encoded byte by byte, and embedded recordings."""

import base64
import io
from pathlib import Path

import numpy as np
import soundfile

from scenelet.evaluation.clip_audio import EMBED_SECONDS, player_source


def test_player_source_without_audio_has_no_url(tmp_path: Path) -> None:
    assert player_source(tmp_path / "a.wav", tmp_path / "page.html", "none", 0.0).url == ""


def decoded(url: str) -> tuple[np.ndarray, int]:
    head, _, body = url.partition(",")
    assert head == "data:audio/flac;base64"
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(body)), dtype="int16", always_2d=True)
    return samples, rate


def test_player_source_embeds_a_short_recording_losslessly(tmp_path: Path, rng: np.random.Generator) -> None:
    samples = rng.integers(-30000, 30000, (4000, 2)).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 8000)
    sound = player_source(tmp_path / "a.wav", tmp_path / "page.html", "embed", 0.0)
    assert (sound.start, sound.seconds) == (0.0, 0.5)
    found, rate = decoded(sound.url)
    assert rate == 8000
    assert (found == samples).all()


def test_player_source_embeds_part_of_a_long_recording(tmp_path: Path) -> None:
    rate = 4000
    samples = (np.arange(100 * rate) // rate * 100).astype(np.int16)  # each second has its own level
    soundfile.write(tmp_path / "a.wav", samples, rate)
    for begin, seconds in ((0.0, EMBED_SECONDS), (68.0, EMBED_SECONDS), (90.0, 10.0)):
        sound = player_source(tmp_path / "a.wav", tmp_path / "page.html", "embed", begin)
        assert (sound.start, sound.seconds) == (begin, seconds)
        found, _ = decoded(sound.url)
        start = int(begin * rate)
        assert (found[:, 0] == samples[start : start + int(seconds * rate)]).all()


def test_player_source_resamples_high_rates(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(96000) / 96000)
    soundfile.write(tmp_path / "a.wav", tone, 96000)
    found, rate = decoded(player_source(tmp_path / "a.wav", tmp_path / "page.html", "embed", 0.0).url)
    assert (rate, found.shape) == (48000, (48000, 1))
    assert np.abs(np.fft.rfft(found[:, 0])).argmax() == 1000
