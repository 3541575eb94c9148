"""Path of one window through a model."""

import dataclasses

import numpy as np
import pytest

from helpers.tiny_model import tiny_model
from scenelet.audio.log_mel import LogMel
from scenelet.errors import ModelFileError
from scenelet.inference.pipeline import make_pipeline


def test_pipeline_of_samples_equals_network_of_log_mel(rng: np.random.Generator) -> None:
    model = tiny_model()
    pipeline = make_pipeline(model, "onnxruntime", threads=1, callers=1)
    samples = rng.uniform(-0.5, 0.5, (2, 1600)).astype(np.float32)
    probabilities, similarity = pipeline(samples)
    assert probabilities.shape == (3,)
    assert float(probabilities.sum()) == pytest.approx(1, abs=1e-6)
    assert similarity is None
    assert np.array_equal(probabilities, pipeline.run_network(LogMel(model.features, 1)(samples)).probabilities)


def test_pipeline_refuses_probabilities_that_are_not_finite(rng: np.random.Generator) -> None:
    model = tiny_model()
    arrays = {name: np.full_like(array, np.nan) for name, array in model.arrays.items()}
    pipeline = make_pipeline(dataclasses.replace(model, arrays=arrays), "onnxruntime", threads=1, callers=1)
    with pytest.raises(ModelFileError, match="not finite numbers"):
        pipeline(rng.uniform(-0.5, 0.5, (2, 1600)).astype(np.float32))
