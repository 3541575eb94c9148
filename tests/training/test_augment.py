"""Augmentations, applied to ramps: each value of the result shows which band or frame it came from."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.one_device import OneDevice
from scenelet.config import AugmentConfig
from scenelet.training.augment import (
    Augmentation,
    build_augmentations,
    crop,
    filter_augment,
    frequency_shift,
    mask,
    random_gain,
    time_roll,
    time_stretch,
)

B, F, T = 200, 12, 20
ALL_AUGMENTATIONS = [
    partial(time_roll, frames=3),
    partial(time_stretch, max_change=0.2),
    partial(crop, frames=15),
    partial(frequency_shift, bands=3),
    partial(random_gain, db=6.0),
    partial(filter_augment, db=6.0),
    partial(mask, axis=2, max_width=5),
    partial(mask, axis=3, max_width=5),
]


def frames() -> Tensor:
    """Return a batch in which every value is the index of its frame."""
    return torch.arange(T, dtype=torch.float32).expand(B, 2, F, T).clone()


def bands() -> Tensor:
    """Return a batch in which every value is the index of its band."""
    return torch.arange(F, dtype=torch.float32)[:, None].expand(B, 2, F, T).clone()


@pytest.mark.parametrize("augmentation", ALL_AUGMENTATIONS, ids=lambda value: type(value).__name__)
def test_augmentation_uses_only_its_generator(augmentation: Augmentation) -> None:
    x = torch.randn(B, 2, F, T, generator=torch.Generator().manual_seed(0))
    state = torch.random.get_rng_state()
    first, again, other = (augmentation(x.clone(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (first.shape[:3], first.dtype) == (x.shape[:3], x.dtype)
    # both channels change in the same way
    same = augmentation(x[:, :1].expand(B, 2, F, T).clone(), np.random.default_rng(1))
    assert torch.equal(same[:, 0], same[:, 1])


@pytest.mark.parametrize("augmentation", ALL_AUGMENTATIONS, ids=lambda value: type(value).__name__)
def test_augmentation_works_on_the_device_of_the_batch(augmentation: Augmentation) -> None:
    with OneDevice():
        x = torch.empty(B, 2, F, T, device="meta")
        assert augmentation(x, np.random.default_rng(0)).device.type == "meta"


def test_time_roll_is_circular_and_bounded() -> None:
    rolled = time_roll(frames(), np.random.default_rng(0), frames=3).numpy()
    assert np.array_equal(np.sort(rolled, axis=-1), frames().numpy())
    shifts = {(int(np.argmin(sample)) + 3) % T - 3 for sample in rolled[:, 0, 0]}
    assert shifts == set(range(-3, 4))


def test_time_stretch_keeps_one_speed_from_the_start() -> None:
    stretched = time_stretch(frames(), np.random.default_rng(0), max_change=0.25)[:, 0, 0]
    speeds = np.random.default_rng(0).uniform(0.75, 1.25, size=B)
    assert (stretched[:, 0] == 0).all()
    expected = np.round(np.arange(T) * speeds[:, None]) % T
    assert np.array_equal(stretched.numpy(), expected)
    assert speeds.min() < 0.8
    assert speeds.max() > 1.2


def test_crop_takes_neighboring_frames_from_anywhere() -> None:
    cropped = crop(frames(), np.random.default_rng(0), frames=7)
    assert cropped.shape == (B, 2, F, 7)
    first = cropped[:, 0, 0, :1]
    assert torch.equal(cropped[:, 0, 0], (first + torch.arange(7)) % T)
    assert set(first.flatten().tolist()) == set(range(T))
    assert torch.equal(crop(frames(), np.random.default_rng(0), frames=T), frames())


def test_frequency_shift_repeats_the_edge_band() -> None:
    shifted = frequency_shift(bands(), np.random.default_rng(0), bands=3)[:, 0, :, 0].numpy()
    seen = set()
    for sample in shifted:
        shift = int(np.flatnonzero(sample == 5)[0]) - 5  # band 5 is in the middle and is never shifted out
        assert sample.tolist() == [min(max(i - shift, 0), F - 1) for i in range(F)]
        seen.add(shift)
    assert seen == set(range(-3, 4))


def test_random_gain_adds_one_number_per_sample() -> None:
    added = random_gain(frames(), np.random.default_rng(0), db=6.0) - frames()
    assert added.std((1, 2, 3)).max() < 1e-5
    gains = added.mean((1, 2, 3))
    assert -6 <= gains.min() < -5
    assert 5 < gains.max() <= 6


def test_filter_augment_is_piecewise_linear_in_frequency() -> None:
    added = filter_augment(torch.zeros(B, 2, F, T), np.random.default_rng(0), db=6.0)
    assert torch.equal(added, added[:, :1, :, :1].expand(added.shape))
    curves = added[:, 0, :, 0].numpy()
    assert np.abs(curves).max() <= 6
    assert np.abs(curves).max(axis=1).mean() > 3
    bends = (np.abs(np.diff(curves, 2, axis=1)) > 1e-4).sum(axis=1)
    assert bends.max() <= 8  # at most four inner knots, each between two bands
    assert bends.min() <= 2


@pytest.mark.parametrize(("axis", "length"), [(2, F), (3, T)])
def test_mask_sets_neighboring_values_to_the_mean(axis: int, length: int) -> None:
    x = torch.randn(B, 1, F, T, generator=torch.Generator().manual_seed(0))
    masked = mask(x, np.random.default_rng(0), axis=axis, max_width=5)
    hidden = (masked != x).any(5 - axis)[:, 0]  # (batch, bands or frames)
    assert set(hidden.sum(1).tolist()) == set(range(6))
    for row in hidden.numpy():
        indices = np.flatnonzero(row)
        assert len(indices) == 0 or np.ptp(indices) == len(indices) - 1
    assert hidden.any(0).sum() == length  # every band or frame is masked in some sample
    values = masked[masked != x]
    means = x.mean((1, 2, 3))[:, None, None, None].expand(x.shape)[masked != x]
    assert torch.allclose(values, means)


def test_mask_wider_than_the_clip_keeps_the_shape() -> None:
    assert mask(torch.randn(B, 1, F, T), np.random.default_rng(0), axis=2, max_width=100).shape == (B, 1, F, T)


def test_build_augmentations_follows_settings() -> None:
    def described(augmentations: list) -> list:
        return [(augmentation.func, augmentation.keywords) for augmentation in augmentations]

    assert described(build_augmentations(AugmentConfig())) == [(time_roll, {"frames": 50})]
    config = AugmentConfig(
        time_roll=3,
        time_stretch=0.2,
        crop_frames=15,
        frequency_shift=3,
        gain_db=6,
        filter_augment_db=6,
        frequency_mask=5,
        time_mask=5,
    )
    assert described(build_augmentations(config)) == described(ALL_AUGMENTATIONS)
    assert build_augmentations(AugmentConfig(time_roll=0)) == []
