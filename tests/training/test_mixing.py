"""Mixers: every sample has a value and a label of its own, so each mixed batch can be taken apart."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scenelet.config import MixingConfig
from scenelet.training.mixing import Compose, CutMix, FreqMix, Mixup, RandomChoice, band_mask, build_mixer

B, C, F, T = 6, 2, 16, 10
MIXERS = {
    "center": FreqMix(),
    "start": FreqMix(position="start"),
    "wrap": FreqMix(position="wrap"),
    "bands": FreqMix(bands=3),
    "sample": FreqMix(per_sample=True),
    "mixup": Mixup(),
    "cutmix": CutMix(),
}


def unique_batch() -> tuple[np.ndarray, np.ndarray]:
    """Sample i is filled with 2^i, so that a sum tells who is in it."""
    x = np.broadcast_to(2.0 ** np.arange(B)[:, None, None, None], (B, C, F, T)).astype(np.float64)
    return x, np.eye(B)


@pytest.mark.parametrize("name", MIXERS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_label_weights_are_the_shares_in_the_sample(name: str, seed: int) -> None:
    x, y = unique_batch()
    mixed, labels = MIXERS[name](x, y, np.random.default_rng(seed))
    assert mixed.shape == x.shape
    assert labels.sum(1) == pytest.approx(np.ones(B))
    # the mean of a sample is the label-weighted mean of its sources: labels are the true shares
    assert mixed.mean((1, 2, 3)) == pytest.approx(labels @ 2.0 ** np.arange(B))


@pytest.mark.parametrize("name", MIXERS)
def test_tensors_and_arrays_give_the_same(name: str) -> None:
    x, y = unique_batch()
    a = MIXERS[name](x, y, np.random.default_rng(5))
    b = MIXERS[name](torch.from_numpy(x), torch.from_numpy(y), np.random.default_rng(5))
    assert all(isinstance(part, torch.Tensor) for part in b)
    assert all(np.array_equal(p, q.numpy()) for p, q in zip(a, b, strict=True))
    assert np.array_equal(x, unique_batch()[0])


@pytest.mark.parametrize("position", ["center", "start", "wrap"])
@given(place=st.integers(0, 64 * F - 1).map(lambda n: n / 64), width=st.integers(0, 64 * F).map(lambda n: n / 64))
@settings(deadline=None)
def test_a_band_counts_when_its_index_lies_in_the_interval(position: Any, place: float, width: float) -> None:
    kept = band_mask(F, place, width, position)
    low = place - width / 2 if position == "center" else place
    for index, flag in enumerate(kept):
        shifted = index + F if position == "wrap" and index < low else index
        assert flag == (low <= shifted < low + width)


@pytest.mark.parametrize(("position", "share"), [("center", 5 / 12), ("start", 1 / 3), ("wrap", 1 / 2)])
def test_mean_share_of_the_first_clip(position: Any, share: float) -> None:
    rng = np.random.default_rng(0)
    masks = [band_mask(256, rng.uniform(0, 256), 256 * rng.beta(1, 1), position) for _ in range(20000)]
    assert np.mean(masks) == pytest.approx(share, abs=0.006)


def test_freqmix_keeps_whole_bands_of_one_clip() -> None:
    x, y = unique_batch()
    mixed, _ = FreqMix()(x, y, np.random.default_rng(2))
    assert np.all(mixed == mixed[:, :1, :, :1])  # alike over channels and time
    assert all(len(np.unique(sample)) <= 2 for sample in mixed)


def test_masks_are_drawn_per_batch_or_per_sample() -> None:
    x, y = unique_batch()
    shares = {
        per: np.unique(np.round(FreqMix(per_sample=per == "sample")(x, y, np.random.default_rng(3))[1].max(1), 9))
        for per in ("batch", "sample")
    }
    assert len(shares["sample"]) > len(shares["batch"])


def test_cutmix_pastes_one_box() -> None:
    x, y = unique_batch()
    mixed, labels = CutMix()(x, y, np.random.default_rng(4))
    changed = (mixed != x)[:, 0]
    rows, columns = changed.any(2), changed.any(1)
    assert np.array_equal(changed, rows[:, :, None] & columns[:, None, :])
    assert (labels.max(1) < 1).tolist() == changed.any((1, 2)).tolist()


def test_one_of_draws_each_and_chain_applies_all() -> None:
    def add(amount: int) -> Any:
        return lambda x, y, rng: (x + amount, y)

    rng = np.random.default_rng(0)
    drawn = [RandomChoice([add(1), add(10)])(0, None, rng)[0] for _ in range(400)]
    assert set(drawn) == {1, 10}
    assert 150 < drawn.count(1) < 250
    assert Compose([add(1), add(10)])(0, None, rng)[0] == 11


def test_settings_choose_the_mixer() -> None:
    assert isinstance(build_mixer(MixingConfig()), RandomChoice)
    assert [type(m) for m in build_mixer(MixingConfig(combine="all", cutmix=True)).mixers] == [FreqMix, Mixup, CutMix]
    assert build_mixer(MixingConfig(combine="none")).mixers == []
    powers = build_mixer(MixingConfig(freqmix=False, mixup_domain="power", mixup_alpha=1.0)).mixers[0]
    assert (powers.domain, powers.alpha) == ("power", 1.0)


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_mixing_powers_is_hearing_both_at_one_loudness(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-80, 0, (B, C, F, T)), np.eye(B)
    mixed, labels = Mixup(1.0, domain="power")(x, y, np.random.default_rng(seed))
    peaks = x.max((1, 2, 3))
    powers = np.einsum("ij,jcft->icft", labels, 10 ** ((x - peaks[:, None, None, None]) / 10))
    assert mixed == pytest.approx((labels @ peaks)[:, None, None, None] + 10 * np.log10(powers))


def test_a_clip_mixed_with_itself_by_powers_stays() -> None:
    x = np.random.default_rng(0).uniform(-80, 0, (1, C, F, T))
    assert Mixup(1.0, domain="power")(x, np.eye(1), np.random.default_rng(0))[0] == pytest.approx(x)
