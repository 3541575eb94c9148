"""Mixers, applied to batches in which every sample has its own value and label, so that sums show their parts."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from helpers.one_device import OneDevice
from scenelet.config import MixingConfig
from scenelet.training.mixing import (
    NO_MIXING,
    band_mask,
    build_mixer,
    compose,
    cutmix,
    freq_mixstyle,
    freqmix,
    mixup,
    random_choice,
    timemix,
)

B, C, F, T = 6, 2, 16, 10
MIXERS = {
    "center": freqmix,
    "start": partial(freqmix, position="start"),
    "wrap": partial(freqmix, position="wrap"),
    "between": partial(freqmix, position="between"),
    "bands": partial(freqmix, bands=3),
    "sample": partial(freqmix, per_sample=True),
    "timemix": timemix,
    "mixup": mixup,
    "dominant": partial(mixup, dominant=True),
    "cutmix": cutmix,
}


def unique_batch() -> tuple[Tensor, Tensor]:
    """Return a batch whose sample i is filled with 2^i, so that a sum shows its samples."""
    x = (2.0 ** torch.arange(B, dtype=torch.float64))[:, None, None, None].expand(B, C, F, T).clone()
    return x, torch.eye(B, dtype=torch.float64)


@pytest.mark.parametrize("name", MIXERS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_label_weights_are_the_fractions_in_the_sample(name: str, seed: int) -> None:
    x, y = unique_batch()
    mixed, labels = MIXERS[name](x, y, np.random.default_rng(seed))
    assert mixed.shape == x.shape
    assert labels.sum(1).numpy() == pytest.approx(np.ones(B))
    # the mean of a sample is the label-weighted mean of its sources, so labels are the true fractions
    assert mixed.mean((1, 2, 3)).numpy() == pytest.approx(labels.numpy() @ 2.0 ** np.arange(B))


@pytest.mark.parametrize("name", [*MIXERS, "freq_mixstyle"])
def test_mixers_work_on_the_device_of_the_batch(name: str) -> None:
    with OneDevice():
        x, y = torch.empty(B, C, F, T, device="meta"), torch.empty(B, B, device="meta")
        mixed, labels = (MIXERS | {"freq_mixstyle": freq_mixstyle})[name](x, y, np.random.default_rng(5))
    assert (mixed.device.type, labels.device.type) == ("meta", "meta")
    assert (mixed.shape, mixed.dtype, labels.shape) == (x.shape, x.dtype, y.shape)


@pytest.mark.parametrize("position", ["center", "start", "wrap", "between"])
@given(location=st.integers(0, 64 * F - 1).map(lambda n: n / 64), width=st.integers(0, 64 * F).map(lambda n: n / 64))
@settings(deadline=None)
def test_band_mask_selects_indices_in_the_interval(position: Any, location: float, width: float) -> None:
    mask = band_mask(F, location, width, position)
    low = location - width / 2 if position == "center" else location
    low, high = sorted([location, width]) if position == "between" else (low, low + width)
    for index, flag in enumerate(mask):
        shifted = index + F if position == "wrap" and index < low else index
        assert flag == (low <= shifted < high)


@pytest.mark.parametrize(
    ("position", "fraction"), [("center", 5 / 12), ("start", 1 / 3), ("wrap", 1 / 2), ("between", 1 / 3)]
)
def test_band_mask_has_the_expected_mean_fraction(position: Any, fraction: float) -> None:
    rng = np.random.default_rng(0)
    masks = [band_mask(256, rng.uniform(0, 256), 256 * rng.beta(1, 1), position) for _ in range(20000)]
    assert np.mean(masks) == pytest.approx(fraction, abs=0.006)


def test_freqmix_takes_each_band_from_one_clip() -> None:
    x, y = unique_batch()
    mixed, _ = freqmix(x, y, np.random.default_rng(2))
    assert bool((mixed == mixed[:, :1, :, :1]).all())  # the same over channels and time
    assert all(len(sample.unique()) <= 2 for sample in mixed)


def test_timemix_takes_each_frame_from_one_clip() -> None:
    x, y = unique_batch()
    fractions = set()
    for seed in range(20):
        mixed, labels = timemix(x, y, np.random.default_rng(seed), alpha=0.5)
        assert bool((mixed == mixed[:, :1, :1, :]).all())  # the same over channels and bands
        kept = (mixed == x)[:, 0, 0].numpy()
        assert labels.diagonal().numpy() == pytest.approx(kept.mean(1))
        starts = kept[0, 0] + (np.diff(kept[0].astype(int)) > 0).sum()
        assert starts <= 1  # one range
        assert mixed.stride() == x.stride()
        fractions.add(float(labels[0, 0]))
    assert len(fractions) > 5


def test_freqmix_per_sample_draws_more_masks() -> None:
    x, y = unique_batch()

    def label_weights(per_sample: bool) -> np.ndarray:
        _, labels = freqmix(x, y, np.random.default_rng(3), per_sample=per_sample)
        return np.unique(np.round(labels.amax(1).numpy(), 9))

    assert len(label_weights(per_sample=True)) > len(label_weights(per_sample=False))


def test_cutmix_pastes_one_box_per_batch() -> None:
    x, y = unique_batch()
    mixed, labels = cutmix(x, y, np.random.default_rng(4))
    changed = (mixed != x)[:, 0].numpy()
    rows, columns = changed.any(2), changed.any(1)
    assert np.array_equal(changed, rows[:, :, None] & columns[:, None, :])
    assert (labels.amax(1) < 1).tolist() == changed.any((1, 2)).tolist()


def test_random_choice_applies_one_and_compose_all() -> None:
    def add(amount: int) -> Any:
        return lambda x, y, rng: (x + amount, y)

    rng = np.random.default_rng(0)
    drawn = [random_choice(0, None, rng, [add(1), add(10)])[0] for _ in range(400)]
    assert set(drawn) == {1, 10}
    assert 150 < drawn.count(1) < 250
    assert compose(0, None, rng, [add(1), add(10)])[0] == 11


def test_build_mixer_follows_settings() -> None:
    assert build_mixer(MixingConfig()).func is random_choice
    every = build_mixer(MixingConfig(combine="all", cutmix=True))
    assert every.func is compose
    assert [mixer.func for mixer in every.keywords["mixers"]] == [freqmix, mixup, cutmix]
    assert build_mixer(MixingConfig(combine="none")) is NO_MIXING
    (power,) = build_mixer(MixingConfig(freqmix=False, mixup_domain="power", mixup_alpha=1.0)).keywords["mixers"]
    assert (power.keywords["domain"], power.keywords["alpha"]) == ("power", 1.0)


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_mixup_of_power_adds_powers_at_equal_peaks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-80, 0, (B, C, F, T))
    mixer = partial(mixup, alpha=1.0, domain="power")
    mixed, labels = (
        part.numpy() for part in mixer(torch.from_numpy(x), unique_batch()[1], np.random.default_rng(seed))
    )
    peaks = x.max((1, 2, 3))
    powers = np.einsum("ij,jcft->icft", labels, 10 ** ((x - peaks[:, None, None, None]) / 10))
    assert mixed == pytest.approx((labels @ peaks)[:, None, None, None] + 10 * np.log10(powers))


def test_mixup_of_power_with_the_same_clip_changes_nothing() -> None:
    x = torch.from_numpy(np.random.default_rng(0).uniform(-80, 0, (1, C, F, T)))
    mixed, _ = mixup(x, torch.eye(1), np.random.default_rng(0), 1.0, "power")
    assert mixed.numpy() == pytest.approx(x.numpy())


def test_mixup_dominant_gives_each_clip_the_larger_part_once() -> None:
    """CP-ResNet takes max(lam, 1 - lam), so that sample i is mostly clip i."""
    x, y = unique_batch()
    for seed in range(20):
        plain, dominant = (mixup(x, y, np.random.default_rng(seed), dominant=value)[1] for value in (False, True))
        own = dominant.diagonal()
        assert bool((own >= 0.5).all())
        assert torch.equal(own, torch.maximum(plain.diagonal(), 1 - plain.diagonal()))
    (built,) = build_mixer(MixingConfig(freqmix=False, mixup_dominant=True)).keywords["mixers"]
    assert built.keywords["dominant"]


def statistics(x: Tensor) -> Tensor:
    """Return the mean and the standard deviation (2, batch, bands) of each sample and band."""
    return torch.stack([x.mean((1, 3)), x.std((1, 3), correction=0)])


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_freq_mixstyle_gives_the_mixed_statistics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.normal(rng.uniform(-60, 0, (B, 1, F, 1)), rng.uniform(1, 20, (B, 1, F, 1)), (B, C, F, T)))
    mixed, labels = freq_mixstyle(x, torch.eye(B), np.random.default_rng(seed))
    draws = np.random.default_rng(seed)  # repeats what the mixer draws
    assert draws.random() < 1
    order, lam = draws.permutation(B), torch.from_numpy(draws.beta(0.3, 0.3, B))[:, None]
    own = statistics(x)
    np.testing.assert_allclose(statistics(mixed), lam * own + (1 - lam) * own[:, order], atol=1e-4)
    assert torch.equal(labels, torch.eye(B))
    # the course of each band over time is the clip's own
    np.testing.assert_allclose(standardized(mixed), standardized(x), atol=1e-5)


def standardized(x: Tensor) -> Tensor:
    """Return x with mean 0 and standard deviation 1 in each sample and band."""
    mean, std = statistics(x)[:, :, None, :, None]
    return (x - mean) / std


def test_freq_mixstyle_of_equal_clips_changes_nothing() -> None:
    clip = torch.from_numpy(np.random.default_rng(0).uniform(-80, 0, (1, C, F, T)))
    x = clip.expand(B, C, F, T)
    mixed, _ = freq_mixstyle(x, torch.eye(B), np.random.default_rng(1))
    np.testing.assert_allclose(mixed, x, atol=1e-9)


def test_freq_mixstyle_keeps_silence_constant() -> None:
    x = torch.full((2, 1, F, T), -90.0)
    x[1] = torch.from_numpy(np.random.default_rng(0).uniform(-80, 0, (1, F, T)))
    for seed in range(5):
        mixed, _ = freq_mixstyle(x, torch.eye(2), np.random.default_rng(seed))
        assert bool(mixed.isfinite().all())
        assert float(mixed[0].std(2).max()) < 1e-3


def test_freq_mixstyle_changes_its_fraction_of_the_batches() -> None:
    x, y = torch.randn(B, C, F, T, generator=torch.Generator().manual_seed(0)), torch.eye(B)
    rng = np.random.default_rng(0)
    changed = sum(not torch.equal(freq_mixstyle(x, y, rng, probability=0.4)[0], x) for _ in range(1000))
    assert changed == pytest.approx(400, abs=50)
    assert freq_mixstyle(x, y, rng, probability=0.0)[0] is x


def test_build_mixer_applies_freq_mixstyle_before_the_drawn_mixer() -> None:
    pool = MixingConfig(timemix=True, cutmix=True, freq_mixstyle=True, freq_mixstyle_alpha=0.2)
    both = build_mixer(pool)
    style, drawn = both.keywords["mixers"]
    assert (both.func, style.func, drawn.func) == (compose, freq_mixstyle, random_choice)
    assert style.keywords == {"alpha": 0.2, "probability": 0.4}
    assert [mixer.func for mixer in drawn.keywords["mixers"]] == [freqmix, timemix, mixup, cutmix]
    assert build_mixer(pool.model_copy(update={"combine": "none"})) is NO_MIXING
    alone = build_mixer(MixingConfig(freqmix=False, mixup=False, freq_mixstyle=True, freq_mixstyle_probability=1))
    x, y = torch.randn(B, C, F, T, generator=torch.Generator().manual_seed(0)), torch.eye(B)
    expected, _ = freq_mixstyle(x, y, np.random.default_rng(7))
    mixed, labels = alone(x, y, np.random.default_rng(7))
    assert torch.equal(mixed, expected)
    assert torch.equal(labels, y)


def test_mixing_between_with_several_bands_is_refused() -> None:
    with pytest.raises(ValueError, match="freqmix_position = 'between' has the two ends of one range"):
        MixingConfig(freqmix_position="between", freqmix_bands=2)
