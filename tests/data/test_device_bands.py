"""Standardization by recording device, on features with known statistics."""

from pathlib import Path

import numpy as np
import pytest

from scenelet.data.clips import Clip
from scenelet.data.device_bands import band_maps, device_statistics, standardize_devices
from scenelet.data.feature_cache import ClipFeatures, band_statistics
from scenelet.errors import DataError

BANDS, FRAMES, CLIPS = 4, 25, 8


def make_clips(devices: list[str | None], label: str = "") -> tuple[Clip, ...]:
    names = [f"{number}" for number in range(len(devices))]
    return tuple(
        Clip(Path(name), name, label or ("rain", "sea")[number % 2], name, device=device)
        for number, (name, device) in enumerate(zip(names, devices, strict=True))
    )


@pytest.fixture
def reference(rng: np.random.Generator) -> np.ndarray:
    """Features of the reference device, (clips, 1, bands, frames), on a grid that fp16 holds exactly."""
    return np.round(rng.normal(-20, 4, (CLIPS, 1, BANDS, FRAMES)) * 8) / 8


def features_of(*values: np.ndarray) -> ClipFeatures:
    joined = np.concatenate(values).astype(np.float16)
    count = np.ones(len(joined), np.int64)
    return ClipFeatures(joined, np.arange(len(joined)), count)


def test_offset_and_scale_of_a_device_are_removed_exactly(reference: np.ndarray) -> None:
    offset, scale = np.array([-16.0, 3, 0, -4]), np.array([0.5, 1, 2, 1])
    other = reference * scale[:, None] + offset[:, None]
    features = features_of(reference, other)
    clips = make_clips(["a"] * CLIPS + ["s1"] * CLIPS)
    mapped = standardize_devices(features, clips, device_statistics(features, clips, None))
    found = mapped.load(mapped.rows())
    np.testing.assert_allclose(found[:CLIPS], found[CLIPS:], atol=2e-4)
    mean, std = band_statistics(features)
    for half in (mapped.select(slice(CLIPS)), mapped.select(slice(CLIPS, None)), mapped):
        np.testing.assert_allclose(band_statistics(half)[0], mean, atol=1e-3)
        np.testing.assert_allclose(band_statistics(half)[1], std, rtol=1e-4)


def test_other_devices_and_one_device_stay_as_they_are(reference: np.ndarray) -> None:
    features = features_of(reference, reference - 8)
    clips = make_clips(["a"] * CLIPS + ["s9", None, None, "s1"] * 2)
    statistics = device_statistics(features.select(slice(CLIPS)), clips[:CLIPS], None)
    mapped = standardize_devices(features, clips, statistics)
    assert list(statistics.devices) == ["a"]
    assert statistics.devices["a"] == statistics.all
    np.testing.assert_array_equal(mapped.load(mapped.rows()), features.load(features.rows()))


def test_device_without_a_class_has_no_statistics(reference: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    features = features_of(reference)
    clips = make_clips(["a", "a", "s1", "a", "s1", "a", None, None])
    assert list(device_statistics(features, clips, None).devices) == ["a"]
    words = "device s1: standardized by the clips of all devices, since it has no training clip of sea"
    assert words in capsys.readouterr().err
    statistics = device_statistics(features, clips, "sea")  # background does not count
    assert list(statistics.devices) == ["a", "s1"]
    mean, _ = band_statistics(features.select(np.array([2, 4])))
    assert statistics.devices["s1"].mean == pytest.approx(mean.tolist())


def test_unknown_devices_have_no_statistics(reference: np.ndarray) -> None:
    with pytest.raises(DataError, match="no recording device has training clips of each class; add a column device"):
        device_statistics(features_of(reference), make_clips([None] * CLIPS), None)


def test_clip_of_several_windows_is_mapped_completely(reference: np.ndarray) -> None:
    values = features_of(reference).values
    features = ClipFeatures(values, np.array([5, 0]), np.array([3, 4]))  # row 4 belongs to no clip
    training = features_of(reference, reference * 2 - 5)
    statistics = device_statistics(training, make_clips(["a"] * CLIPS + ["s1"] * CLIPS), None)
    mapped = standardize_devices(features, make_clips(["s1", "a"]), statistics)
    maps = band_maps(statistics)
    for clip, device in enumerate(("s1", "a")):
        rows = mapped.select(np.array([clip])).rows()
        expected = values[rows] * maps[device].scale[:, None] + maps[device].shift[:, None]
        np.testing.assert_allclose(mapped.load(rows), expected, atol=1e-4)
