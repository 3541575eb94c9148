"""Batches of an epoch: each clip appears once, and all randomness comes from (seed, epoch)."""

import itertools
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from scenelet.audio.log_mel import LogMel
from scenelet.config import MixingConfig
from scenelet.config.recipes import load_recipe
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.augment import random_gain, time_roll
from scenelet.training.batches import EpochBatches, LabelledFeatures, epoch_batches
from scenelet.training.mixing import NO_MIXING, Mixer, build_mixer, mixup
from scenelet.training.ranks import SINGLE, Rank
from scenelet.training.waveform_loader import WaveformLoader

AUGMENTATIONS = [partial(time_roll, frames=2), partial(random_gain, db=3)]


def labelled_features(clips: int = 10, windows: int = 2) -> LabelledFeatures:
    """Return features whose row r is filled with r. Clip i owns `windows` rows from i * windows; its class is i % 3."""
    values = np.broadcast_to(
        np.arange(clips * windows, dtype=np.float16)[:, None, None, None], (clips * windows, 1, 4, 6)
    )
    first = np.arange(clips) * windows
    return LabelledFeatures(ClipFeatures(values, first, np.full(clips, windows)), np.arange(clips) % 3, 3)


def batches(clips: LabelledFeatures, seed: int = 0, epoch: int = 0, size: int = 4) -> EpochBatches:
    return EpochBatches(clips, size, [partial(time_roll, frames=2)], NO_MIXING, seed, epoch)


