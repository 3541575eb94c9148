"""Windows on a device: the same values as on the host, and no operation on tensors of two devices."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.one_device import OneDevice
from scenelet.config.recipes import load_recipe
from scenelet.data.band_maps import BandMaps
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training import window_loader
from scenelet.training.batches import LabelledFeatures, epoch_batches
from scenelet.training.device import FEATURE_FRACTION, features_fit, free_memory, to_device
from scenelet.training.window_loader import WindowLoader, build_loader, prefetch

META = torch.device("meta")
EVERY_AUGMENTATION = [
    "augment.crop_frames=20",
    "augment.frequency_mask=3",
    "augment.time_mask=4",
    "mixing.combine=all",
    "mixing.cutmix=true",
    "schedule.batch_size=4",
]


def clip_features() -> ClipFeatures:
    """Return nine clips of one to three windows, which do not lie in the order of the clips."""
    count = np.array([1, 2, 3, 1, 2, 3, 1, 2, 3])
    first = np.cumsum(count[::-1])[::-1] - count + 5
    values = np.random.default_rng(0).normal(-40, 10, (30, 2, 16, 24)).astype(np.float16)
    return ClipFeatures(values, first, count)


@pytest.mark.parametrize("upload", [1, 4, 18, 100])
@pytest.mark.parametrize("resident", [False, True])
def test_load_gives_the_rows_of_the_cache(resident: bool, upload: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_loader, "UPLOAD_WINDOWS", upload)
    features = clip_features()
    loader = WindowLoader(features, resident=resident)
    offsets = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
    (x,), (y, z) = loader.load([loader.first + offsets]), loader.load([loader.first[3:5], loader.first[:1]])
    assert x.dtype == torch.float32
    assert np.array_equal(x.numpy(), features.load(features.first + offsets))
    assert np.array_equal(y.numpy(), features.load(features.first[3:5]))
    assert np.array_equal(z.numpy(), features.load(features.first[:1]))


@pytest.mark.parametrize("changes", [["schedule.batch_size=4"], EVERY_AUGMENTATION])
def test_batches_of_resident_windows_equal_those_of_the_cache(changes: list[str]) -> None:
    features = clip_features()
    clips = LabelledFeatures(features, np.arange(9) % 3, 3)
    for epoch in range(3):
        batches = epoch_batches(clips, load_recipe("default", changes))(epoch)
        resident = replace(batches, windows=WindowLoader(features, resident=True))
        for (x, y), (other_x, other_y) in zip(batches, resident, strict=True):
            assert torch.equal(x, other_x)
            assert torch.equal(y, other_y)


@pytest.mark.parametrize("resident", [False, True])
def test_batches_are_made_on_the_device_of_the_windows(resident: bool) -> None:
    clips = LabelledFeatures(clip_features(), np.arange(9) % 3, 3)
    batches = epoch_batches(clips, load_recipe("default", EVERY_AUGMENTATION))(0)
    loader = WindowLoader(clips.features, META, resident)
    with OneDevice():
        found = list(replace(batches, windows=loader))
    for (x, y), (expected_x, expected_y) in zip(found, batches, strict=True):
        assert (x.device, y.device) == (META, META)
        assert (x.shape, x.dtype, y.shape, y.dtype) == (
            expected_x.shape,
            expected_x.dtype,
            expected_y.shape,
            expected_y.dtype,
        )


def test_features_fit_up_to_their_fraction_of_the_free_memory() -> None:
    free = 1000
    assert features_fit(int(FEATURE_FRACTION * free), free)
    assert not features_fit(int(FEATURE_FRACTION * free) + 1, free)
    assert not features_fit(1, 0)


@pytest.mark.parametrize(("spare", "resident"), [(0, True), (-2, False)])
def test_build_loader_counts_the_windows_of_its_clips(
    spare: int, resident: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = clip_features()
    needed = 18 * 2 * 16 * 24 * 2  # windows x values x bytes; the cache holds 30 windows
    monkeypatch.setattr(window_loader, "free_memory", lambda _: int(needed / FEATURE_FRACTION) + spare)
    loader = build_loader(features, META)
    assert np.array_equal(loader.first, features.first) is not resident


def test_free_memory_is_that_of_a_cuda_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10 + device.index, 100))
    assert free_memory(torch.device("cuda", 1)) == 11
    assert free_memory(torch.device("cpu")) == free_memory(META) == 0


def test_to_device_converts_before_the_copy() -> None:
    values = np.array([0.1, -2.5])
    assert torch.equal(to_device(values, torch.device("cpu"), torch.float32), torch.tensor([0.1, -2.5]))
    on_meta = to_device(values, META, torch.float32)
    assert (on_meta.device, on_meta.dtype, on_meta.shape) == (META, torch.float32, (2,))
    assert to_device(np.array([True]), META).dtype == torch.bool


# Reading ahead


def test_prefetch_reads_one_item_ahead_in_another_thread() -> None:
    started = [threading.Event() for _ in range(4)]
    threads = set()

    def numbers() -> Iterator[int]:
        for number, event in enumerate(started):
            threads.add(threading.current_thread())
            event.set()
            yield number

    found = []
    for number in prefetch(numbers()):
        found.append(number)
        if number < 3:
            assert started[number + 1].wait(10)  # while the caller works on `number`
        assert not any(event.is_set() for event in started[number + 2 :])
    assert found == [0, 1, 2, 3]
    assert threading.current_thread() not in threads


def test_prefetch_raises_the_error_of_the_item_in_its_turn() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise OSError("disk")

    found = prefetch(numbers())
    assert next(found) == 1
    with pytest.raises(OSError, match="disk"):
        next(found)


def test_prefetch_ends_its_thread_if_the_caller_stops() -> None:
    before = threading.active_count()
    found = prefetch(iter(range(1000)))
    assert next(found) == 0
    found.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("resident", [False, True])
def test_loader_maps_the_bands_of_each_row(rng: np.random.Generator, resident: bool) -> None:
    """The rows of the clips are not in the order of the cache, and a row of another clip lies between them."""
    values = rng.normal(0, 9, (6, 2, 4, 5)).astype(np.float16)
    numbers = np.array([0, 1, 0, 2, 2, 1], np.int32)
    maps = BandMaps(numbers, *rng.uniform(0.5, 2, (2, 3, 4)).astype(np.float32))
    features = ClipFeatures(values, first=np.array([3, 0]), count=np.array([2, 2]), maps=maps)
    loader = WindowLoader(features, resident=resident)
    rows = loader.first[np.array([0, 1, 0])] + np.array([1, 1, 0])
    (found,) = loader.load([rows])
    expected = features.load(np.array([4, 1, 3]))
    np.testing.assert_array_equal(found.numpy(), expected)
    assert not np.array_equal(expected, values[[4, 1, 3]].astype(np.float32))
