"""Tests of the libraries that run a network."""

import sys
import threading
from types import ModuleType

import numpy as np
import pytest

from helpers.tiny_model import tiny_model
from scenelet.errors import MissingExtraError, UsageError
from scenelet.inference.classifier import Classifier
from scenelet.inference.runtimes import check_runtime

RATE = 8000


def test_openvino_agrees_with_onnxruntime(openvino: ModuleType) -> None:
    classifier = Classifier(tiny_model(), threads=1)
    other = Classifier(classifier.model, threads=2, runtime="openvino")
    samples = np.random.default_rng(0).normal(0, 0.1, (2, 5000)).astype(np.float32)
    for found in (other.predict_proba(samples, RATE), other.predict_proba(samples[:, :1600], RATE)):
        assert float(found.sum()) == pytest.approx(1, abs=1e-3)
    # bf16 has eight bits, and the tiny network's weights are random
    expected = classifier.predict_proba(samples, RATE)
    np.testing.assert_allclose(other.predict_proba(samples, RATE), expected, atol=0.03)


def test_openvino_first_inference_is_in_one_thread(openvino: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    infer, threads = openvino.InferRequest.infer, []

    def recorded(*arguments: object, **settings: object) -> object:
        threads.append(threading.get_ident())
        return infer(*arguments, **settings)

    monkeypatch.setattr(openvino.InferRequest, "infer", recorded)
    Classifier(tiny_model(), threads=2, runtime="openvino")
    assert threads == [threading.get_ident()]


def test_check_runtime_unknown_name_raises() -> None:
    with pytest.raises(UsageError, match="did you mean 'openvino'"):
        check_runtime("openvinno")


def test_check_runtime_not_installed_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install .scenelet\[openvino\]"):
        check_runtime("openvino")