def test_epoch_batches_hold_each_clip_once_with_its_class() -> None:
    rows, classes = [], []
    for x, y in batches(labelled_features()):
        rows += x[:, 0, 0, 0].int().tolist()
        classes += y.argmax(1).tolist()
    assert sorted(row // 2 for row in rows) == list(range(10))
    assert [(row // 2) % 3 for row in rows] == classes


def test_epoch_batches_draw_every_window_eventually() -> None:
    clips = labelled_features()
    seen = {int(x) for epoch in range(20) for batch, _ in batches(clips, epoch=epoch) for x in batch[:, 0, 0, 0]}
    assert seen == set(range(20))


@pytest.mark.parametrize(("clips", "sizes"), [(8, [4, 4]), (10, [4, 4, 2]), (9, [4, 4])])
def test_epoch_batches_leave_out_a_last_batch_of_one(clips: int, sizes: list[int]) -> None:
    epoch = batches(labelled_features(clips))
    assert [len(x) for x, _ in epoch] == sizes
    assert len(epoch) == len(sizes)


@pytest.mark.parametrize(("clips", "sizes"), [(8, [4, 4]), (10, [4, 4]), (11, [4, 4]), (3, [3])])
def test_epoch_batches_drop_last_leaves_out_incomplete_ones(clips: int, sizes: list[int]) -> None:
    epoch = EpochBatches(labelled_features(clips), 4, [], NO_MIXING, 0, 0, drop_last=True)
    assert [len(x) for x, _ in epoch] == sizes
    assert len(epoch) == len(sizes)


def test_epoch_batches_paper_drops_the_last_batch() -> None:
    clips = labelled_features(13)
    sizes = {name: len(epoch_batches(clips, load_recipe(name))(0)) for name in ("paper", "comparison")}
    assert sizes == {"paper": 1, "comparison": 1}
    assert len(epoch_batches(clips, load_recipe("paper", ["schedule.drop_last=false"]))(0)) == 2


def test_epoch_batches_depend_only_on_seed_and_epoch() -> None:
    def content(seed: int, epoch: int) -> list[torch.Tensor]:
        mixed = EpochBatches(labelled_features(), 4, [partial(time_roll, frames=2)], mixup, seed, epoch)
        return [part for batch in mixed for part in batch]

    same = zip(content(1, 2), content(1, 2), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    for other in ((1, 3), (2, 2)):
        assert not all(torch.equal(a, b) for a, b in zip(content(1, 2), content(*other), strict=True))


# Slices of the batches in distributed training


def rank_batches(clips: int, size: int, mixer: Mixer, rank: Rank) -> EpochBatches:
    values = np.random.default_rng(0).standard_normal((clips, 1, 4, 6)).astype(np.float16)
    features = ClipFeatures(values, np.arange(clips), np.ones(clips, np.int64))
    return EpochBatches(
        LabelledFeatures(features, np.arange(clips) % 3, 3),
        size,
        [partial(time_roll, frames=2), partial(random_gain, db=3)],
        mixer,
        1,
        2,
        rank,
    )


@pytest.mark.parametrize("combine", ["none", "one_of", "all"])
@pytest.mark.parametrize(("clips", "size", "world_size"), [(23, 8, 2), (23, 8, 3), (20, 5, 2), (18, 7, 4)])
def test_slices_of_all_ranks_form_the_batch(combine: str, clips: int, size: int, world_size: int) -> None:
    mixer = build_mixer(MixingConfig.model_validate({"combine": combine}))
    single = list(rank_batches(clips, size, mixer, Rank()))
    slices = [list(rank_batches(clips, size, mixer, Rank(rank, world_size))) for rank in range(world_size)]
    assert len(single) == len(slices[0])
    for index, (batch, *parts) in enumerate(zip(single, *slices, strict=True)):
        for item in (0, 1):
            assert torch.equal(torch.cat([part[item] for part in parts]), batch[item])
        sizes = [len(x) for x, _ in parts]
        assert max(sizes) - min(sizes) <= 1
        # the mean over the devices of the weighted means is the mean over the batch
        weights = [rank_batches(clips, size, mixer, Rank(r, world_size)).weight(index) for r in range(world_size)]
        means = [float(x.double().mean()) for x, _ in parts]
        assert np.mean(np.multiply(weights, means)) == pytest.approx(float(batch[0].double().mean()), rel=1e-12)


def test_last_batch_with_fewer_clips_than_devices_is_left_out() -> None:
    assert [len(rank_batches(18, 8, NO_MIXING, Rank(0, world_size))) for world_size in (1, 2, 3)] == [3, 3, 2]
    assert len(list(rank_batches(18, 8, NO_MIXING, Rank(2, 3)))) == 2


def test_dropout_seed_differs_by_rank_except_the_first() -> None:
    seeds = [rank_batches(8, 4, NO_MIXING, Rank(rank, 3)).dropout_seed() for rank in range(3)]
    assert len(set(seeds)) == 3
    assert seeds[0] == rank_batches(8, 4, NO_MIXING, Rank()).dropout_seed()


def test_epoch_batches_mix_answers_of_teachers_as_labels() -> None:
    """A pair of clips is the same in the labels and in the answers, which are labels of the next class here."""
    clips = labelled_features()
    answers = np.eye(3, dtype=np.float32)[(clips.targets + 1) % 3]
    plain = EpochBatches(clips, 4, AUGMENTATIONS, mixup, 0, 0)
    taught = EpochBatches(replace(clips, answers=answers), 4, AUGMENTATIONS, mixup, 0, 0)
    for (x, y), (taught_x, taught_y) in zip(plain, taught, strict=True):
        assert torch.equal(x, taught_x)
        assert torch.equal(y, taught_y[:, :3])
        assert torch.equal(y.roll(1, dims=1), taught_y[:, 3:])
    assert any(float(y.max(1).values.min()) < 1 for _, y in plain)


@pytest.mark.parametrize("rank", [SINGLE, Rank(1, 2)], ids=["single", "second of two"])
def test_each_member_of_an_ensemble_gets_batches_of_its_own(rank: Rank) -> None:
    """The first member's batches are those of a single network. The others have new draws, and all see every clip."""
    clips = labelled_features()
    single = EpochBatches(clips, 4, AUGMENTATIONS, mixup, 0, 5, rank)
    ensemble = replace(single, members=3)
    for (x, y), (own_x, own_y) in zip(ensemble, single, strict=True):
        parts, labels = x.chunk(3), y.chunk(3)
        assert torch.equal(parts[0], own_x)
        assert torch.equal(labels[0], own_y)
        assert not any(torch.equal(parts[0], other) for other in parts[1:])
        assert not torch.equal(parts[1], parts[2])
    assert len(ensemble) == len(single)
    assert set(single.names(0)) <= set(ensemble.names(0))


# Training on waveforms

WAVEFORM = [
    "features.sample_rate=8000",
    "features.n_fft=256",
    "features.hop_length=128",
    "features.n_mels=16",
    "window.seconds=0.25",
    "schedule.batch_size=4",
    "schedule.epochs=10",
    "mixing.combine=none",
    "mixing.epoch_fraction=0.5",
    "augment.time_roll=2",
    "waveform.train=true",
    "waveform.speed=0.1",
]


def waveform_clips() -> LabelledFeatures:
    """Return ten clips of two windows, whose samples do not lie in the order of their features."""
    clips, noise = labelled_features(), np.random.default_rng(0).normal(0, 0.1, (20, 1, 2000)).astype(np.float16)
    first = clips.features.first[::-1]
    return replace(clips, waveforms=ClipFeatures(noise, first, clips.features.count))


def waveform_batches(epoch: int = 0, *changes: str, rank: Rank = SINGLE) -> EpochBatches:
    return epoch_batches(waveform_clips(), load_recipe("paper_short", [*WAVEFORM, *changes]), rank=rank)(epoch)


def test_waveform_batches_depend_only_on_seed_and_epoch() -> None:
    first, again, later = (list(waveform_batches(epoch)) for epoch in (1, 1, 2))
    for (x, y), (other_x, other_y), (later_x, _) in zip(first, again, later, strict=True):
        assert torch.equal(x, other_x)
        assert torch.equal(y, other_y)
        assert not torch.equal(x, later_x)
        assert x.shape[1:] == (1, 16, 16)


def test_waveform_batches_are_log_mel_of_the_clips_windows() -> None:
    """Without augmentation, each clip of a batch is one of its windows, with the clip's label."""
    clips, plain = waveform_clips(), waveform_batches(0, "waveform.speed=0", "augment.time_roll=0")
    assert clips.waveforms is not None
    log_mel = LogMel(load_recipe("paper_short", WAVEFORM).features)
    known = [torch.from_numpy(log_mel(window.astype(np.float32))) for window in clips.waveforms.values]
    seen = []
    for x, y in plain:
        for window, label in zip(x, y, strict=True):
            (row,) = (row for row, values in enumerate(known) if torch.equal(values, window))
            clip = 9 - row // 2
            assert int(label.argmax()) == clips.targets[clip]
            seen.append(clip)
    assert sorted(seen) == list(range(10))


@pytest.mark.parametrize("world_size", [2, 3])
def test_slices_of_waveform_batches_form_the_batch(world_size: int) -> None:
    changes = ("waveform.mix_probability=1", "mixing.combine=all")
    single = list(waveform_batches(0, *changes))
    slices = [list(waveform_batches(0, *changes, rank=Rank(rank, world_size))) for rank in range(world_size)]
    for (x, y), *parts in zip(single[:2], *(part[:2] for part in slices), strict=True):
        assert torch.equal(torch.cat([part[0] for part in parts]), x)
        assert torch.equal(torch.cat([part[1] for part in parts]), y)


def test_waveforms_are_mixed_in_the_first_epochs_only() -> None:
    mixed = [
        any(bool((y.amax(1) < 1).any()) for _, y in waveform_batches(epoch, "waveform.mix_probability=1"))
        for epoch in (0, 4, 5, 9)
    ]
    assert mixed == [True, True, False, False]


@pytest.mark.parametrize(("size", "drop"), [(4, False), (3, False), (4, True)])
def test_reused_waveforms_are_the_same_after_a_resume(size: int, drop: bool) -> None:
    """Epochs 3 to 5 use the waveforms of epoch 3, in other orders, also if training resumes in between."""
    changes = [f"schedule.batch_size={size}", f"schedule.drop_last={drop}", "waveform.reuse_epochs=3"]
    config = load_recipe("paper_short", [*WAVEFORM, "augment.time_roll=0", "mixing.epoch_fraction=1", *changes])
    clips = waveform_clips()

    def epochs(*numbers: int) -> list[list[tuple[torch.Tensor, torch.Tensor]]]:
        batches = epoch_batches(clips, config)
        # as Lightning does, take the batches without asking for the end
        return [list(itertools.islice(batches(number), len(batches(number)))) for number in numbers]

    third, fourth, fifth, sixth = epochs(3, 4, 5, 6)
    for resumed, whole in ((epochs(4)[0], fourth), (epochs(5)[0], fifth)):
        assert all(torch.equal(x, y) for a, b in zip(resumed, whole, strict=True) for x, y in zip(a, b, strict=True))

    def windows(epoch: list[tuple[torch.Tensor, torch.Tensor]]) -> set[bytes]:
        return {window.half().numpy().tobytes() for x, _ in epoch for window in x}

    whole = windows(third) | windows(fourth) | windows(fifth)
    assert len(whole) == 10
    assert not whole & windows(sixth)
    assert not torch.equal(third[0][1], fourth[0][1]) or not torch.equal(third[1][1], fourth[1][1])


def test_reused_waveforms_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []
    augment = WaveformLoader.augment

    def count(self: WaveformLoader, *arguments: Any) -> Any:
        computed.append(1)
        return augment(self, *arguments)

    monkeypatch.setattr(WaveformLoader, "augment", count)
    batches = epoch_batches(waveform_clips(), load_recipe("paper_short", [*WAVEFORM, "waveform.reuse_epochs=2"]))
    counts = []
    for epoch in range(4):
        next(itertools.islice(batches(epoch), 2, None))
        counts.append(len(computed))
    assert counts == [3, 3, 6, 6]


def test_waveform_training_leaves_the_order_and_the_other_draws_as_they_are() -> None:
    """The batches hold the same clips in the same order as those of cached features."""
    cached = waveform_batches(0, "waveform.speed=0", "waveform.train=false")
    for (_, y), (_, expected) in zip(waveform_batches(), cached, strict=True):
        assert torch.equal(y, expected)
