"""Findings about one recording, and about traits of recordings that reveal the class."""

from collections.abc import Callable

import numpy as np
import pytest
import soxr

from scenelet.data.audit.findings import Finding, background_note, recording_findings, trait_findings
from scenelet.data.audit.statistics import recording_stats
from scenelet.data.clips import Clip

RATE = 8000
MakeClip = Callable[..., Clip]
MakeNoise = Callable[..., np.ndarray]


def _recording_findings(clip: Clip) -> list[Finding]:
    return list(recording_findings(clip, recording_stats(clip.path)))


def _trait_findings(*clips: Clip, window_seconds: float = 1.0) -> list[Finding]:
    return list(trait_findings({clip: recording_stats(clip.path) for clip in clips}, window_seconds))


def _kinds(findings: list[Finding]) -> list[str]:
    assert all(finding.severity == "warning" for finding in findings)
    return [finding.kind for finding in findings]


class TestRecordingFindings:
    def test_recording_findings_good_recording_has_none(self, make_clip: MakeClip, noise: MakeNoise) -> None:
        clip = make_clip("a.wav", samples=noise())
        assert _recording_findings(clip) == _trait_findings(clip) == []

    @pytest.mark.parametrize(("peak", "silent"), [(0.0, True), (0.99e-4, True), (1.01e-4, False)])
    def test_recording_findings_peak_under_limit_is_silent(
        self, make_clip: MakeClip, peak: float, silent: bool
    ) -> None:
        samples = np.zeros(RATE, np.float32)
        samples[5] = -peak
        assert _kinds(_recording_findings(make_clip("a.wav", samples=samples, subtype="FLOAT"))) == ["silent"] * silent

    @pytest.mark.parametrize(("full_scale", "clipped"), [(8, False), (9, True)])
    def test_recording_findings_over_a_thousandth_is_clipped(
        self, make_clip: MakeClip, noise: MakeNoise, full_scale: int, clipped: bool
    ) -> None:
        samples = noise()
        samples[:full_scale] = -1.0
        clip = make_clip("a.wav", samples=samples, subtype="PCM_16")
        assert _kinds(_recording_findings(clip)) == ["clipped"] * clipped

    @pytest.mark.parametrize(("mean", "found"), [(0.009, False), (0.011, True), (-0.2, True)])
    def test_recording_findings_mean_over_limit_is_offset(self, make_clip: MakeClip, mean: float, found: bool) -> None:
        tone = 0.3 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE) + mean
        findings = _recording_findings(make_clip("a.wav", samples=tone))
        assert _kinds(findings) == ["offset"] * found
        assert not found or f"its mean is {mean:+.3f} of full scale" in findings[0].message

    def test_recording_findings_short_sound_has_no_offset(self, make_clip: MakeClip) -> None:
        samples = np.full(3999, 0.3) + 0.1 * (np.arange(3999) % 2)
        assert "offset" not in _kinds(_recording_findings(make_clip("a.wav", samples=samples)))

    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            ("n0", "its right channel holds only one value"),
            ("0n", "its left channel holds only one value"),
            ("1", "it holds only one value"),
            ("nn0n", "its 3. channel holds only one value"),
        ],
    )
    def test_recording_findings_equal_samples_are_constant(
        self, make_clip: MakeClip, noise: MakeNoise, columns: str, words: str
    ) -> None:
        channels = {"n": noise(), "0": np.zeros(RATE), "1": np.full(RATE, 0.5)}
        clip = make_clip("a.wav", samples=np.stack([channels[column] for column in columns], axis=1))
        (finding,) = _recording_findings(clip)
        assert finding.kind == "constant"
        assert words in finding.message

    def test_recording_findings_odd_header_is_a_warning(self, make_clip: MakeClip, noise: MakeNoise) -> None:
        clip = make_clip("a.wav", samples=noise(), subtype="PCM_16")
        data = clip.path.read_bytes()
        size = data.index(b"data") + 4
        clip.path.write_bytes(data[:size] + bytes(4) + data[size + 4 :])
        (finding,) = _recording_findings(clip)
        assert (finding.kind, finding.clips) == ("odd header", ("a.wav",))
        assert "its header states 0 bytes of sound" in finding.message


