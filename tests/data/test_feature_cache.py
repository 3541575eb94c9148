"""The feature cache: right, resumable, shared by two builders."""

import concurrent.futures
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.data import feature_cache as cache
from scenelet.data.clips import Clip
from scenelet.errors import AudioError

FEATURES = FeatureConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=32, channels="mono")
WINDOW = WindowConfig(seconds=0.5)


@pytest.fixture
def clips(tmp_path: Path, rng: np.random.Generator) -> list[Clip]:
    folder = tmp_path / "audio"
    folder.mkdir()
    made = []
    for i in range(10):
        path = folder / f"{i}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, 4000 * (1 + i % 3)), 8000)
        made.append(Clip(path, path.name, "x", path.name))
    return made


def load(clips: list[Clip], where: Path, workers: int | None = 1) -> cache.ClipFeatures:
    return cache.load_features(clips, clips[0].path.parent, FEATURES, WINDOW, where, workers)


def expected(clip: Clip) -> np.ndarray:
    transform = LogMel(FEATURES)
    return np.stack([transform(w) for w in windows(clip.path, FEATURES, WINDOW)]).astype(np.float16)


def check(clips: list[Clip], features: cache.ClipFeatures) -> None:
    for clip, first, count in zip(clips, features.first, features.count, strict=True):
        assert np.array_equal(features.values[first : first + count], expected(clip))


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_are_the_windows_features(clips: list[Clip], tmp_path: Path, workers: int) -> None:
    features = load(clips, tmp_path / "c", workers)
    assert features.count.tolist() == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]
    assert features.values.shape == (19, 1, 32, 32)
    check(clips, features)
    assert np.array_equal(features.rows(), np.arange(19))


