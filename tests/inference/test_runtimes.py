"""Tests of the libraries that run a network."""

import concurrent.futures
import os
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from helpers.processes import run_python
from helpers.tiny_model import tiny_model
from scenelet.errors import MissingExtraError, UsageError
from scenelet.inference import runtimes
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


FORKED = """
import multiprocessing, os, sys
import numpy as np, scenelet

classifier = scenelet.load("esc10", threads=4, runtime=sys.argv[1])
noise = np.random.default_rng(0).normal(0, 0.1, 10 * 22050)
expected = classifier.predict_proba(noise, 22050)  # several windows; starts all threads

def difference(item):
    return float(abs(classifier.predict_proba(noise, 22050) - expected).max())

with multiprocessing.get_context("fork").Pool(2) as pool:
    print(max(pool.map(difference, range(4))))
for used in (True, False):
    child = os.fork()
    if child == 0:
        print(used and difference(0))
        sys.exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_networks_work_in_a_process_forked_after_use(
    runtime: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """As in `multiprocessing.Pool` on Linux, or under gunicorn --preload. At its end, a process frees its networks."""
    if runtime == "openvino":
        request.getfixturevalue("openvino")
    done = run_python(tmp_path, FORKED, runtime)
    assert done.stdout.split() == ["0.0", "0.0", "0", "False", "0"], done.stderr


def test_open_network_later_opens_once_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    model, opened = tiny_model(), []
    together = threading.Barrier(4)

    def open_slowly(*arguments: Any) -> Any:
        opened.append(arguments)
        time.sleep(0.05)
        return lambda log_mel: log_mel

    monkeypatch.setitem(runtimes._RUNTIMES, "onnxruntime", open_slowly)
    network = runtimes.open_network(model.nodes, model.arrays, model.input_shape, at_once=False)
    assert not opened

    def call(number: int) -> float:
        together.wait(60)
        return float(network(np.full(1, number, np.float32))[0])

    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        assert list(executor.map(call, range(4))) == [0, 1, 2, 3]
    assert len(opened) == 1
