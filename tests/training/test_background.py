"""Background under clips: levels, parts of the window, and which clips of a batch get it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from scenelet.config import AugmentConfig, MixingConfig, RunConfig
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.background import add_background, build_background, draw_parts
from scenelet.training.batches import EpochBatches, LabelledFeatures
from scenelet.training.mixing import build_mixer

BANDS, FRAMES = 8, 50


def level(x: torch.Tensor) -> float:
    return float(10 * torch.log10((10 ** (x / 10)).mean()))


def test_powers_add_at_the_signal_to_noise_ratio(rng: np.random.Generator) -> None:
    x = torch.from_numpy(rng.uniform(-80, -10, (3, 2, BANDS, FRAMES)).astype(np.float32))
    sounds = torch.from_numpy(rng.uniform(-100, 0, (3, 2, BANDS, FRAMES)).astype(np.float32))
    snr, heard = np.array([-5.0, 0.0, 30.0]), np.zeros((3, FRAMES), bool)
    heard[0, 10:20] = heard[1, :] = heard[2, 49:] = True
    mixed = add_background(x, sounds, snr, heard)
    for clip, other, ratio, part, found in zip(x, sounds, snr, heard, mixed, strict=True):
        gain = level(clip[..., part]) - level(other) - ratio
        expected = 10 ** ((other + gain) / 10)
        expected[..., part] += 10 ** (clip[..., part] / 10)
        torch.testing.assert_close(found, 10 * torch.log10(expected).clamp(min=-10), rtol=0, atol=1e-3)


def test_background_far_below_changes_nothing() -> None:
    x, sounds = torch.full((1, 1, BANDS, FRAMES), -30.0), torch.full((1, 1, BANDS, FRAMES), -30.0)
    mixed = add_background(x, sounds, np.array([90.0]), np.ones((1, FRAMES), bool))
    torch.testing.assert_close(mixed, x, rtol=0, atol=1e-4)


def test_no_value_is_below_the_floor_of_log_mel() -> None:
    x, sounds = torch.full((1, 1, BANDS, FRAMES), -60.0), torch.full((1, 1, BANDS, FRAMES), -100.0)
    sounds[:, :, 0] = -10  # the upper bands are empty
    heard = np.arange(FRAMES)[None] < 10
    mixed = add_background(x, sounds, np.array([20.0]), heard)
    assert mixed.min() == -100
    assert level(mixed[..., 10:]) == pytest.approx(-80, abs=0.05)  # with the floor of seven bands


def test_silent_background_stays_silent() -> None:
    x, sounds = torch.full((1, 1, BANDS, FRAMES), -30.0), torch.full((1, 1, BANDS, FRAMES), -100.0)
    mixed = add_background(x, sounds, np.array([0.0]), np.arange(FRAMES)[None] < 10)
    assert mixed[..., :10].unique().tolist() == [-30]
    assert mixed[..., 10:].unique().tolist() == [-100]


@pytest.mark.parametrize("min_part", [0.01, 0.2, 1.0])
def test_parts_are_runs_of_neighbors_of_every_length(min_part: float, rng: np.random.Generator) -> None:
    heard = draw_parts(FRAMES, 2000, min_part, rng)
    widths = heard.sum(1)
    assert (np.abs(np.diff(heard.astype(int), axis=1)).sum(1) <= 2).all()
    assert widths.min() == max(1, round(min_part * FRAMES))
    assert widths.max() == FRAMES
    assert heard.any(0).all()
    if min_part < 1:
        assert heard[widths < 2 * widths.min(), -1].any()  # short ones also come at the end


def clips() -> LabelledFeatures:
    """Return 8 clips of the classes 0 and 2 at -20 dB, and two of background, class 1, of two windows each."""
    counts, targets = np.array([1] * 8 + [2, 2]), np.array([0, 2] * 4 + [1, 1])
    levels = np.array([-20.0] * 8 + [-40.0, -45.0, -50.0, -55.0], np.float16)
    values = np.broadcast_to(levels[:, None, None, None], (12, 1, 4, 6)).copy()
    return LabelledFeatures(ClipFeatures(values, np.cumsum(counts) - counts, counts), targets, 3, background=1)


def batches_of(probability: float, background: int | None = 1, **changes: float) -> EpochBatches:
    settings = {"background_probability": probability, "background_min_part": 1.0} | changes
    config = RunConfig(augment=AugmentConfig(**settings))
    own = replace(clips(), background=background)
    added = build_background(own.features, own.targets, background, config)
    return EpochBatches(
        own, 4, [], build_mixer(MixingConfig(combine="none")), 0, 0, unmixed=background, background=added
    )


def epoch(batches: EpochBatches) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = zip(*batches, strict=True)
    return torch.cat(x), torch.cat(y)


def test_only_other_clips_get_background_and_labels_stay() -> None:
    x, y = epoch(batches_of(1.0, background_min_snr_db=10, background_max_snr_db=10))
    plain, labels = epoch(batches_of(0.0))
    own = y[:, 1] == 1
    assert torch.equal(y, labels)
    assert torch.equal(x[own], plain[own])
    torch.testing.assert_close(x[~own], torch.full_like(x[~own], -20 + 10 * np.log10(1.1)), rtol=0, atol=1e-3)


def test_a_clip_that_may_be_cropped_is_heard_in_all_of_its_window() -> None:
    for crop_frames, whole in ((0, False), (3, True)):
        batches = batches_of(1.0, background_min_part=0.2, background_min_snr_db=60, background_max_snr_db=60)
        assert batches.background is not None
        config = batches.background.config.model_copy(update={"crop_frames": crop_frames})
        x, y = epoch(replace(batches, background=replace(batches.background, config=config)))
        assert (x[y[:, 1] == 0] > -21).all() == whole


def test_the_probability_is_per_clip_and_the_ratio_is_drawn() -> None:
    changed = []
    for number in range(100):
        x, y = epoch(replace(batches_of(0.5), epoch=number))
        changed.append((x - -20)[y[:, 1] == 0][:, 0, 0, 0])
    gains = torch.cat(changed)
    assert (gains > 1e-3).float().mean() == pytest.approx(0.5, abs=0.06)
    assert gains.max() == pytest.approx(10 * np.log10(2), abs=0.05)  # 0 dB, the minimum
    assert gains[gains > 1e-3].min() < 10 * np.log10(1 + 10**-1.9)  # close to 20 dB


def test_an_epoch_draws_the_same_again_and_another_epoch_does_not() -> None:
    batches = batches_of(0.5)
    first, again, other = (epoch(own)[0] for own in (batches, batches, replace(batches, epoch=1)))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_all_windows_of_all_background_clips_are_used() -> None:
    """Without a gain, the level would tell the windows apart; their shape does here."""
    own = clips()
    values = own.features.values.copy()
    for row in range(8, 12):
        values[row, 0, row - 8] += 20
    own = replace(own, features=replace(own.features, values=values))
    config = RunConfig(augment=AugmentConfig(background_probability=1.0, background_min_part=1.0))
    added = build_background(own.features, own.targets, 1, config)
    mixer, seen = build_mixer(MixingConfig(combine="none")), set()
    for number in range(20):
        x, y = epoch(EpochBatches(own, 4, [], mixer, 0, number, background=added))
        seen |= set(x[y[:, 1] == 0][:, 0, :, 0].argmax(1).tolist())
    assert seen == {0, 1, 2, 3}


def test_without_background_or_probability_nothing_is_added() -> None:
    assert batches_of(0.5, background=None).background is None
    assert batches_of(0.0).background is None


def test_settings_refuse_a_minimum_above_the_maximum() -> None:
    with pytest.raises(ValueError, match="background_min_snr_db 30 is above"):
        AugmentConfig(background_min_snr_db=30)
