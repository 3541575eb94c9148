"""The feature cache: correct rows, resumable builds, and two builders at once."""

import concurrent.futures
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.data import feature_cache
from scenelet.data.clips import Clip
from scenelet.data.feature_cache import ClipFeatures, band_statistics, load_features, load_waveforms
from scenelet.errors import AudioError, OutputError
from scenelet.utils import cache as cache_module

FEATURES = FeatureConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=32, channels="mono")
WINDOW = WindowConfig(seconds=0.5)


@pytest.fixture
def clips(tmp_path: Path, rng: np.random.Generator) -> list[Clip]:
    """Ten recordings of 1, 2 or 3 windows."""
    folder = tmp_path / "audio"
    folder.mkdir()
    for i in range(10):
        soundfile.write(folder / f"{i}.wav", rng.uniform(-0.5, 0.5, 4000 * (1 + i % 3)), 8000)
    return [Clip(folder / f"{i}.wav", f"{i}.wav", "x", f"{i}.wav") for i in range(10)]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The cache folder, which does not exist yet."""
    return tmp_path / "cache"


def load(clips: list[Clip], cache: Path, workers: int | None = 1) -> ClipFeatures:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCENELET_CACHE", str(cache))
        return load_features(clips, clips[0].path.parent, FEATURES, WINDOW, workers)


def expected_windows(clip: Clip) -> np.ndarray:
    transform = LogMel(FEATURES)
    return np.stack([transform(w) for w in windows(clip.path, FEATURES, WINDOW)]).astype(np.float16)


def check(clips: list[Clip], features: ClipFeatures) -> None:
    for clip, first, count in zip(clips, features.first, features.count, strict=True):
        assert np.array_equal(features.values[first : first + count], expected_windows(clip))


def rows_file(cache: Path) -> Path:
    (path,) = cache.glob("*/windows.f16")
    return path


def index_file(cache: Path) -> Path:
    (path,) = cache.glob("*/index.jsonl")
    return path


def spoil(clip: Clip) -> None:
    """Replace the content of a clip's file. Its size and time stay the same, so it looks unchanged."""
    status = clip.path.stat()
    clip.path.write_bytes(bytes(status.st_size))
    os.utime(clip.path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("workers", [1, 2])
def test_load_features_returns_every_window(clips: list[Clip], cache: Path, workers: int) -> None:
    features = load(clips, cache, workers)
    assert features.count.tolist() == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]
    assert features.values.shape == (19, 1, 32, 32)
    check(clips, features)
    assert np.array_equal(features.rows(), np.arange(19))


def test_load_features_reads_only_new_recordings(clips: list[Clip], cache: Path) -> None:
    first = load(clips[:6], cache)
    for clip in clips[:6]:
        spoil(clip)
    features = load(clips[::-1], cache)
    check(clips[:5:-1], ClipFeatures(features.values, features.first[:4], features.count[:4]))
    assert np.array_equal(first.values, features.values[: len(first.values)])
    assert features.first[4:].tolist() == first.first[::-1].tolist()


def test_load_features_reads_a_changed_recording_again(clips: list[Clip], cache: Path) -> None:
    load(clips, cache)
    soundfile.write(clips[3].path, np.zeros(8000), 8000)
    check(clips, load(clips, cache))


def test_load_features_sees_a_change_of_equal_size(clips: list[Clip], cache: Path) -> None:
    load(clips, cache)
    size = clips[3].path.stat().st_size
    soundfile.write(clips[3].path, np.full(4000, 0.25), 8000)
    os.utime(clips[3].path, (1, 1))
    assert clips[3].path.stat().st_size == size
    check(clips, load(clips, cache))


@pytest.mark.parametrize("fraction", [0, 0.5])
def test_load_features_computes_lost_rows_again(clips: list[Clip], cache: Path, fraction: float) -> None:
    load(clips, cache)
    rows = rows_file(cache)
    if fraction:
        os.truncate(rows, int(rows.stat().st_size * fraction))
    else:
        rows.unlink()
    check(clips, load(clips, cache))
    check(clips, load(clips, cache))


