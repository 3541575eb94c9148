"""Data set of a run: its subsets, its record, held-out validation clips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scenelet.audio.log_mel import LogMel
from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.data.load import load_table
from scenelet.errors import UsageError
from scenelet.training.dataset import Dataset, hold_out_validation, load_dataset, subset
from scenelet.training.preflight import load_recorded_table


@pytest.fixture(scope="module")
def config(tiny_settings: list[str]) -> RunConfig:
    return load_recipe("paper_short", [*tiny_settings, "split.fold=1", "split.validation_fraction=0.3"])


@pytest.fixture(scope="module")
def dataset(tone_set: Path, config: RunConfig) -> Dataset:
    return load_dataset(load_table(tone_set), config)


def test_load_dataset_gives_each_subset_its_clips(dataset: Dataset) -> None:
    assert dataset.labels == ("high", "low")
    held_out = dict(dataset.held_out())
    assert list(held_out) == ["validation", "test"]
    for name, clips in (("train", dataset.train), *held_out.items()):
        split = getattr(dataset.split, name)
        assert clips.names == tuple(clip.name for clip in split)
        assert [dataset.labels[target] for target in clips.targets] == [clip.label for clip in split]


def test_record_loads_the_same_table_again(dataset: Dataset, tone_set: Path) -> None:
    record = dataset.record
    assert record.path == tone_set.resolve()
    assert (record.synthetic, record.tau_3_class, record.audio_dir) == (False, False, None)
    assert load_recorded_table(record) == dataset.table


def test_load_dataset_warns_of_shared_groups_and_unused_folds(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_dataset(load_table(tone_set), load_recipe("paper_short", [*tiny_settings, "split.fold=1"]))
    assert "groups are in training and in test" in capsys.readouterr().err
    load_dataset(load_table(tone_set), load_recipe("paper_short", tiny_settings))
    assert "the data's folds are not used; --fold holds one out" in capsys.readouterr().err


@pytest.mark.parametrize("named", [True, False])
def test_load_dataset_warns_of_missing_groups_only_if_none_are_named(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], named: bool
) -> None:
    """A location with one clip is a group of one clip."""
    rows = [row.split(",") for row in tone_set.read_text().splitlines()]
    lines = [",".join([row[0], row[1], f"place{i}"] if named else row[:2]) for i, row in enumerate(rows[1:])]
    table = tmp_path / "tones.csv"
    table.write_text("\n".join(["filename,label,group" if named else "filename,label", *lines]) + "\n")
    load_dataset(load_table(table, tone_set.parent), load_recipe("paper_short", tiny_settings))
    assert ("the data names no groups" in capsys.readouterr().err) is not named


def test_subset_selects_rows_in_the_order_given(dataset: Dataset) -> None:
    clips = subset(dataset.train, np.array([2, 0]))
    assert clips.names == (dataset.train.names[2], dataset.train.names[0])
    np.testing.assert_array_equal(clips.targets, dataset.train.targets[[2, 0]])
    np.testing.assert_array_equal(clips.features.load(clips.features.first)[0], first_window(dataset, 2))


def test_subset_selects_answers_and_waveforms(dataset: Dataset) -> None:
    answers = np.random.default_rng(0).random((len(dataset.train), 2), np.float32)
    chosen = subset(replace(dataset.train, answers=answers, waveforms=dataset.train.features), np.array([2, 0]))
    assert chosen.answers is not None
    assert chosen.waveforms is not None
    np.testing.assert_array_equal(chosen.answers, answers[[2, 0]])
    np.testing.assert_array_equal(chosen.waveforms.first, dataset.train.features.first[[2, 0]])


def test_load_dataset_gives_waveforms_of_the_training_clips(tone_set: Path, config: RunConfig) -> None:
    """The log-mel of each window's samples is its cached one, up to float16."""
    waveform = config.waveform.model_copy(update={"train": True})
    dataset = load_dataset(load_table(tone_set), config.model_copy(update={"waveform": waveform}))
    assert dataset.validation is not None
    assert (dataset.validation.waveforms, dataset.test.waveforms if dataset.test else None) == (None, None)
    chosen = subset(dataset.train, np.array([5, 2]))
    assert chosen.waveforms is not None
    for clip in (0, 1):
        samples = chosen.waveforms.values[chosen.waveforms.first[clip]].astype(np.float32)
        cached = chosen.features.values[chosen.features.first[clip]].astype(np.float32)
        assert np.abs(LogMel(config.features)(samples) - cached).max() < 1


def test_load_dataset_checks_impulse_responses_first(tone_set: Path, config: RunConfig, tmp_path: Path) -> None:
    changes = {"train": True, "response_probability": 1.0, "impulse_responses": str(tmp_path / "none")}
    waveform = config.waveform.model_copy(update=changes)
    with pytest.raises(UsageError, match="none: is not a folder; set waveform"):
        load_dataset(load_table(tone_set), config.model_copy(update={"waveform": waveform}))


def first_window(dataset: Dataset, row: int) -> np.ndarray:
    features = dataset.train.features
    return features.load(features.first[row : row + 1])[0]


def test_hold_out_validation_moves_complete_groups(dataset: Dataset) -> None:
    changed = hold_out_validation(dataset, 0.3, seed=0)
    assert changed.validation is not None
    groups = [{clip.group for clip in clips} for clips in (changed.split.train, changed.split.validation)]
    assert groups[1]
    assert not groups[0] & groups[1]
    assert set(changed.train.names) | set(changed.validation.names) == set(dataset.train.names)


def test_hold_out_validation_of_too_few_groups_raises(dataset: Dataset) -> None:
    few = [next(i for i, t in enumerate(dataset.train.targets) if t == label) for label in (0, 1)]
    split = dataset.split
    train = tuple(split.train[row] for row in few)
    small = Dataset(
        dataset.table,
        type(split)(train, split.validation, split.test, split.description),
        subset(dataset.train, np.array(few)),
        dataset.validation,
        dataset.test,
    )
    with pytest.raises(UsageError, match="too few training recordings to choose a number format by"):
        hold_out_validation(small, 0.5, seed=0)