class TestTraitFindings:
    def test_trait_findings_under_half_a_window_is_short(self, make_clip: MakeClip, noise: MakeNoise) -> None:
        lengths = {"a.wav": 0.5, "b.wav": 0.499, "c.wav": 0.3}
        clips = [make_clip(name, samples=noise(seconds)) for name, seconds in lengths.items()]
        (finding,) = _trait_findings(*clips)
        assert (finding.kind, finding.clips) == ("too short", ("b.wav", "c.wav"))
        assert finding.message.startswith("2 clips (b.wav, c.wav): at most 0.50 s, less than half of the 1 s window")

    @pytest.mark.parametrize(("correlation", "found"), [(-1.0, True), (-0.9, True), (-0.7, False), (1.0, False)])
    def test_trait_findings_cancelling_channels_are_antiphase(
        self, make_clip: MakeClip, rng: np.random.Generator, correlation: float, found: bool
    ) -> None:
        left, other = 0.1 * rng.standard_normal((2, RATE))
        right = correlation * left + np.sqrt(1 - correlation**2) * other
        findings = _trait_findings(make_clip("a.wav", samples=np.stack([left, right], axis=1)))
        assert [f.kind for f in findings if f.kind != "dual mono"] == ["antiphase"] * found

    def test_trait_findings_equal_channels_are_dual_mono(self, make_clip: MakeClip, noise: MakeNoise) -> None:
        left = noise()
        right = left.copy()
        right[-1] += 0.01
        dual_mono = make_clip("a.wav", samples=np.stack([left, left], axis=1))
        stereo = make_clip("b.wav", samples=np.stack([left, right], axis=1))
        (finding,) = _trait_findings(dual_mono, stereo)
        assert (finding.kind, finding.clips) == ("dual mono", ("a.wav",))

    def test_trait_findings_upsampled_is_band_limited(self, make_clip: MakeClip, rng: np.random.Generator) -> None:
        samples = soxr.resample(0.1 * rng.standard_normal(22050), 11025, 44100)
        clips = make_clip("a.wav", samples=samples, rate=44100), make_clip("b.wav", rate=44100)
        (finding,) = _trait_findings(*clips)
        assert (finding.kind, finding.clips) == ("band-limited", ("a.wav",))
        assert "no sound above about 5.5 kHz (1)" in finding.message
        assert "resample all clips to 11025 Hz" in finding.message

    def test_trait_findings_few_band_limited_clips_have_one_advice(
        self, make_clip: MakeClip, rng: np.random.Generator
    ) -> None:
        clips = [make_clip(f"{i}.wav", rate=44100) for i in range(8)]
        for rate in (8000, 11025):
            samples = soxr.resample(0.1 * rng.standard_normal(2 * rate), rate, 44100)
            clips.append(make_clip(f"low{rate}.wav", samples=samples, rate=44100))
        (finding,) = _trait_findings(*clips)
        assert "above about 4.0 kHz (1), 5.5 kHz (1)" in finding.message
        assert "find the originals, or leave these clips out" in finding.message
        assert "resample" not in finding.message

    def test_trait_findings_rate_of_one_class_reveals_it(self, make_clip: MakeClip) -> None:
        clips = [make_clip(f"x{i}.wav", "x", rate=8000) for i in range(5)]
        clips += [make_clip(f"y{i}.wav", "y", rate=16000) for i in range(5)]
        (finding,) = _trait_findings(*clips)
        assert finding.kind == "reveals the class"
        assert "have a sample rate of 16000 Hz, and 0 of the 5 others" in finding.message

    def test_trait_findings_four_clips_reveal_nothing(self, make_clip: MakeClip) -> None:
        clips = [make_clip(f"x{i}.wav", "x", rate=8000) for i in range(4)]
        clips += [make_clip(f"y{i}.wav", "y", rate=16000) for i in range(4)]
        assert _trait_findings(*clips) == []

    def test_trait_findings_rates_of_both_classes_are_fine(self, make_clip: MakeClip) -> None:
        clips = [make_clip(f"{i}.wav", "xy"[i % 2], rate=(8000, 16000)[i // 5]) for i in range(10)]
        assert _trait_findings(*clips) == []

    def test_trait_findings_band_of_one_class_reveals_it(self, make_clip: MakeClip, rng: np.random.Generator) -> None:
        narrow = [
            make_clip(f"x{i}.wav", "x", soxr.resample(0.1 * rng.standard_normal(8000), 8000, 32000), 32000)
            for i in range(5)
        ]
        wide = [make_clip(f"y{i}.wav", "y", rate=32000) for i in range(5)]
        (finding,) = (f for f in _trait_findings(*narrow, *wide) if f.kind == "reveals the class")
        assert finding.clips == tuple(clip.name for clip in narrow)
        assert "hold no sound above about 4.0 kHz" in finding.message


@pytest.mark.parametrize(
    ("labels", "noted"),
    [(["rain", "sea"], True), (["rain", "Background noise"], False), (["rain", "other"], False), (["another"], True)],
)
def test_background_note_without_such_a_class(labels: list[str], noted: bool) -> None:
    assert ("no class is named like background or other" in background_note(labels)) == noted
