"""False alarms: counts at all thresholds at once, thresholds for a rate, and intervals."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from helpers.tiny_model import changed, tiny_model
from scenelet.audio.io import read
from scenelet.data.clips import Clips
from scenelet.errors import AudioError, UsageError
from scenelet.evaluation.false_alarms import (
    AlarmCounter,
    AlarmCounts,
    FoundThresholds,
    count_alarms,
    find_background,
    find_thresholds,
    hours_needed,
    lowest_thresholds,
    poisson_interval,
)
from scenelet.inference.classifier import Classifier
from scenelet.inference.stream import PredictionSmoother, Stream, StreamPrediction, make_smoother
from scenelet.inference.threshold import general_threshold

LABELS = ("dog", "rain", "none")
THRESHOLDS = np.array([0.0, 0.3, 0.5, 0.6, 0.75, 0.9, 1.0, math.inf])


def events_of(answers: list[str | None]) -> dict[str, int]:
    """Count the events of each label in the answers of a recording, as a timeline shows them."""
    counts = dict.fromkeys(LABELS, 0)
    for before, label in itertools.pairwise([None, *answers]):
        if label in counts and label != before:
            counts[label] += 1
    return counts


def counts_of(*totals: list[int], hours: float = 2.0) -> AlarmCounts:
    thresholds = np.append(np.linspace(0.5, 0.9, len(totals[0]) - 1), math.inf)
    return AlarmCounts(LABELS[: len(totals)], thresholds, np.array([totals]), np.array([hours]), 1)


rows = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda row: np.float32(row) / np.float32(sum(row)))
silence = st.just(np.zeros(3, np.float32))


@given(st.lists(st.one_of(rows, rows, rows, silence), max_size=60), st.sampled_from([0.0, 2.0]))
def test_counter_counts_the_events_of_the_smoother_at_every_threshold(
    steps: list[np.ndarray], smoothing: float
) -> None:
    predictions = [StreamPrediction(float(i), row) for i, row in enumerate(steps)]
    counter = AlarmCounter(LABELS[:2], THRESHOLDS, margin=0.1)
    held = PredictionSmoother(LABELS, (0.0,) * 3, smoothing)
    for answer in map(held.update, predictions):
        counter.add(answer.label, answer.confidence)
    for column, threshold in enumerate(THRESHOLDS.tolist()):
        smoother = PredictionSmoother(LABELS, (threshold,) * 3, smoothing)
        expected = events_of([smoother.update(prediction).label for prediction in predictions])
        assert counter.counts[:, column].tolist() == [expected["dog"], expected["rain"]], threshold


def test_counter_begins_anew_with_each_recording() -> None:
    counter = AlarmCounter(("dog",), np.array([0.5]), margin=0.1)
    for _ in range(3):
        counter.start()
        counter.add("dog", 0.9)
        counter.add("dog", 0.9)
    assert counter.counts.tolist() == [[3]]


@pytest.fixture
def night(tmp_path: Path, rng: np.random.Generator) -> Clips:
    """Two recordings of changing noise, 3 s and 1.5 s."""
    paths: list[Path] = []
    for index, seconds in enumerate((3.0, 1.5)):
        n = int(8000 * seconds)
        tone = np.sin(np.cumsum(rng.uniform(0.1, 3, n // 400 + 1).repeat(400)[:n]))
        paths.append(tmp_path / f"{index}.wav")
        soundfile.write(paths[-1], 0.1 * rng.standard_normal(n) + 0.3 * tone, 8000)
    return find_background(tmp_path)


def test_count_alarms_agrees_with_the_stream_of_each_recording(night: Clips) -> None:
    classifier = Classifier(changed(tiny_model(), background="outdoor"), threads=1)
    found = count_alarms(classifier, night)
    assert found.labels == ("indoor", "transportation")
    assert (found.recordings, found.hours) == (2, pytest.approx(4.5 / 3600))
    assert found.part_hours == pytest.approx([3 / 3600, 1.5 / 3600])
    alone = [count_alarms(classifier, (clip,)).counts for clip in night]
    assert (found.parts == np.stack(alone)).all()
    assert found.counts[:, -1].tolist() == [0, 0]
    for threshold in (0.1, 0.35, general_threshold(classifier.model.results)):
        expected = dict.fromkeys(classifier.labels, 0)
        for clip in night:
            samples, rate = read(clip.path)
            stream, smoother = Stream(classifier, rate), make_smoother(classifier, threshold)
            answers = [smoother.update(p).label for p in [*stream.push(samples), *stream.finish()]]
            for before, label in itertools.pairwise([None, *answers]):
                if label is not None and label != before:
                    expected[label] += 1
        column = int(np.flatnonzero(np.isclose(found.thresholds, threshold))[0])
        assert found.counts[:, column].tolist() == [expected["indoor"], expected["transportation"]]


def test_count_alarms_names_all_recordings_that_cannot_be_read(night: Clips, tmp_path: Path) -> None:
    for name in ("bad1.wav", "bad2.wav"):
        (tmp_path / name).write_bytes(b"RIFF")
    with pytest.raises(AudioError, match="2 of 4 recordings cannot be read") as error:
        count_alarms(Classifier(tiny_model(), threads=1), find_background(tmp_path))
    assert "bad1.wav" in str(error.value)
    assert "bad2.wav" in str(error.value)


def test_subfolders_and_neighbors_are_parts(tmp_path: Path) -> None:
    """The alarms of one windy night are in few parts, so that the other nights do not know them."""
    for name in ("a/1", "a/2", "b/1", "c/1", "c/2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"{name}.wav", np.full(8000 * int(name[-1]), 0.01), 8000)
    classifier = Classifier(tiny_model(), threads=1)
    assert count_alarms(classifier, find_background(tmp_path)).part_hours * 3600 == pytest.approx([3, 1, 3])
    found = count_alarms(classifier, find_background(tmp_path / "a"))
    assert found.part_hours * 3600 == pytest.approx([1, 2])
    assert count_alarms(classifier, find_background(tmp_path / "b/1.wav")).part_hours * 3600 == pytest.approx([1])


def test_many_recordings_are_ten_parts_of_neighbors(tmp_path: Path) -> None:
    for index in range(25):
        soundfile.write(tmp_path / f"{index:02}.wav", np.full(800 * (1 + index // 20), 0.01), 8000)
    found = count_alarms(Classifier(tiny_model(), threads=1), find_background(tmp_path))
    assert (found.part_hours * 36000).round().tolist() == [3, 2, 3, 2, 3, 2, 3, 2, 6, 4]
    assert found.recordings == 25


def test_lowest_thresholds_raises_the_label_with_the_most_alarms() -> None:
    found = counts_of([9, 6, 4, 0], [5, 5, 1, 0])
    assert lowest_thresholds(found, 0.5, target_per_hour=7.0) == {"dog": 0.5, "rain": 0.5}
    assert lowest_thresholds(found, 0.5, target_per_hour=6.0) == {"dog": 0.7, "rain": 0.5}
    assert lowest_thresholds(found, 0.5, target_per_hour=5.0) == {"dog": 0.9, "rain": 0.5}
    assert lowest_thresholds(found, 0.5, target_per_hour=0.1) == {"dog": math.inf, "rain": math.inf}


def test_lowest_thresholds_begins_at_the_general_threshold() -> None:
    assert lowest_thresholds(counts_of([9, 0, 0, 0]), 0.9, target_per_hour=9.0) == {"dog": 0.9}


def test_lowest_thresholds_passes_over_more_alarms_at_a_higher_threshold() -> None:
    """A long event falls apart at a higher threshold, so counts need not fall."""
    assert lowest_thresholds(counts_of([3, 5, 2, 0]), 0.5, target_per_hour=1.0) == {"dog": 0.9}


tables = st.lists(st.lists(st.integers(0, 20), min_size=5, max_size=5), min_size=1, max_size=3)


@given(tables, st.floats(0.01, 30))
def test_lowest_thresholds_meet_the_target_and_lower_ones_do_not(totals: list[list[int]], target: float) -> None:
    found = counts_of(*([*row, 0] for row in totals))
    chosen = lowest_thresholds(found, 0.5, target)
    columns = [int(np.searchsorted(found.thresholds, chosen[label])) for label in found.labels]
    alarms = [int(found.counts[row, column]) for row, column in enumerate(columns)]
    assert sum(alarms) <= target * found.hours
    for row, column in enumerate(columns):
        assert all(count > alarms[row] for count in totals[row][:column])  # no lower one has as few


def test_find_thresholds_takes_the_lowest_of_one_recording() -> None:
    found = find_thresholds(counts_of([9, 6, 4, 0]), 0.5, target_per_hour=2.0)
    assert found.thresholds == lowest_thresholds(counts_of([9, 6, 4, 0]), 0.5, target_per_hour=2.0)
    assert found.held_out_alarms is None


def parts_of(*parts: list[list[int]]) -> AlarmCounts:
    """Return the counts of several parts of an hour each."""
    return replace(counts_of(*parts[0]), parts=np.array(parts), part_hours=np.ones(len(parts)))


def test_find_thresholds_cross_validates_over_recordings() -> None:
    steady = parts_of([[4, 1, 0, 0]], [[4, 1, 0, 0]], [[4, 1, 0, 0]])
    assert find_thresholds(steady, 0.5, 1.0) == FoundThresholds({"dog": 0.7}, held_out_alarms=3)


def test_find_thresholds_takes_the_lowest_share_if_none_keeps_the_target() -> None:
    """Alarms of dog are in the first part, and those of rain in the second. So no other part warns of them."""
    uneven = parts_of([[6, 2, 0, 0], [0, 0, 0, 0]], [[0, 0, 0, 0], [6, 2, 0, 0]])
    assert lowest_thresholds(uneven, 0.5, target_per_hour=2.0) == {"dog": 0.7, "rain": 0.7}
    assert find_thresholds(uneven, 0.5, target_per_hour=2.0) == FoundThresholds({"dog": 0.9, "rain": 0.9}, 12)
    enough = find_thresholds(uneven, 0.5, target_per_hour=6.0)
    assert (enough.thresholds, enough.held_out_alarms) == ({"dog": 0.5, "rain": 0.5}, 12)


def test_find_thresholds_does_not_silence_a_label_for_a_share() -> None:
    """One windy night of three. Only infinity would leave no alarm in it."""
    windy = parts_of([[16, 8, 3, 0]], [[0, 0, 0, 0]], [[0, 0, 0, 0]])
    found = find_thresholds(windy, 0.5, target_per_hour=5.0)
    assert found == FoundThresholds({"dog": 0.9}, held_out_alarms=16)
    assert find_thresholds(windy, 0.5, target_per_hour=0.5).never_sure == {"dog"}  # the target itself needs that


def test_find_thresholds_does_not_let_a_short_recording_choose() -> None:
    """A quiet recording of 10 s would choose the general threshold, whatever the share."""
    counts = replace(parts_of([[16, 12, 8, 0]], [[0, 0, 0, 0]]), part_hours=np.array([8, 10 / 3600]))
    assert find_thresholds(counts, 0.5, 1.0) == FoundThresholds({"dog": 0.9}, held_out_alarms=None)


def test_find_thresholds_takes_the_first_share_that_keeps_the_target() -> None:
    """For 1 per hour, the first two parts choose 0.5, at which the third has 4. For half of that, they choose 0.7."""
    parts = parts_of([[1, 0, 0, 0]], [[1, 0, 0, 0]], [[4, 2, 0, 0]])
    assert find_thresholds(parts, 0.5, 1.0) == FoundThresholds({"dog": 0.9}, held_out_alarms=2)


@given(st.lists(tables.filter(lambda table: len(table) == 1), min_size=2, max_size=5), st.floats(0.1, 30))
def test_find_thresholds_meet_the_target_on_all_recordings_together(parts: list, target: float) -> None:
    counts = parts_of(*([[*row, 0] for row in part] for part in parts))
    found = find_thresholds(counts, 0.5, target)
    assert counts.alarms(found.thresholds) <= target * counts.hours
    assert found.held_out_alarms is not None
    if found.held_out_alarms > target * counts.hours:
        assert found.never_sure <= FoundThresholds(lowest_thresholds(counts, 0.5, target), None).never_sure


@given(st.integers(0, 400), st.floats(0.1, 1000))
def test_poisson_interval_agrees_with_scipy(count: int, hours: float) -> None:
    interval = poisson_interval(count, hours)
    assert interval.value == count / hours
    low = stats.chi2.ppf(0.025, 2 * count) / 2 / hours if count else 0.0
    assert interval.low == pytest.approx(low, rel=1e-6)
    assert interval.high == pytest.approx(stats.chi2.ppf(0.975, 2 * count + 2) / 2 / hours, rel=1e-6)


def test_hours_needed_are_those_in_which_no_alarm_is_improbable() -> None:
    for target in (0.1, 1.0, 7.0):
        assert stats.poisson.pmf(0, target * hours_needed(target)) == pytest.approx(0.05)


def test_find_background_refuses_a_path_without_recordings(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        find_background(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no recordings"):
        find_background(tmp_path)
