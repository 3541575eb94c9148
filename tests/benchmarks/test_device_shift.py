"""Made recording devices, and the comparison of ways to train for them."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from benchmarks.quality import device_shift
from benchmarks.quality.device_shift import DEVICES, SEEN, UNSEEN

RATE = 16000


def test_record_repeats_and_differs_between_devices() -> None:
    sound = np.random.default_rng(0).standard_normal((1, 8000)).astype(np.float32) * 0.1
    recordings = [device_shift.record(sound, RATE, device, 3) for device in range(len(DEVICES))]
    assert np.array_equal(recordings[0], device_shift.record(sound, RATE, 0, 3))
    for device, recorded in enumerate(recordings):
        assert recorded.shape == sound.shape
        assert not any(np.allclose(recorded, other, atol=1e-3) for other in recordings[:device])


def test_microphone_gains_are_those_of_the_recording() -> None:
    """The transfer function of quiet noise is that of the filter, since it hardly saturates."""
    sound = np.random.default_rng(0).standard_normal((1, 20 * RATE)).astype(np.float32) * 0.02
    recorded = device_shift.record(sound, RATE, 1, 0)[0]
    hertz, power = signal.welch(sound[0], RATE, nperseg=4096)
    _, cross = signal.csd(sound[0], recorded, RATE, nperseg=4096)
    wanted = device_shift.microphone_gains(np.random.default_rng([device_shift.DEVICE_SEED, 1]), hertz)
    band = (hertz > 500) & (hertz < 3000)
    assert np.abs(20 * np.log10(np.abs(cross) / power) - wanted)[band].max() < 1.5


def write_result(folder: Path, method: str, seed: int, answers: dict[str, list[int]]) -> None:
    clips = [
        {"name": f"{label}-{group}-{device}", "group": f"{label}-{group}", "device": device}
        for label in range(2)
        for group in range(4)
        for device in DEVICES
    ]
    targets = [int(str(clip["name"])[0]) for clip in clips]
    pairs = zip(clips, targets, strict=True)
    given = [answers["seen" if clip["device"] in SEEN else "unseen"][target] for clip, target in pairs]
    result = {"method": method, "fold": "1", "seed": seed, "minutes": 1.0, "clips": clips, "targets": targets}
    (folder / f"fold-1-{method}-{seed}.json").write_text(json.dumps(result | {"answers": given}))


def test_summarize_separates_devices_and_averages_seeds(tmp_path: Path) -> None:
    right, half = [0, 1], [0, 0]
    write_result(tmp_path, "none", 0, {"seen": right, "unseen": half})
    write_result(tmp_path, "none", 1, {"seen": half, "unseen": half})
    write_result(tmp_path, "both", 0, {"seen": right, "unseen": right})
    none, both = device_shift.summarize(tmp_path)
    assert (none["seen"]["value"], none["unseen"]["value"], none["trainings"]) == (0.75, 0.5, 2)
    assert "seen_difference" not in none
    assert both["unseen_difference"]["value"] == pytest.approx(0.5)
    assert both["seen_difference"]["value"] == 0  # against the same seed only
    assert both["by_device"] == dict.fromkeys((*SEEN, *UNSEEN), 1.0)
