"""Tests of the channels that a model takes."""

import numpy as np

from scenelet.audio.samples import arrange_channels


def test_arrange_channels_mono_is_mean() -> None:
    two = np.array([[1.0, 0.0], [0.0, 0.5]], np.float32)
    assert arrange_channels(two, "mono").tolist() == [[0.5, 0.25]]


def test_arrange_channels_of_many_takes_mean_or_number_or_first_two() -> None:
    four = np.float32([[1.0, 0.0], [0.0, 0.5], [0.5, 0.5], [0.5, 1.0]])
    assert arrange_channels(four, "mono").tolist() == [[0.5, 0.5]]
    assert arrange_channels(four, 3).tolist() == [[0.5, 0.5]]
    assert arrange_channels(four[:2], 3).tolist() == [[0.5, 0.25]]  # there is no third channel
    assert arrange_channels(four, "stereo").tolist() == four[:2].tolist()
    assert arrange_channels(four, "mid-side").tolist() == [[0.5, 0.25], [0.5, -0.25]]


def test_arrange_channels_stereo_repeats_mono() -> None:
    assert arrange_channels(np.float32([[1.0, 0.0]]), "stereo").tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_arrange_channels_mid_side_is_half_sum_and_difference() -> None:
    two = np.array([[1.0, 0.0], [0.0, 0.5]], np.float32)
    assert arrange_channels(two, "mid-side").tolist() == [[0.5, 0.25], [0.5, -0.25]]