def test_load_features_repairs_a_truncated_line(clips: list[Clip], cache: Path) -> None:
    load(clips, cache)
    index = index_file(cache)
    os.truncate(index, index.stat().st_size - 9)
    with rows_file(cache).open("ab") as file:
        file.write(b"half a row")
    check(clips, load(clips, cache))
    assert len([json.loads(line) for line in index.read_text().splitlines()]) == len(clips)


def test_load_features_drops_lines_of_lost_rows(clips: list[Clip], cache: Path) -> None:
    load(clips, cache)
    os.truncate(rows_file(cache), rows_file(cache).stat().st_size // 19 * 6)  # the first three clips have 6 of 19 rows
    check(clips[6:], load(clips[6:], cache))  # their rows replace those of the fourth clip
    check(clips, load(clips, cache))


@pytest.mark.parametrize(
    "damaged", [b"\0" * 30, b"[1, 2]", b'["x", 0, 2]', b'["x", 3, -1]', b'["x", 3, "1"]', b"[" * 3000]
)
def test_load_features_drops_lines_after_a_damaged_one(clips: list[Clip], cache: Path, damaged: bytes) -> None:
    load(clips, cache)
    index = index_file(cache)
    lines = index.read_bytes().splitlines(keepends=True)
    index.write_bytes(b"".join([*lines[:2], damaged + b"\n", *lines[3:]]))
    assert len(feature_cache.read_index(index, rows=19)) == 2
    assert index.read_bytes() == b"".join(lines[:2])
    check(clips, load(clips, cache))
    assert len(index.read_bytes().splitlines()) == len(clips)


def test_load_features_ignores_half_a_row(clips: list[Clip], cache: Path) -> None:
    load(clips[:3], cache)
    with rows_file(cache).open("ab") as file:
        file.write(b"half a row")  # a crashed build of other clips
    check(clips[:3], load(clips[:3], cache))


KILLED_BUILD = """
import os, signal, sys
from pathlib import Path
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.data import feature_cache
from scenelet.data.clips import Clip

read, remaining = feature_cache.windows, int(sys.argv[4])

def read_or_die(*arguments):
    global remaining
    remaining -= 1
    if remaining < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(*arguments)

feature_cache.windows, feature_cache.BATCH_BYTES = read_or_die, 3 * 32 * 32 * 2  # three windows
root, features = Path(sys.argv[1]), FeatureConfig.model_validate_json(sys.argv[3])
clips = [Clip(path, path.name, "x", path.name) for path in sorted(root.iterdir())]
os.environ["SCENELET_CACHE"] = sys.argv[2]
feature_cache.load_features(clips, root, features, WindowConfig(seconds=0.5), 1)
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_load_features_resumes_a_killed_build(clips: list[Clip], cache: Path) -> None:
    root = clips[0].path.parent
    command = [sys.executable, "-c", KILLED_BUILD, str(root), str(cache), FEATURES.model_dump_json(), "7"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(index_file(cache).read_text().splitlines()) == 6
    for clip in clips[:6]:
        spoil(clip)
    features = load(clips, cache)
    check(clips[6:], ClipFeatures(features.values, features.first[6:], features.count[6:]))
    assert features.count.tolist() == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]


def build_and_check(clips: list[Clip], cache: Path) -> None:
    check(clips, load(clips, cache))


@pytest.mark.skipif(os.name != "posix", reason="Windows cannot fork")
def test_load_features_by_two_processes_at_once(clips: list[Clip], cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, context) as executor:
        for job in [executor.submit(build_and_check, clips, cache) for _ in range(2)]:
            job.result()


def test_load_features_names_a_bad_recording(clips: list[Clip], cache: Path) -> None:
    clips[8].path.write_text("not sound")
    with pytest.raises(AudioError, match=r"8\.wav"):
        load(clips, cache)
    soundfile.write(clips[8].path, np.zeros(8000), 8000)
    check(clips, load(clips, cache))


def test_load_features_caches_the_readable_recordings(clips: list[Clip], cache: Path) -> None:
    bad = (1, 4, 5, 8)
    for number in bad:
        clips[number].path.write_bytes(b"")
    with pytest.raises(AudioError) as caught:
        load(clips, cache)
    message = str(caught.value)
    assert message.startswith("4 of 10 recordings cannot be read, `scenelet check` lists them: (1) ")
    assert [f"{number}.wav: the file is empty" in message for number in bad] == [True, True, True, False]
    good = [clip for number, clip in enumerate(clips) if number not in bad]
    windows = [expected_windows(clip) for clip in good]
    for clip in good:
        spoil(clip)
    features = load(good, cache)
    assert np.array_equal(features.load(features.rows()), np.concatenate(windows))
    with pytest.raises(AudioError, match=r"4\.wav: the file is empty.*\(`scenelet check` goes through all"):
        load([*good, clips[4]], cache)


def test_load_features_refuses_a_missing_recording(clips: list[Clip], cache: Path) -> None:
    clips[9].path.unlink()
    message = r"9\.wav: no longer exists \(No such file or directory\); was it moved during the run"
    with pytest.raises(AudioError, match=message):
        load(clips, cache)


def test_load_features_refuses_a_file_replaced_meanwhile(
    clips: list[Clip], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_replace(path: Path, *settings: object) -> Iterator[np.ndarray]:
        yield from windows(path, *settings)  # type: ignore[arg-type]
        if path == clips[2].path:
            clips[7].path.replace(path)

    monkeypatch.setattr(feature_cache, "windows", read_and_replace)
    with pytest.raises(AudioError) as caught:
        load(clips, cache)
    assert "2.wav: changed while it was read; run the same command again" in str(caught.value)
    assert "7.wav: no such file" in str(caught.value)
    monkeypatch.undo()
    remaining = [clip for number, clip in enumerate(clips) if number != 7]
    check(remaining, load(remaining, cache))  # the replaced clip has the features of its new file


def test_load_features_touched_recording_is_no_key_error(
    clips: list[Clip], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that synchronizes folders changes a file's time after its features were computed."""
    build = feature_cache._build

    def build_and_touch(*arguments: Any) -> Any:
        faults = build(*arguments)
        os.utime(clips[4].path, (1, 1))
        return faults

    monkeypatch.setattr(feature_cache, "_build", build_and_touch)
    check(clips, load(clips, cache))


def test_load_features_notes_its_use_and_deletes_unused_ones(
    clips: list[Clip], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(clips, cache)
    (lock,) = cache.glob("*/lock")
    os.utime(lock, (1, 1))
    load(clips, cache)
    assert lock.stat().st_mtime > 1
    os.utime(lock, (1, 1))
    monkeypatch.setattr(cache_module, "MAX_FEATURE_BYTES", 100)
    other = WindowConfig(seconds=0.25)
    monkeypatch.setenv("SCENELET_CACHE", str(cache))
    load_features(clips, clips[0].path.parent, FEATURES, other, workers=1)
    assert not lock.with_name("windows.f16").exists()
    assert len(list(cache.glob("*/windows.f16"))) == 1


def test_load_features_unusable_cache_names_the_variable(clips: list[Clip], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="set SCENELET_CACHE to a folder that you can write"):
        load(clips, tmp_path / "file")


def test_band_statistics_are_mean_and_deviation_per_band(clips: list[Clip], cache: Path) -> None:
    features = load(clips, cache)
    mean, deviation = band_statistics(features)
    values = features.values.astype(np.float64)
    assert mean == pytest.approx(values.mean((0, 1, 3)), rel=1e-5)
    assert deviation == pytest.approx(values.std((0, 1, 3)), rel=1e-4)


def test_band_statistics_have_a_floor_for_constant_bands() -> None:
    values = np.random.default_rng(0).normal(size=(4, 1, 5, 50)).astype(np.float16)
    values[:, :, 2] = -100
    _, deviation = band_statistics(ClipFeatures(values, np.arange(4), np.ones(4, np.int64)))
    assert deviation[2] == pytest.approx(0.01 * np.median(deviation), rel=1e-3)


def test_band_statistics_load_few_windows_at_a_time(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    values = rng.normal(-40, 10, (1000, 1, 4, 3)).astype(np.float16)
    one_clip = ClipFeatures(values, np.array([0]), np.array([1000]))
    sizes = []
    original = ClipFeatures.load
    monkeypatch.setattr(ClipFeatures, "load", lambda self, rows: sizes.append(len(rows)) or original(self, rows))
    mean, deviation = band_statistics(one_clip)
    assert max(sizes) <= 128
    assert np.allclose(mean, values.astype(np.float64).mean(axis=(0, 1, 3)), rtol=1e-5)
    assert np.allclose(deviation, values.astype(np.float64).std(axis=(0, 1, 3)), rtol=1e-3)


# Waveforms


def load_samples(clips: list[Clip], cache: Path, window: WindowConfig = WINDOW, n_mels: int = 32) -> ClipFeatures:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCENELET_CACHE", str(cache))
        features = FEATURES.model_copy(update={"n_mels": n_mels})
        return load_waveforms(clips, clips[0].path.parent, features, window, workers=1)


def test_load_waveforms_returns_the_samples_of_every_window(clips: list[Clip], cache: Path) -> None:
    load(clips, cache)
    samples = load_samples(clips, cache)
    assert samples.values.shape == (19, 1, 4000)
    for clip, first, count in zip(clips, samples.first, samples.count, strict=True):
        expected = np.stack(list(windows(clip.path, FEATURES, WINDOW))).astype(np.float16)
        assert np.array_equal(samples.values[first : first + count], expected)
    assert len(list(cache.glob("*/windows.f16"))) == 2
    check(clips, load(clips, cache))


def test_load_waveforms_is_shared_by_settings_of_log_mel(clips: list[Clip], cache: Path) -> None:
    samples = load_samples(clips, cache)
    for clip in clips:
        spoil(clip)
    assert np.array_equal(load_samples(clips[::-1], cache, n_mels=16).values, samples.values)
    assert len(list(cache.glob("*/windows.f16"))) == 1


def test_load_waveforms_applies_the_window_rules(clips: list[Clip], cache: Path) -> None:
    """The silent end is filled by repetition, and a rest that `keep_rest` adds is left out."""
    for clip in clips[:2]:
        soundfile.write(clip.path, np.r_[np.full(2000, 0.5), np.zeros(2050)], 8000, subtype="FLOAT")
    window = WindowConfig(seconds=0.5, pad_mode="repeat", min_sound_seconds=0.1, keep_rest=True)
    (longer,) = windows(clips[0].path, FEATURES, window)
    assert longer.shape[1] > 4000
    assert load_samples(clips[:2], cache, window).values.tolist() == np.full((2, 1, 4000), 0.5).tolist()


def test_load_waveforms_of_samples_beyond_float16_are_finite(clips: list[Clip], cache: Path) -> None:
    soundfile.write(clips[0].path, np.full(4000, -1e6), 8000, subtype="FLOAT")
    assert load_samples(clips[:1], cache).values.min() == np.finfo(np.float16).min


def test_select_keeps_rows_of_clips(clips: list[Clip], cache: Path) -> None:
    features = load(clips, cache)
    check([clips[4], clips[1]], features.select(np.array([4, 1])))
    check(clips[2:5], features.select(slice(2, 5)))
