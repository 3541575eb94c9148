"""Tests of the mean over the windows of a recording."""

import numpy as np

from scenelet.inference.prediction import mean_probabilities


def test_mean_probabilities_sums_to_one() -> None:
    mean = mean_probabilities(np.float32([[0.5, 0.51], [0.25, 0.76]]))
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, [0.375 / 1.01, 0.635 / 1.01], rtol=1e-6)