def test_nothing_is_computed_twice(clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(clips[:6], tmp_path / "c")
    computed = []
    monkeypatch.setattr(cache, "_file_features", lambda path, **_: computed.append(path.name) or expected_at(path))

    def expected_at(path: Path) -> np.ndarray:
        return expected(Clip(path, path.name, "x", "x"))

    features = load(list(reversed(clips)), tmp_path / "c")
    assert sorted(computed) == ["6.wav", "7.wav", "8.wav", "9.wav"]
    check(list(reversed(clips)), features)
    assert np.array_equal(first.values, features.values[: len(first.values)])


def test_an_altered_file_of_the_same_size_is_computed_anew(clips: list[Clip], tmp_path: Path) -> None:
    load(clips, tmp_path / "c")
    size = clips[3].path.stat().st_size
    soundfile.write(clips[3].path, np.full(4000, 0.25), 8000)
    os.utime(clips[3].path, (1, 1))
    assert clips[3].path.stat().st_size == size
    check(clips, load(clips, tmp_path / "c"))


@pytest.mark.parametrize("left", [0, 0.5])
def test_rows_that_were_lost_are_computed_again(clips: list[Clip], tmp_path: Path, left: float) -> None:
    load(clips, tmp_path / "c")
    (rows,) = (tmp_path / "c").glob("*/windows.f16")
    if left:
        os.truncate(rows, int(rows.stat().st_size * left))
    else:
        rows.unlink()
    check(clips, load(clips, tmp_path / "c"))
    check(clips, load(clips, tmp_path / "c"))


def test_an_altered_file_is_computed_anew(clips: list[Clip], tmp_path: Path) -> None:
    load(clips, tmp_path / "c")
    soundfile.write(clips[3].path, np.zeros(8000), 8000)
    check(clips, load(clips, tmp_path / "c"))


def test_a_cut_line_and_rows_without_a_line_are_mended(clips: list[Clip], tmp_path: Path) -> None:
    load(clips, tmp_path / "c")
    (folder,) = (tmp_path / "c").iterdir()
    index = folder / "index.jsonl"
    text = index.read_text()
    index.write_text(text[: len(text) - 9])
    with (folder / "windows.f16").open("ab") as file:
        file.write(b"half a row")
    check(clips, load(clips, tmp_path / "c"))
    assert len([json.loads(line) for line in index.read_text().splitlines()]) == len(clips)


def test_lines_whose_rows_are_lost_never_speak_of_others(clips: list[Clip], tmp_path: Path) -> None:
    load(clips, tmp_path / "c")
    (rows,) = (tmp_path / "c").glob("*/windows.f16")
    os.truncate(rows, rows.stat().st_size // 19 * 6)  # the first three clips have six windows of 19
    check(clips[6:], load(clips[6:], tmp_path / "c"))  # their rows lie where those of the fourth were
    check(clips, load(clips, tmp_path / "c"))


def test_lines_behind_a_damaged_one_count_no_more(clips: list[Clip], tmp_path: Path) -> None:
    load(clips, tmp_path / "c")
    index = next((tmp_path / "c").iterdir()) / "index.jsonl"
    lines = index.read_bytes().splitlines(keepends=True)
    for damage in (b"\0" * 30 + b"\n", b"[1, 2]\n", b'["x", 0, 2]\n', b'["x", 3, -1]\n', b"[" * 3000 + b"\n"):
        index.write_bytes(b"".join([*lines[:2], damage, *lines[3:]]))
        check(clips, load(clips, tmp_path / "c"))
        assert len(index.read_bytes().splitlines()) == len(clips)


def test_a_row_that_is_half_there_is_passed_over_where_nothing_is_missing(clips: list[Clip], tmp_path: Path) -> None:
    load(clips[:3], tmp_path / "c")
    with (next((tmp_path / "c").iterdir()) / "windows.f16").open("ab") as file:
        file.write(b"half a row")  # a build of other clips was killed
    check(clips[:3], load(clips[:3], tmp_path / "c"))


def test_a_bad_recording_is_named_and_the_others_stay(clips: list[Clip], tmp_path: Path) -> None:
    clips[8].path.write_text("not sound")
    with pytest.raises(AudioError, match=r"8\.wav"):
        load(clips, tmp_path / "c")
    soundfile.write(clips[8].path, np.zeros(8000), 8000)
    check(clips, load(clips, tmp_path / "c"))


def test_a_killed_build_goes_on(clips: list[Clip], tmp_path: Path) -> None:
    many = []
    for i in range(300):
        path = clips[0].path.parent / f"copy{i}.wav"
        shutil.copy(clips[i % 10].path, path)
        many.append(Clip(path, path.name, "x", path.name))
    script = (
        "import sys; from pathlib import Path; from scenelet.data.feature_cache import load_features;"
        "from scenelet.data.clips import Clip; from scenelet.config import *;"
        "root = Path(sys.argv[1]); names = [f'copy{i}.wav' for i in range(300)];"
        f"features = FeatureConfig.model_validate_json({FEATURES.model_dump_json()!r});"
        "load_features([Clip(root / n, n, 'x', n) for n in names], root, features, WindowConfig(seconds=0.5),"
        " Path(sys.argv[2]), 1)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(many[0].path.parent), str(tmp_path / "c")])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = list((tmp_path / "c").glob("*/index.jsonl"))
        if found and found[0].read_text().count("\n") > 5:
            break
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = found[0].read_text().count("\n")
    check(many, load(many, tmp_path / "c"))
    assert before <= 300


def build_in_process(clips: list[Clip], where: Path) -> None:
    check(clips, load(clips, where))


def test_two_builders_do_not_disturb_each_other(clips: list[Clip], tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, context) as executor:
        for job in [executor.submit(build_in_process, clips, tmp_path / "c") for _ in range(2)]:
            job.result()


def test_standardisation_is_mean_and_deviation_per_band(clips: list[Clip], tmp_path: Path) -> None:
    features = load(clips, tmp_path / "c")
    mean, deviation = cache.band_statistics(features)
    everything = features.values.astype(np.float64)
    assert mean == pytest.approx(everything.mean((0, 1, 3)), rel=1e-5)
    assert deviation == pytest.approx(everything.std((0, 1, 3)), rel=1e-4)


def test_a_constant_band_gets_a_floor() -> None:
    values = np.random.default_rng(0).normal(size=(4, 1, 5, 50)).astype(np.float16)
    values[:, :, 2] = -100
    features = cache.ClipFeatures(values, np.arange(4), np.ones(4, np.int64))
    _, deviation = cache.band_statistics(features)
    assert deviation[2] == pytest.approx(0.01 * np.median(deviation), rel=1e-3)


def test_all_that_cannot_be_read_is_named_and_the_rest_is_kept(clips: list[Clip], tmp_path: Path) -> None:
    for number in (1, 4, 5, 8):
        clips[number].path.write_bytes(b"")
    with pytest.raises(AudioError) as caught:
        load(clips, tmp_path / "c")
    message = str(caught.value)
    assert message.startswith("4 of 10 recordings cannot be read, `scenelet check` lists them: (1) ")
    assert [f"{number}.wav: the file is empty" in message for number in (1, 4, 5, 8)] == [True, True, True, False]
    good = [clip for number, clip in enumerate(clips) if number not in (1, 4, 5, 8)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "_file_features", None)  # nothing is computed again
        check(good, load(good, tmp_path / "c"))
    with pytest.raises(AudioError, match=r"4\.wav: the file is empty.*\(`scenelet check` goes through all"):
        load([*good, clips[4]], tmp_path / "c")


def test_a_recording_that_is_gone_or_another_one_meanwhile(
    clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cache._file_features

    def meanwhile(path: Path, **settings: object) -> np.ndarray:
        windows = real(path, **settings)  # type: ignore[arg-type]
        if path == clips[2].path:
            clips[7].path.replace(path)
        return windows

    clips[9].path.unlink()
    with pytest.raises(AudioError, match=r"9\.wav: is gone \(No such file or directory\); was it moved meanwhile"):
        load(clips, tmp_path / "c")
    monkeypatch.setattr(cache, "_file_features", meanwhile)
    with pytest.raises(AudioError) as caught:
        load(clips[:9], tmp_path / "c")
    assert "2.wav: changed while it was read; run the same command again" in str(caught.value)
    assert "7.wav: no such file" in str(caught.value)
    monkeypatch.undo()
    left = [clip for number, clip in enumerate(clips[:9]) if number != 7]
    check(left, load(left, tmp_path / "c"))  # the second one has its own features, not the first one's


def test_statistics_read_few_windows_at_a_time(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    values = rng.normal(-40, 10, (1000, 1, 4, 3)).astype(np.float16)
    one_clip = cache.ClipFeatures(values, np.array([0]), np.array([1000]))
    sizes = []
    real = cache.ClipFeatures.load
    monkeypatch.setattr(cache.ClipFeatures, "load", lambda self, rows: sizes.append(len(rows)) or real(self, rows))
    mean, deviation = cache.band_statistics(one_clip)
    assert max(sizes) <= 128
    assert np.allclose(mean, values.astype(np.float64).mean(axis=(0, 1, 3)), rtol=1e-5)
    assert np.allclose(deviation, values.astype(np.float64).std(axis=(0, 1, 3)), rtol=1e-3)
