"""Findings of the check that take more than one look: near-duplicates, doubted labels, traits of the recording."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from scenelet.cli import main
from scenelet.data.audit.audit import audit
from scenelet.data.audit.findings import Finding
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.load import load_table
from scenelet.data.splits import Split
from scenelet.data.synthetic.dataset import write_synthetic_dataset

RATE = 8000
Make = Callable[..., Clip]


@pytest.fixture
def make(tmp_path: Path, rng: np.random.Generator) -> Make:
    """A recording, of noise unless samples (n,) or (n, channels) are given."""

    def clip(
        name: str, label: str = "x", samples: np.ndarray | None = None, rate: int = RATE, fold: str | None = None
    ) -> Clip:
        sound = 0.1 * rng.standard_normal(2 * rate) if samples is None else samples
        soundfile.write(tmp_path / name, sound, rate)
        return Clip(tmp_path / name, name, label, name, fold)

    return clip


def _of(kind: str, *clips: Clip, split: Split | None = None) -> list[Finding]:
    table = ClipTable(Path(), "test", clips)
    return [finding for finding in audit(table, 1.0, split, workers=1) if finding.kind.startswith(kind)]


class TestOneRecording:
    @pytest.mark.parametrize(("mean", "found"), [(0.009, False), (0.011, True), (-0.2, True)])
    def test_offset_of_a_tone(self, make: Make, mean: float, found: bool) -> None:
        tone = 0.3 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE) + mean
        findings = _of("offset", make("a.wav", samples=tone))
        assert len(findings) == found
        assert not found or f"its mean is {mean:+.3f} of full scale" in findings[0].message

    def test_a_short_sound_has_no_offset(self, make: Make) -> None:
        assert _of("offset", make("a.wav", samples=np.full(3999, 0.3) + 0.1 * (np.arange(3999) % 2))) == []

    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            ("n0", "its right channel holds only one value"),
            ("0n", "its left channel holds only one value"),
            ("1", "it holds only one value"),
        ],
    )
    def test_constant(self, make: Make, rng: np.random.Generator, columns: str, words: str) -> None:
        of = {"n": 0.1 * rng.standard_normal(RATE), "0": np.zeros(RATE), "1": np.full(RATE, 0.5)}
        (finding,) = _of("constant", make("a.wav", samples=np.stack([of[c] for c in columns], axis=1)))
        assert words in finding.message
        assert _of("offset", make("a.wav", samples=np.full((RATE, 1), 0.5))) == []

    def test_dual_mono(self, make: Make, rng: np.random.Generator) -> None:
        mono = 0.1 * rng.standard_normal(RATE)
        other = mono.copy()
        other[-1] += 0.01
        is_dual_mono, stereo = (
            make("a.wav", samples=np.stack([mono, mono], 1)),
            make("b.wav", samples=np.stack([mono, other], 1)),
        )
        (finding,) = _of("dual mono", is_dual_mono, stereo)
        assert finding.clips == ("a.wav",)

    def test_band_limited(self, make: Make, rng: np.random.Generator) -> None:
        samples = soxr.resample(0.1 * rng.standard_normal(22050), 11025, 44100)
        (finding,) = _of("band-limited", make("a.wav", samples=samples, rate=44100), make("b.wav", rate=44100))
        assert finding.clips == ("a.wav",)
        assert "as if recorded at 11025 Hz" in finding.message


class TestTellsTheClass:
    def test_a_rate_that_goes_with_a_class(self, make: Make) -> None:
        clips = [
            make(f"{label}{i}.wav", label, rate=rate) for label, rate in (("x", 8000), ("y", 16000)) for i in range(5)
        ]
        (finding,) = _of("reveals the class", *clips)
        assert "have a sample rate of 16000 Hz, and 0 of the 5 others" in finding.message
        assert _of("reveals the class", *clips[:4], *clips[5:9]) == []  # too few to say so
        mixed = [make(f"z{i}.wav", "xy"[i % 2], rate=(8000, 16000)[i // 5]) for i in range(10)]
        assert _of("reveals the class", *mixed) == []

    def test_a_band_limit_that_goes_with_a_class(self, make: Make, rng: np.random.Generator) -> None:
        narrow = [
            make(f"x{i}.wav", "x", soxr.resample(0.1 * rng.standard_normal(8000), 8000, 32000), 32000) for i in range(5)
        ]
        (finding,) = _of("reveals the class", *narrow, *(make(f"y{i}.wav", "y", rate=32000) for i in range(5)))
        assert finding.clips == tuple(clip.name for clip in narrow)
        assert "hold no sound above about 4.0 kHz" in finding.message


class TestNearDuplicates:
    @pytest.fixture
    def pair(self, make: Make, rng: np.random.Generator) -> tuple[Clip, Clip]:
        sound = 0.1 * rng.standard_normal(3 * RATE)
        return make("a.wav", samples=sound, fold="1"), make("b.flac", samples=0.3 * sound[1000:], fold="2")

    def test_across_folds(self, make: Make, pair: tuple[Clip, Clip]) -> None:
        (finding,) = _of("near duplicate", *pair, make("c.wav", fold="2"))
        assert (finding.severity, finding.kind) == ("warning", "near duplicate across subsets")
        assert finding.clips == ("a.wav", "b.flac")
        assert "in fold 1 and fold 2; keep one" in finding.message

    def test_on_one_side_or_two_of_a_split(self, make: Make, pair: tuple[Clip, Clip]) -> None:
        a, b, c = *pair, make("c.wav")
        (same,) = _of("near duplicate", a, b, c, split=Split((a, b), (), (c,), ""))
        assert same.kind == "near duplicate"
        (across,) = _of("near duplicate", a, b, c, split=Split((a, c), (), (b,), ""))
        assert across.kind == "near duplicate across subsets"

    def test_three_of_one_are_one_finding(self, make: Make, pair: tuple[Clip, Clip], rng: np.random.Generator) -> None:
        samples, _ = soundfile.read(pair[0].path)
        third = make("c.wav", "y", 0.5 * samples + 0.001 * rng.standard_normal(len(samples)), fold="1")
        (finding,) = _of("near duplicate", *pair, third)
        assert finding.clips == ("a.wav", "b.flac", "c.wav")
        assert "under the labels x, y" in finding.message

    def test_the_same_samples_are_said_once(self, make: Make) -> None:
        sound = np.round(3000 * np.random.default_rng(1).standard_normal(2 * RATE)).astype(np.int16)
        clips = make("a.wav", samples=sound), make("b.wav", samples=sound)
        assert [finding.kind for finding in _of("", *clips) if len(finding.clips) == 2] == ["duplicate"]


class TestLabels:
    @pytest.fixture(scope="class")
    @classmethod
    def scenes(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Made scenes with two labels changed."""
        folder = write_synthetic_dataset(tmp_path_factory.mktemp("synthetic") / "scenes", 3, 1, 10, 2, 1.0, workers=1)
        rows = list(csv.DictReader((folder / "scenes.csv").read_text().splitlines()))
        labels = sorted({row["label"] for row in rows})
        for place in (4, 15):
            rows[place]["label"] = labels[(labels.index(rows[place]["label"]) + 1) % 3]
        lines = ["filename,label,group,split"]
        lines += [",".join(row[key] for key in ("filename", "label", "group", "split")) for row in rows]
        (folder / "scenes.csv").write_text("\n".join(lines) + "\n")
        return folder

    def test_planted_labels_are_doubted(self, scenes: Path) -> None:
        table = load_table(scenes)
        doubted = [finding for finding in audit(table, 1.0, workers=1) if finding.kind == "label"]
        planted = {table_clip.name for table_clip in table.clips if table_clip.label not in table_clip.name}
        assert len(planted) == 2
        assert planted <= {name for finding in doubted[:4] for name in finding.clips}
        scores = [finding.score for finding in doubted]
        assert scores == sorted(scores, key=lambda score: -(score or 0))
        assert "to the others" in doubted[0].message
        fewer = audit(table, 1.0, workers=1, max_label_issues=1, again=False)
        assert len([f for f in fewer if f.kind == "label"]) == 1
        (rest,) = [f for f in fewer if f.kind == "more labels"]
        assert rest.message.startswith(f"{len(rest.clips)} more label")
        assert f"`scenelet check --max-label-issues {len(rest.clips) + 1}` lists all" in rest.message

    def test_a_side_that_is_held_out_is_not_looked_at(self, scenes: Path) -> None:
        table = load_table(scenes)
        clips = table.clips
        halves = Split(clips[::2], (), clips[1::2], "")
        looked = [f for f in audit(table, 1.0, halves, 1, held_out=True, again=False) if f.kind.startswith("label")]
        test = {clip.name for clip in halves.test}
        assert looked
        assert not any(test & set(finding.clips) for finding in looked)

    def test_the_command_caps_them(
        self, scenes: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        command = ["scenelet", "check", str(scenes), "--max-label-issues", "1", "--format", "json", "--workers", "1"]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        findings = json.loads(capfd.readouterr().out)["findings"]
        (doubted,) = (finding for finding in findings if finding["kind"] == "label")
        assert 0.75 <= doubted["score"] <= 1
