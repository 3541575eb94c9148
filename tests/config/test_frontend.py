"""Frames and windows are counted as the front end makes them."""

import pytest
from pydantic import ValidationError

from scenelet.config import FeatureConfig, WindowConfig


@pytest.mark.parametrize(("total", "count"), [(1, 1), (8000, 1), (8400, 1), (8401, 2), (16000, 2), (16401, 3)])
def test_window_count_drops_a_short_rest(total: int, count: int) -> None:
    assert WindowConfig(seconds=1.0, min_last_fraction=0.05).count(total, 8000) == count


def test_window_hop_longer_than_the_window_is_refused() -> None:
    with pytest.raises(ValidationError, match="would skip sound"):
        WindowConfig(seconds=1.0, hop_seconds=1.5)


def test_features_channels_and_upper_edge() -> None:
    assert [FeatureConfig(channels=name).n_channels for name in ("mono", 3, "stereo", "mid-side")] == [1, 1, 2, 2]
    assert FeatureConfig(sample_rate=16000).top_hz == 8000
    assert FeatureConfig(sample_rate=16000, fmax_hz=4000).top_hz == 4000


def test_features_band_above_half_the_rate_is_refused() -> None:
    with pytest.raises(ValidationError, match="above half the sample rate"):
        FeatureConfig(sample_rate=16000, fmax_hz=9000)
