"""Findings of an audit: errors, duplicates, near-duplicates, shared groups, label errors and class sizes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.data_sets import mislabeled_scenes
from scenelet.data.audit import audit as audit_module
from scenelet.data.audit.audit import audit
from scenelet.data.audit.findings import Finding
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.load import load_table
from scenelet.data.splits import Split

RATE = 8000
MakeClip = Callable[..., Clip]
MakeNoise = Callable[..., np.ndarray]


def _audit(kind: str, *clips: Clip, split: Split | None = None) -> list[Finding]:
    """Audit the clips and return the findings whose kind starts with `kind`."""
    table = ClipTable(Path(), "test", clips)
    return [finding for finding in audit(table, 1.0, split, workers=1) if finding.kind.startswith(kind)]


def _clip_findings(*clips: Clip) -> list[Finding]:
    """Audit the clips and return the findings that name clips."""
    return [finding for finding in _audit("", *clips) if finding.clips]


class TestRecordings:
    def test_audit_good_recording_has_no_finding(self, make_clip: MakeClip, noise: MakeNoise) -> None:
        assert _clip_findings(make_clip("a.wav", samples=noise())) == []

    @pytest.mark.parametrize(
        ("content", "kind", "words"),
        [
            (b"", "empty", "the file is empty"),
            (b"not audio", "unreadable", "not a recording that can be read"),
            (None, "unreadable", "no such file"),
        ],
    )
    def test_audit_unreadable_recording_is_an_error(
        self, tmp_path: Path, content: bytes | None, kind: str, words: str
    ) -> None:
        if content is not None:
            (tmp_path / "a.wav").write_bytes(content)
        (finding,) = _clip_findings(Clip(tmp_path / "a.wav", "a.wav", "x", "g"))
        assert (finding.severity, finding.kind, finding.clips) == ("error", kind, ("a.wav",))
        assert words in finding.message

    def test_audit_truncated_recording_is_an_error(self, make_clip: MakeClip, noise: MakeNoise) -> None:
        clip = make_clip("a.wav", samples=noise())
        clip.path.write_bytes(clip.path.read_bytes()[:-2000])
        (finding,) = _clip_findings(clip)
        assert (finding.severity, finding.kind) == ("error", "truncated")

    def test_audit_reports_recordings_and_their_traits(self, make_clip: MakeClip, noise: MakeNoise) -> None:
        clips = make_clip("a.wav", samples=np.stack([noise()] * 2, axis=1)), make_clip("b.wav", samples=noise(0.1))
        assert [(f.kind, f.clips) for f in _clip_findings(*clips)] == [
            ("too short", ("b.wav",)),
            ("dual mono", ("a.wav",)),
        ]

    def test_audit_two_processes_give_equal_findings(self, tmp_path: Path, noise: MakeNoise) -> None:
        names = [f"{i:02d}.wav" for i in range(20)]
        for name in names:
            soundfile.write(tmp_path / name, noise(0.1), RATE)
        soundfile.write(tmp_path / "02.wav", np.zeros(800), RATE)
        (tmp_path / "17.wav").write_bytes(b"")
        clips = tuple(Clip(tmp_path / name, name, "xy"[i % 2], name) for i, name in enumerate(names))
        table = ClipTable(tmp_path, "test", clips)
        findings = audit(table, 0.1, workers=2)
        assert findings == audit(table, 0.1, workers=1)
        assert [(finding.severity, finding.clips) for finding in findings] == [
            ("error", ("17.wav",)),
            ("warning", ("02.wav",)),
            ("warning", ()),
        ]

    def test_audit_real_tau_clips_have_no_fault(self, tau: Path) -> None:
        paths = sorted((tau / "clips").glob("*.flac"))
        table = ClipTable(tau, "test", tuple(Clip(p, p.name, p.name.split("-")[0], p.name) for p in paths))
        assert len(paths) == 25
        kinds = {finding.kind for finding in audit(table, 10.0, workers=1)}
        assert kinds <= {"few clips", "clipped", "labels not compared"}


class TestDuplicates:
    @pytest.fixture
    def samples(self, noise: MakeNoise) -> np.ndarray:
        return np.round(noise() * 32767).astype(np.int16)

    def test_audit_duplicate_of_one_class_is_a_warning(self, make_clip: MakeClip, samples: np.ndarray) -> None:
        clips = make_clip("a.wav", "x", samples), make_clip("c.flac", "x", samples), make_clip("d.wav", "y")
        (finding,) = _audit("duplicate", *clips)
        assert (finding.severity, finding.clips) == ("warning", ("a.wav", "c.flac"))

    def test_audit_duplicate_with_two_labels_is_an_error(self, make_clip: MakeClip, samples: np.ndarray) -> None:
        (finding,) = _audit("duplicate", make_clip("a.wav", "x", samples), make_clip("b.wav", "y", samples))
        assert finding.severity == "error"
        assert finding.message == "a.wav, b.wav: the same samples under the labels x, y; keep one"

    def test_audit_duplicate_in_two_subsets_is_an_error(self, make_clip: MakeClip, samples: np.ndarray) -> None:
        a, b = make_clip("a.wav", "x", samples), make_clip("b.wav", "x", samples)
        d, e = make_clip("d.wav", "y"), make_clip("e.wav", "y")
        (across,) = _audit("duplicate", a, b, d, e, split=Split((a, d), (), (b, e), ""))
        assert across.severity == "error"
        assert "in train and test" in across.message
        (within,) = _audit("duplicate", a, b, d, e, split=Split((a, b, d), (), (e,), ""))
        assert within.severity == "warning"

    def test_audit_duplicate_in_two_folds_is_an_error(self, make_clip: MakeClip, samples: np.ndarray) -> None:
        clips = make_clip("a.wav", samples=samples, fold="1"), make_clip("b.wav", samples=samples, fold="2")
        (finding,) = _audit("duplicate", *clips)
        assert finding.severity == "error"
        assert "in fold 1 and fold 2" in finding.message

    def test_audit_silent_recordings_are_not_duplicates(self, make_clip: MakeClip) -> None:
        clips = make_clip("a.wav", "x", np.zeros(RATE)), make_clip("b.wav", "y", np.zeros(RATE))
        assert [finding.kind for finding in _clip_findings(*clips)] == ["silent", "silent"]

    def test_audit_duplicate_is_not_a_near_duplicate_too(self, make_clip: MakeClip, samples: np.ndarray) -> None:
        clips = make_clip("a.wav", samples=samples), make_clip("b.wav", samples=samples)
        assert [finding.kind for finding in _clip_findings(*clips)] == ["duplicate"]


class TestNearDuplicates:
    @pytest.fixture
    def pair(self, make_clip: MakeClip, rng: np.random.Generator) -> tuple[Clip, Clip]:
        """A clip, and a later and quieter part of it in another fold."""
        sound = 0.1 * rng.standard_normal(3 * RATE)
        return make_clip("a.wav", samples=sound, fold="1"), make_clip("b.flac", samples=0.3 * sound[1000:], fold="2")

    def test_audit_near_duplicate_across_folds_names_both(self, make_clip: MakeClip, pair: tuple[Clip, Clip]) -> None:
        (finding,) = _audit("near duplicate", *pair, make_clip("c.wav", fold="2"))
        assert (finding.severity, finding.kind) == ("warning", "near duplicate across subsets")
        assert finding.clips == ("a.wav", "b.flac")
        assert "in fold 1 and fold 2; keep one" in finding.message

    def test_audit_near_duplicate_kind_depends_on_subsets(self, make_clip: MakeClip, pair: tuple[Clip, Clip]) -> None:
        a, b, c = *pair, make_clip("c.wav")
        (within,) = _audit("near duplicate", a, b, c, split=Split((a, b), (), (c,), ""))
        assert within.kind == "near duplicate"
        (across,) = _audit("near duplicate", a, b, c, split=Split((a, c), (), (b,), ""))
        assert across.kind == "near duplicate across subsets"

    @pytest.mark.parametrize(
        ("second", "count"),
        [({}, 0), ({"device": "a"}, 1), ({"device": None}, 1), ({"group": "h"}, 1), ({"label": "y"}, 1)],
    )
    def test_audit_two_devices_of_a_group_are_no_near_duplicates(
        self, pair: tuple[Clip, Clip], second: dict[str, str | None], count: int
    ) -> None:
        a, b = (replace(clip, group="g", fold=None, device=device) for clip, device in zip(pair, "ab", strict=True))
        assert len(_audit("near duplicate", a, replace(b, **second))) == count

    def test_audit_three_near_duplicates_are_one_finding(
        self, make_clip: MakeClip, pair: tuple[Clip, Clip], rng: np.random.Generator
    ) -> None:
        samples, _ = soundfile.read(pair[0].path)
        noisy = make_clip("c.wav", "y", 0.5 * samples + 0.001 * rng.standard_normal(len(samples)), fold="1")
        (finding,) = _audit("near duplicate", *pair, noisy)
        assert finding.clips == ("a.wav", "b.flac", "c.wav")
        assert "under the labels x, y" in finding.message


class TestGroups:
    def test_audit_group_in_train_and_test_is_an_error(self, make_clip: MakeClip) -> None:
        a, b, c = make_clip("a.wav", group="g"), make_clip("b.wav", group="h"), make_clip("c.wav", group="g")
        (finding,) = _audit("shared group", a, b, c, split=Split((a, b), (), (c,), ""))
        assert (finding.severity, finding.clips) == ("error", ("a.wav", "c.wav"))
        assert finding.message.startswith("1 group (g) in train and in test")
        assert _audit("shared group", a, b, c, split=Split((a, c), (), (b,), "")) == []

    def test_audit_group_in_two_folds_is_an_error(self, make_clip: MakeClip) -> None:
        groups = {"a.wav": ("g", "1"), "b.wav": ("h", "2"), "c.wav": ("g", "3")}
        (finding,) = _audit("shared group", *(make_clip(n, group=g, fold=f) for n, (g, f) in groups.items()))
        assert "in fold 1 and in fold 3" in finding.message

    def test_audit_group_divided_by_the_data_is_an_error(self, make_clip: MakeClip) -> None:
        splits = {"a.wav": "train", "b.wav": "validation", "c.wav": None}
        (finding,) = _audit("shared group", *(make_clip(n, group="g", split=s) for n, s in splits.items()))
        assert "in train and in validation" in finding.message


class TestClasses:
    @pytest.mark.parametrize("rare", [9, 10])
    def test_audit_class_under_ten_clips_is_reported(self, tmp_path: Path, noise: MakeNoise, rare: int) -> None:
        names = [f"{i:03d}.wav" for i in range(101)]
        for name in names:
            soundfile.write(tmp_path / name, noise(0.01), RATE)
        clips = tuple(Clip(tmp_path / n, n, "few" if i < rare else "many", n) for i, n in enumerate(names))
        findings = audit(ClipTable(tmp_path, "test", clips), 0.01, workers=1)
        kinds = [(finding.severity, finding.kind) for finding in findings]
        if rare == 10:
            assert kinds == [("warning", "labels not compared")]
            return
        assert kinds == [("warning", kind) for kind in ("few clips", "imbalance", "labels not compared")]
        assert "'few' has 9 clips" in findings[0].message
        assert "'many' has 92 clips and 'few' 9" in findings[1].message


class TestLabels:
    @pytest.fixture(scope="class")
    @classmethod
    def scenes(cls, tmp_path_factory: pytest.TempPathFactory) -> ClipTable:
        return load_table(mislabeled_scenes(tmp_path_factory.mktemp("synthetic")))

    def test_audit_wrong_labels_come_first(self, scenes: ClipTable) -> None:
        doubted = [finding for finding in audit(scenes, 1.0, workers=1) if finding.kind == "label"]
        wrong = {clip.name for clip in scenes.clips if clip.label not in clip.name}
        assert len(wrong) == 2
        assert wrong <= {name for finding in doubted[:4] for name in finding.clips}
        scores = [finding.score or 0 for finding in doubted]
        assert scores == sorted(scores, reverse=True)
        assert min(scores) >= 0.75
        assert "a classifier of the other clips answers" in doubted[0].message

    def test_audit_max_label_issues_limits_the_list(self, scenes: ClipTable) -> None:
        findings = audit(scenes, 1.0, workers=1, max_label_issues=1, refresh=False)
        assert len([finding for finding in findings if finding.kind == "label"]) == 1
        (rest,) = (finding for finding in findings if finding.kind == "more labels")
        assert rest.message.startswith(f"{len(rest.clips)} more label")
        assert f"`scenelet check --max-label-issues {len(rest.clips) + 1}` lists all" in rest.message

    @pytest.mark.parametrize(("limit", "expected"), [(10, True), (100_000, False)])
    def test_audit_says_if_the_classifier_learns_from_some(
        self,
        scenes: ClipTable,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        limit: int,
        expected: bool,
    ) -> None:
        monkeypatch.setattr(audit_module, "MAX_TRAINING_CLIPS", limit)
        audit(scenes, 1.0, workers=1, refresh=False)
        assert (f"learns from at most {limit:,} of the clips" in capsys.readouterr().err) == expected

    def test_audit_held_out_clips_are_not_doubted(self, scenes: ClipTable) -> None:
        halves = Split(scenes.clips[::2], (), scenes.clips[1::2], "")
        findings = audit(scenes, 1.0, halves, 1, held_out=True, refresh=False)
        compared = [finding for finding in findings if finding.kind.startswith("label")]
        test = {clip.name for clip in halves.test}
        assert compared
        assert not any(test & set(finding.clips) for finding in compared)
