"""The check at export: what the interpreters give, and reasons not to write a file."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from helpers.tiny_model import changed, tiny_model
from scenelet.export.tflite import check, file
from scenelet.export.tflite.check import check_tflite
from scenelet.export.tflite.file import tflite_bytes
from scenelet.export.tflite.interpreters import (
    ARENA_STEP,
    LITERT,
    LITERT_REFERENCE,
    MICRO,
    load_micro,
    run_interpreter,
    run_windows,
)
from scenelet.inference.classifier import Classifier

NAMES = [LITERT, LITERT_REFERENCE, MICRO]
REASONS = ("no RSQRT", "it crashed with code -11")
Rows = np.ndarray


@pytest.fixture
def windows() -> list[np.ndarray]:
    return list(np.random.default_rng(1).normal(-40, 12, (12, *tiny_model().input_shape)).astype(np.float32))


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(tiny_model(), threads=1)


def test_float_file_agrees_in_all_interpreters(classifier: Classifier, capfd: pytest.CaptureFixture[str]) -> None:
    found = check_tflite(tflite_bytes(tiny_model()), classifier)
    assert [one.runtime for one in found.runtimes] == NAMES
    assert all(one.largest_difference < 1e-5 and one.windows == 4 for one in found.runtimes)
    assert found.error == ""
    assert found.arena_bytes > 0
    assert "".join(capfd.readouterr()) == ""  # LiteRT and tflite-micro print to stderr


def test_int8_file_is_compared_on_held_out_windows(classifier: Classifier, windows: list[np.ndarray]) -> None:
    found = check_tflite(tflite_bytes(tiny_model(), windows), classifier, windows)
    assert [one.windows for one in found.runtimes] == [12, 8, 8]
    assert all(0 < one.largest_difference < 0.1 for one in found.runtimes)
    assert found.error == ""


def test_file_of_another_model_is_refused(classifier: Classifier) -> None:
    other = changed(tiny_model(1), features=tiny_model().features)
    assert check_tflite(tflite_bytes(other), classifier).error.startswith(
        "in LiteRT its probabilities differ from the model file's by 0."
    )


def test_damaged_file_is_refused_in_one_line(classifier: Classifier) -> None:
    found = check_tflite(b"\x10\0\0\0TFL3" + bytes(100), classifier)
    assert found.error.startswith("LiteRT cannot run it (")
    assert found.arena_bytes is None
    assert all(one.largest_difference is None and one.error and "\n" not in one.error for one in found.runtimes)


def fake(rows: dict[str, Any]) -> Callable[..., tuple[Rows, int]]:
    """Return a runner that adds a number to the first probability of one window, or fails."""
    classifier = Classifier(tiny_model(), threads=1)

    def run(name: str, exported: bytes, log_mels: Rows) -> tuple[Rows, int]:
        if rows[name] in REASONS:
            raise RuntimeError(rows[name])
        found = classifier.probabilities(log_mels).copy()
        found[0, 0] += rows[name]
        return found, 0

    return run


@pytest.mark.parametrize(
    ("rows", "int8", "error"),
    [
        ((0.0, 0.0, 0.0), False, ""),
        ((0.0005, 0.0, 0.0), False, ""),
        ((0.0, 0.0, 0.002), False, "in tflite-micro its probabilities differ from the model file's by 0.002"),
        ((float("nan"), 0.0, 0.0), False, "in LiteRT its probabilities differ from the model file's by nan"),
        ((0.0, 0.0, "no RSQRT"), False, ""),
        (("no RSQRT", 0.0, 0.0), True, "LiteRT cannot run it (no RSQRT)"),
        ((0.2, 0.1, 0.1), True, ""),
        ((0.1, 0.1, 0.1 + 1 / 256), True, "tflite-micro and LiteRT with reference kernels differ on 1 of 8 windows"),
        ((0.1, 0.1, "it crashed with code -11"), True, ""),
    ],
)
def test_reasons_not_to_write_a_file(
    rows: tuple[float | str, ...], int8: bool, error: str, windows: list[np.ndarray], classifier: Classifier,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(check, "run_interpreter", fake(dict(zip(NAMES, rows, strict=True))))
    found = check_tflite(b"", classifier, windows if int8 else ())
    assert found.error == error
    reasons = [row if isinstance(row, str) else "" for row in rows]
    assert [one.error for one in found.runtimes] == reasons


def test_check_without_tflite_micro_says_so(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = tflite_bytes(tiny_model())
    monkeypatch.setitem(sys.modules, file.MICRO, None)
    found = check_tflite(exported, classifier)
    assert found.runtimes[2].error == "the package tflite-micro exists for Linux on x86-64 only"
    assert (found.arena_bytes, found.error) == (None, "")


def test_arena_is_the_smallest_that_suffices(windows: list[np.ndarray]) -> None:
    exported, log_mels = tflite_bytes(tiny_model(), windows), np.stack(windows)
    rows, arena = run_interpreter(MICRO, exported, log_mels)
    np.testing.assert_array_equal(run_windows(load_micro(exported, arena), log_mels), rows)
    script = "import sys; from scenelet.export.tflite.interpreters import fits; data = sys.stdin.buffer.read()"
    script += "; print([fits(data, int(arena)) for arena in sys.argv[1:]])"
    sizes = [arena, arena - ARENA_STEP, 100]  # the last one crashes
    command = [sys.executable, "-c", script, *map(str, sizes)]
    done = subprocess.run(command, input=exported, capture_output=True, check=True)
    assert done.stdout == b"[True, False, False]\n"
