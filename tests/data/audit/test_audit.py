"""Every kind of finding, on recordings made to have it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.audio import io as recordings
from scenelet.data.audit.audit import audit
from scenelet.data.audit.findings import Finding
from scenelet.data.audit.statistics import recording_stats
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.splits import Split

RATE = 8000


@pytest.fixture
def noise(rng: np.random.Generator) -> Callable[..., np.ndarray]:
    def make(seconds: float = 1.0, peak: float = 0.5) -> np.ndarray:
        samples = rng.uniform(-1, 1, round(seconds * RATE))
        return peak * samples / np.abs(samples).max()

    return make


def _table(root: Path, rows: dict[str, tuple[str, str]]) -> ClipTable:
    clips = tuple(Clip(root / name, name, label, group) for name, (label, group) in rows.items())
    return ClipTable(root, "test", clips)


def _of_clip(path: Path, window_seconds: float = 1.0) -> list[Finding]:
    """Findings on one recording, without those on its class."""
    table = _table(path.parent, {path.name: ("x", "g")})
    return [finding for finding in audit(table, window_seconds) if finding.clips]


class TestOneRecording:
    def test_nothing_wrong(self, tmp_path: Path, noise: Callable[..., np.ndarray]) -> None:
        soundfile.write(tmp_path / "a.wav", noise(), RATE)
        assert _of_clip(tmp_path / "a.wav") == []

    @pytest.mark.parametrize(
        ("content", "kind", "words"),
        [
            (b"", "empty", "the file is empty"),
            (b"not audio", "unreadable", "not a recording that can be read"),
            (None, "unreadable", "no such file"),
        ],
    )
    def test_not_a_recording(self, tmp_path: Path, content: bytes | None, kind: str, words: str) -> None:
        if content is not None:
            (tmp_path / "a.wav").write_bytes(content)
        (finding,) = _of_clip(tmp_path / "a.wav")
        assert (finding.severity, finding.kind, finding.clips) == ("error", kind, ("a.wav",))
        assert words in finding.message

    def test_no_samples(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "a.wav", np.zeros(0), RATE)
        (finding,) = _of_clip(tmp_path / "a.wav")
        assert (finding.severity, finding.kind) == ("error", "empty")

    def test_cut_short(self, tmp_path: Path, noise: Callable[..., np.ndarray]) -> None:
        soundfile.write(tmp_path / "a.wav", noise(), RATE)
        (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-100])
        (finding,) = _of_clip(tmp_path / "a.wav")
        assert (finding.severity, finding.kind) == ("error", "truncated")
        assert "100 of 16000 bytes" in finding.message

    @pytest.mark.parametrize(("peak", "silent"), [(0.0, True), (0.99e-4, True), (1.01e-4, False)])
    def test_silent_below_minus_80_dbfs(self, tmp_path: Path, peak: float, silent: bool) -> None:
        samples = np.zeros(RATE, np.float32)
        samples[5] = -peak
        soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
        assert [finding.kind for finding in _of_clip(tmp_path / "a.wav")] == ["silent"] * silent

    @pytest.mark.parametrize(("full", "clipped"), [(8, False), (9, True)])
    def test_clipped_above_a_thousandth_at_full_scale(
        self, tmp_path: Path, noise: Callable[..., np.ndarray], full: int, clipped: bool
    ) -> None:
        samples = noise()
        samples[:full] = -1.0
        soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="PCM_16")
        findings = _of_clip(tmp_path / "a.wav")
        assert [(finding.severity, finding.kind) for finding in findings] == [("warning", "clipped")] * clipped

    @pytest.mark.parametrize(("seconds", "short"), [(0.5, False), (0.499, True)])
    def test_too_short_below_half_a_window(
        self, tmp_path: Path, noise: Callable[..., np.ndarray], seconds: float, short: bool
    ) -> None:
        soundfile.write(tmp_path / "a.wav", noise(seconds), RATE)
        assert [finding.kind for finding in _of_clip(tmp_path / "a.wav")] == ["too short"] * short

    def test_measures(self, tmp_path: Path, noise: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
        stereo = np.stack([noise(2.5, 0.25), noise(2.5, 0.75)], axis=1)
        soundfile.write(tmp_path / "a.wav", stereo, RATE, subtype="PCM_16")
        whole = recording_stats(tmp_path / "a.wav")
        assert (whole.seconds, whole.clipped) == (2.5, 0.0)
        assert whole.peak == pytest.approx(0.75, abs=1e-4)
        monkeypatch.setattr(recordings, "MAX_BLOCK_SECONDS", 1)
        pieces = recording_stats(tmp_path / "a.wav")
        assert (pieces.digest, pieces.peak) == (whole.digest, whole.peak)

    def test_digest_is_of_samples_rate_and_channels(self, tmp_path: Path, noise: Callable[..., np.ndarray]) -> None:
        samples = np.round(noise() * 32767).astype(np.int16)
        soundfile.write(tmp_path / "a.wav", samples, RATE)
        soundfile.write(tmp_path / "b.flac", samples, RATE)
        soundfile.write(tmp_path / "rate.wav", samples, 2 * RATE)
        soundfile.write(tmp_path / "stereo.wav", samples.reshape(-1, 2), RATE)
        digests = [recording_stats(tmp_path / name).digest for name in ("a.wav", "b.flac", "rate.wav", "stereo.wav")]
        assert digests[0] == digests[1]
        assert len(set(digests)) == 3


class TestDuplicates:
    @pytest.fixture
    def root(self, tmp_path: Path, noise: Callable[..., np.ndarray]) -> Path:
        samples = np.round(noise() * 32767).astype(np.int16)
        for name in ("a.wav", "b.wav", "c.flac"):
            soundfile.write(tmp_path / name, samples, RATE)
        for name in ("d.wav", "e.wav"):
            soundfile.write(tmp_path / name, noise(), RATE, subtype="PCM_16")
        return tmp_path

    def _only(self, table: ClipTable, split: Split | None = None) -> Finding:
        (finding,) = (finding for finding in audit(table, 1.0, split) if finding.kind == "duplicate")
        return finding

    def test_of_one_class(self, root: Path) -> None:
        rows = {"a.wav": ("x", "1"), "c.flac": ("x", "2"), "d.wav": ("y", "3"), "e.wav": ("y", "4")}
        finding = self._only(_table(root, rows))
        assert (finding.severity, finding.clips) == ("warning", ("a.wav", "c.flac"))

    def test_with_two_labels(self, root: Path) -> None:
        rows = {"a.wav": ("x", "1"), "b.wav": ("y", "2")}
        finding = self._only(_table(root, rows))
        assert finding.severity == "error"
        assert finding.message == "a.wav, b.wav: the same samples under the labels x, y; keep one"

    def test_on_two_sides(self, root: Path) -> None:
        table = _table(root, {"a.wav": ("x", "1"), "b.wav": ("x", "2"), "d.wav": ("y", "3"), "e.wav": ("y", "4")})
        a, b, d, e = table.clips
        finding = self._only(table, Split((a, d), (), (b, e), ""))
        assert finding.severity == "error"
        assert "in train and test" in finding.message
        assert self._only(table, Split((a, b, d), (), (e,), "")).severity == "warning"

    def test_on_two_folds(self, root: Path) -> None:
        clips = tuple(Clip(root / f"{n}.wav", f"{n}.wav", "x", n, fold) for n, fold in (("a", "1"), ("b", "2")))
        finding = self._only(ClipTable(root, "test", clips))
        assert finding.severity == "error"
        assert "in fold 1 and fold 2" in finding.message

    def test_silence_is_not_a_duplicate(self, tmp_path: Path) -> None:
        for name in ("a.wav", "b.wav"):
            soundfile.write(tmp_path / name, np.zeros(RATE), RATE)
        findings = audit(_table(tmp_path, {"a.wav": ("x", "1"), "b.wav": ("y", "2")}), 1.0)
        assert [finding.kind for finding in findings if finding.clips] == ["silent", "silent"]


class TestGroups:
    @pytest.fixture
    def clip(self, tmp_path: Path, noise: Callable[..., np.ndarray]) -> Callable[..., Clip]:
        def make(name: str, group: str, fold: str | None = None, split: str | None = None) -> Clip:
            soundfile.write(tmp_path / name, noise(), RATE)
            return Clip(tmp_path / name, name, name[0], group, fold, split)

        return make

    def _shared(self, clips: tuple[Clip, ...], split: Split | None = None) -> list[Finding]:
        table = ClipTable(Path(), "test", clips)
        return [finding for finding in audit(table, 1.0, split) if finding.kind == "shared group"]

    def test_on_both_sides_of_a_split(self, clip: Callable[..., Clip]) -> None:
        a, b, c = clip("a.wav", "g"), clip("b.wav", "h"), clip("c.wav", "g")
        (finding,) = self._shared((a, b, c), Split((a, b), (), (c,), ""))
        assert (finding.severity, finding.clips) == ("error", ("a.wav", "c.wav"))
        assert finding.message.startswith("1 group (g) in train and in test")
        assert self._shared((a, b, c), Split((a, c), (), (b,), "")) == []

    def test_in_two_folds(self, clip: Callable[..., Clip]) -> None:
        clips = clip("a.wav", "g", "1"), clip("b.wav", "h", "2"), clip("c.wav", "g", "3")
        (finding,) = self._shared(clips)
        assert "in fold 1 and in fold 3" in finding.message

    def test_in_the_data_s_own_split(self, clip: Callable[..., Clip]) -> None:
        clips = clip("a.wav", "g", split="train"), clip("b.wav", "g", split="validation"), clip("c.wav", "g")
        (finding,) = self._shared(clips)
        assert "in train and in validation" in finding.message


def test_classes_with_few_clips_and_imbalance(tmp_path: Path, noise: Callable[..., np.ndarray]) -> None:
    names = [f"{i:02d}.wav" for i in range(101)]
    for name in names:
        soundfile.write(tmp_path / name, noise(0.01), RATE)
    rows = {name: ("few" if i < 9 else "many", name) for i, name in enumerate(names)}
    findings = audit(_table(tmp_path, rows), 0.01, workers=1)
    assert [(finding.severity, finding.kind) for finding in findings] == [
        ("warning", "few clips"),
        ("warning", "imbalance"),
        ("warning", "labels not compared"),
    ]
    assert "'few' has 9 clips" in findings[0].message
    assert "'many' has 92 clips and 'few' 9" in findings[1].message
    rows["09.wav"] = ("few", "09.wav")
    assert {finding.kind for finding in audit(_table(tmp_path, rows), 0.01, workers=1)} == {"labels not compared"}


def test_processes_give_the_same_findings_and_errors_come_first(
    tmp_path: Path, noise: Callable[..., np.ndarray]
) -> None:
    names = [f"{i:02d}.wav" for i in range(20)]
    for name in names:
        soundfile.write(tmp_path / name, noise(0.1), RATE)
    soundfile.write(tmp_path / "02.wav", np.zeros(800), RATE)
    (tmp_path / "17.wav").write_bytes(b"")
    table = _table(tmp_path, {name: ("xy"[i % 2], name) for i, name in enumerate(names)})
    findings = audit(table, 0.1, workers=2)
    assert findings == audit(table, 0.1, workers=1)
    assert [(finding.severity, finding.clips) for finding in findings] == [
        ("error", ("17.wav",)),
        ("warning", ("02.wav",)),
        ("warning", ()),
    ]


def test_real_tau_clips_are_sound(tau: Path) -> None:
    paths = sorted((tau / "clips").glob("*.flac"))
    table = ClipTable(tau, "test", tuple(Clip(p, p.name, p.name.split("-")[0], p.name) for p in paths))
    assert len(paths) == 25
    assert [
        f for f in audit(table, 10.0, workers=1) if f.kind not in ("few clips", "clipped", "labels not compared")
    ] == []
