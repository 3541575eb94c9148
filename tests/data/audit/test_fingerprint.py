"""Fingerprints: similar for altered copies of a sound, different for other sounds."""

import io
import itertools

import numpy as np
import pytest
import soundfile
import soxr

from scenelet.data.audit import fingerprint as module
from scenelet.data.audit.fingerprint import HOP_SAMPLES, SAMPLE_RATE, Codes, Match, audio_fingerprint, find_matches


@pytest.fixture
def sounds(rng: np.random.Generator) -> list[np.ndarray]:
    """Six noises of 3 s whose loudness varies."""
    n = 3 * SAMPLE_RATE
    loudness = [np.interp(np.arange(n), np.linspace(0, n, 16), rng.uniform(0.3, 1, 16)) for _ in range(6)]
    return [(0.2 * rng.standard_normal(n) * curve).astype(np.float32) for curve in loudness]


def _as_mp3(samples: np.ndarray) -> np.ndarray:
    data = io.BytesIO()
    soundfile.write(data, soxr.resample(samples, SAMPLE_RATE, 32000), 32000, format="MP3")
    data.seek(0)
    decoded, rate = soundfile.read(data, dtype="float32")
    return soxr.resample(decoded, rate, SAMPLE_RATE)


@pytest.mark.parametrize("kind", ["gain", "noise", "trimmed", "delayed", "equalized", "MP3"])
def test_find_matches_altered_copy_is_the_only_match(
    sounds: list[np.ndarray], rng: np.random.Generator, kind: str
) -> None:
    original = sounds[2]
    n = len(original)
    copy = {
        "gain": lambda: 0.1 * original,
        "noise": lambda: original + 10**-1.5 * original.std() * rng.standard_normal(n),
        "trimmed": lambda: original[3333:],
        "delayed": lambda: np.pad(original, (4567, 0)),
        "equalized": lambda: np.fft.irfft(np.fft.rfft(original) * np.linspace(2, 0.5, n // 2 + 1), n),
        "MP3": lambda: _as_mp3(original),
    }[kind]()
    codes = [audio_fingerprint(sound.astype(np.float32)) for sound in (*sounds, copy)]
    (match,) = find_matches(codes)
    assert (match.first, match.second) == (2, 6)
    assert match.differing < 0.25
    delay = {"trimmed": -3333, "delayed": 4567}.get(kind, 0) / SAMPLE_RATE
    assert match.delay_seconds == pytest.approx(delay, abs=0.05 if kind == "MP3" else HOP_SAMPLES / SAMPLE_RATE)
    assert match.seconds > 2.0


def test_audio_fingerprint_padding_gives_codes_of_zero(sounds: list[np.ndarray]) -> None:
    padded = np.pad(sounds[0], (0, 2 * SAMPLE_RATE))
    codes = audio_fingerprint(padded)
    assert len(codes) == 1 + (len(padded) - module.FRAME_SAMPLES) // HOP_SAMPLES - 1
    assert np.all(codes[-100:] == 0)
    (match,) = find_matches([audio_fingerprint(sounds[0]), codes])
    assert match.differing < 0.01


def test_audio_fingerprint_bits_follow_haitsma_and_kalker(rng: np.random.Generator) -> None:
    """Bit m is the sign of the change over time of the energy difference between bands m + 1 and m."""
    samples = rng.standard_normal(4000).astype(np.float32)
    edges = np.round(module.BANDS_HZ * module.FRAME_SAMPLES / SAMPLE_RATE).astype(int)

    def energy(frame: int) -> np.ndarray:
        cut = samples[frame * HOP_SAMPLES : frame * HOP_SAMPLES + module.FRAME_SAMPLES] * np.hanning(
            module.FRAME_SAMPLES
        )
        power = np.abs(np.fft.rfft(cut)) ** 2
        return np.array([power[low:high].sum() for low, high in itertools.pairwise(edges)])

    before, now = energy(4), energy(5)
    bits = [(now[m + 1] - now[m]) - (before[m + 1] - before[m]) > 0 for m in range(32)]
    assert f"{audio_fingerprint(samples)[4]:032b}" == "".join("01"[int(bit)] for bit in bits)


def test_audio_fingerprint_quiet_frames_give_codes_of_zero(sounds: list[np.ndarray], rng: np.random.Generator) -> None:
    faint = 10 ** (-40 / 20) * sounds[0].std() * rng.standard_normal(2 * SAMPLE_RATE)
    assert np.all(audio_fingerprint(np.concatenate([sounds[0], faint]).astype(np.float32))[-100:] == 0)


def test_find_matches_one_equal_code_is_no_match(rng: np.random.Generator) -> None:
    first, second = rng.integers(1, 2**32, (2, 200), dtype=np.uint32)
    second[70] = first[50]
    assert find_matches([first, second]) == []
    second[40:90] = first[20:70]
    assert find_matches([first[20:70], second]) != []


def test_find_matches_short_or_silent_sounds_have_none() -> None:
    short, silent = np.zeros(100, np.float32), np.zeros(2 * SAMPLE_RATE, np.float32)
    assert find_matches([audio_fingerprint(short), audio_fingerprint(silent), audio_fingerprint(silent)]) == []
    assert find_matches([]) == []


@pytest.fixture
def alike(rng: np.random.Generator) -> list[Codes]:
    """Codes of 40 recordings: parts of a sound that repeats, with other, frequent and inaudible codes in between."""
    period, frequent = (rng.integers(1, 1 << 32, size, dtype=np.uint32) for size in (30, 3))
    shared = np.tile(period, 5)
    found = []
    for _ in range(40):
        length = rng.integers(0, 60)
        start = rng.integers(0, 150 - length)
        codes = shared[start : start + length].copy()
        for new, fraction in ((rng.integers(0, 1 << 32, length, dtype=np.uint32), 0.2), (np.zeros(length), 0.1)):
            changed = rng.random(length) < fraction
            codes[changed] = new[changed]
        is_frequent = rng.random(length) < 0.1
        codes[is_frequent] = rng.choice(frequent, is_frequent.sum())
        found.append(codes)
    return found


def _plain_matches(recordings: list[Codes]) -> list[Match]:
    """Return the matches by one comparison after the other, as the paper describes the search."""
    frames = sorted((int(code), i, t) for i, codes in enumerate(recordings) for t, code in enumerate(codes) if code)
    votes: dict[tuple[int, int], dict[int, int]] = {}
    for place, (code, i, t) in enumerate(frames):
        for other, j, u in frames[place + 1 : place + module.MAX_EQUAL_CODES]:
            if other == code and i != j:
                offsets = votes.setdefault((i, j), {})
                offsets[u - t] = offsets.get(u - t, 0) + 1
    found = []
    for (i, j), offsets in sorted(votes.items()):
        best = None
        for offset, _ in sorted(offsets.items(), key=lambda vote: (-vote[1], vote[0]))[: module.MAX_OFFSETS]:
            pairs = zip(recordings[i][max(0, -offset) :], recordings[j][max(0, offset) :], strict=False)
            both = [(a, b) for a, b in pairs if a and b]
            if len(both) < module.MIN_FRAMES:
                continue
            differing = sum(int(a ^ b).bit_count() for a, b in both) / (32 * len(both))
            independent = module.INDEPENDENT_BITS * (1 + len(both) * HOP_SAMPLES / module.FRAME_SAMPLES)
            limit = min(module.MAX_DIFFERING, 0.5 - module.MIN_Z_SCORE * 0.5 / np.sqrt(independent))
            if best is None or differing - limit < best[0]:
                best = differing - limit, len(both), offset, differing
        if best is not None and best[0] <= 0:
            rate = SAMPLE_RATE / HOP_SAMPLES
            found.append(Match(i, j, best[1] / rate, best[2] / rate, best[3]))
    return found


@pytest.mark.parametrize(("limit", "equal_codes"), [(1, 32), (1000, 32), (1 << 20, 32), (1000, 4)])
def test_find_matches_equals_the_plain_search(
    alike: list[Codes], monkeypatch: pytest.MonkeyPatch, limit: int, equal_codes: int
) -> None:
    monkeypatch.setattr(module, "MAX_EQUAL_CODES", equal_codes)
    monkeypatch.setattr(module, "MAX_PAIRS", limit)
    monkeypatch.setattr(module, "MAX_COMPARED_FRAMES", limit)
    found = find_matches(alike)
    assert len(found) > 5
    assert found == _plain_matches(alike)


@pytest.mark.parametrize("codes", [[], [0] * 9])
def test_find_matches_without_audible_frames_finds_no_pair(codes: list[int]) -> None:
    assert find_matches([np.array(codes, np.uint32)] * 2) == []
