"""Batches with background: as many clips as a mean class has, never mixed, and the same after a resume."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from scenelet.config import FeatureConfig, MixingConfig, RunConfig, ScheduleConfig, WaveformConfig
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.batches import EpochBatches, LabelledFeatures, epoch_batches
from scenelet.training.mixing import build_mixer

FEATURES = FeatureConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=32, channels="mono")
ALL_MIXERS = MixingConfig(combine="all", freqmix=True, timemix=True, mixup=True, cutmix=True, freq_mixstyle=True)


def clips_with(background: int, windows: int = 3, others: int = 12) -> LabelledFeatures:
    """Return clips of the classes 0 and 2, and of background, class 1, which have `windows` windows each.

    Every value of window row r is r, so that a mixed window shows.
    """
    counts = np.array([1] * others + [windows] * background)
    targets = np.array([0, 2] * (others // 2) + [1] * background)
    values = np.repeat(np.arange(counts.sum(), dtype=np.float16), 4 * 6).reshape(-1, 1, 4, 6)
    names = tuple(f"{target}-{i}" for i, target in enumerate(targets))
    return LabelledFeatures(ClipFeatures(values, np.cumsum(counts) - counts, counts), targets, 3, names, background=1)


def epoch_of(clips: LabelledFeatures, epoch: int = 0, **changes: Any) -> EpochBatches:
    mixer = build_mixer(MixingConfig(combine="none"))
    return replace(EpochBatches(clips, 5, [], mixer, 0, epoch), **changes)


def background_rows(clips: LabelledFeatures, epoch: int, **changes: Any) -> list[int]:
    """Return the window rows of background in an epoch."""
    found = [(x, y[:, 1] == 1) for x, y in epoch_of(clips, epoch, **changes)]
    return [int(row) for x, own in found for row in x[own][:, 0, 0, 0]]


@pytest.mark.parametrize("recordings", [1, 2, 6, 40])
def test_an_epoch_has_as_many_clips_of_background_as_of_a_mean_class(recordings: int) -> None:
    clips = clips_with(recordings)
    assert clips.epoch_counts() == [6, 6, 6]
    assert clips.class_counts() == [6, recordings, 6]
    for epoch in range(4):
        labels = torch.cat([y for _, y in epoch_of(clips, epoch)]).sum(0).tolist()
        assert labels == [6, 6, 6]
    assert epoch_of(clips).size == 18
    assert len(epoch_of(clips)) == len(list(epoch_of(clips))) == 4


def test_every_other_clip_is_seen_once_per_epoch() -> None:
    for x, y in [tuple(map(torch.cat, zip(*epoch_of(clips_with(5)), strict=True)))]:
        assert sorted(x[y[:, 1] == 0][:, 0, 0, 0].int().tolist()) == list(range(12))


def test_background_is_drawn_anew_over_recordings_and_windows() -> None:
    clips = clips_with(10)
    epochs = [background_rows(clips, epoch) for epoch in range(60)]
    recordings = [[(row - 12) // 3 for row in rows] for rows in epochs]
    assert all(len(set(own)) == 6 for own in recordings)  # none twice while there are others
    assert {row for rows in epochs for row in rows} == set(range(12, 12 + 30))
    assert background_rows(clips, 3) == background_rows(clips, 3) != background_rows(clips, 4)


def test_few_recordings_are_drawn_equally_often() -> None:
    drawn = [(row - 12) // 50 for row in background_rows(clips_with(2, windows=50), 0)]
    assert sorted(drawn) == [0, 0, 0, 1, 1, 1]
    assert len({*background_rows(clips_with(1, windows=50), 0)}) > 3  # other windows of the same recording


def test_background_is_neither_mixed_nor_mixed_into_others() -> None:
    clips, mixer = clips_with(40), build_mixer(ALL_MIXERS)
    for epoch in range(5):
        for x, y in epoch_of(clips, epoch, mixer=mixer, unmixed=1):
            own = y[:, 1] > 0
            assert (y[own, 1] == 1).all()
            assert (x[own] == x[own][:, :1, :1, :1]).all()
            assert (x[own] >= 12).all()
            assert (x[~own] < 12 + 1e-3).all()
    mixed = [y for x, y in epoch_of(clips, mixer=mixer)]
    assert any(((y[:, 1] > 0) & (y[:, 1] < 1)).any() for y in mixed)


def test_a_batch_of_background_alone_stays_as_it_is() -> None:
    clips, mixer = clips_with(40), build_mixer(ALL_MIXERS)
    epoch = epoch_of(clips, mixer=mixer, unmixed=1, batch_size=1)
    x, y = epoch._mix(torch.full((2, 1, 4, 6), 7.0), np.eye(3, dtype=np.float32)[[1, 1]], np.random.default_rng(0))
    assert (x == 7).all()
    assert y.tolist() == [[0, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize(("mixes", "expected"), [(False, 1), (True, None)])
def test_setting_asks_for_mixing(mixes: bool, expected: int | None) -> None:
    config = RunConfig(mixing=MixingConfig(background=mixes), schedule=ScheduleConfig(epochs=2))
    assert epoch_batches(clips_with(4), config)(0).unmixed == expected


def test_names_are_those_of_the_drawn_clips() -> None:
    epoch = epoch_of(clips_with(40))
    for index, (_, y) in enumerate(epoch):
        assert sorted(name[0] for name in epoch.names(index)) == sorted(str(int(k)) for k in y.argmax(1))


def waveform_batches(recordings: int, reuse: int, seed: int = 0) -> Any:
    """Return the batches of waveforms. Clips of class k are tones of their own, and all are mixed with others."""
    clips = clips_with(recordings, windows=2)
    rows = int(clips.features.count.sum())
    values = np.random.default_rng(seed).normal(0, 0.1, (rows, 1, 4000)).astype(np.float16)
    clips = replace(clips, waveforms=replace(clips.features, values=values))
    config = RunConfig(
        features=FEATURES,
        waveform=WaveformConfig(train=True, mix_probability=1, reuse_epochs=reuse, gain_db=3),
        mixing=MixingConfig(combine="none"),
        schedule=ScheduleConfig(epochs=6, batch_size=5),
    )
    return epoch_batches(clips, config)


@pytest.mark.parametrize("recordings", [2, 30])
@pytest.mark.parametrize("reuse", [1, 2])
def test_waveforms_of_background_are_not_mixed(recordings: int, reuse: int) -> None:
    batches = waveform_batches(recordings, reuse)
    for epoch in range(3):
        y = torch.cat([y for _, y in batches(epoch)])
        assert y.shape == (18, 3)
        assert sorted(y[:, 1].tolist()) == [0] * 12 + [1] * 6
        assert (y[y[:, 1] == 0].max(1).values < 1).any()


def test_reused_waveforms_are_the_same_after_a_resume() -> None:
    """An epoch that reuses waveforms gives the same batches in a process that did not compute the epoch before."""
    batches = waveform_batches(30, reuse=2)
    for _ in batches(2):
        pass
    resumed = waveform_batches(30, reuse=2)
    for (x, y), (other_x, other_y) in zip(batches(3), resumed(3), strict=True):
        assert torch.equal(x, other_x)
        assert torch.equal(y, other_y)
