"""Check of an exported `.tflite` file: its interpreters against the model file and against each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from scenelet.export.onnx_file import RuntimeCheck, Values, compare_rows, comparison_windows
from scenelet.export.tflite import file
from scenelet.export.tflite.interpreters import LITERT, LITERT_REFERENCE, MICRO, run_interpreter
from scenelet.inference.classifier import Classifier

TOLERANCE = 1e-3
"""Maximum difference of a probability between a file in float and its model."""
MAX_SLOW_WINDOWS = 8
"""Maximum count of windows for the interpreters without fast kernels."""


@dataclass(frozen=True)
class TfliteCheck:
    """Comparison of a `.tflite` file with its model.

    Attributes:
        runtimes: one comparison per interpreter.
        arena_bytes: the memory that tflite-micro needs on this 64-bit machine, or None if it did not run.
        error: why the file should not be used, or an empty string.
    """

    runtimes: list[RuntimeCheck]
    arena_bytes: int | None
    error: str


def check_tflite(exported: bytes, classifier: Classifier, windows: Sequence[Values] = ()) -> TfliteCheck:
    """Run a file in LiteRT and tflite-micro.

    A file in float must give the probabilities of the model, within `TOLERANCE`. For a file in int8, LiteRT's reference
    kernels and tflite-micro must give the same integers. LiteRT's fast kernels round differently.

    Args:
        exported: the bytes of the file.
        classifier: the model.
        windows: held-out windows (channels, n_mels, frames) for a file in int8. Without them the file is in float, and
            is compared on synthetic windows.
    """
    inputs, expected = comparison_windows(classifier, "log-mel", windows)
    slow = np.unique(np.linspace(0, len(inputs) - 1, MAX_SLOW_WINDOWS).round().astype(int))
    chosen = {LITERT: np.arange(len(inputs)), LITERT_REFERENCE: slow, MICRO: slow}
    checks: list[RuntimeCheck] = []
    found: dict[str, Values] = {}
    arena = 0
    for name, indices in chosen.items():
        try:
            if name == MICRO and find_spec(file.MICRO) is None:
                raise RuntimeError("the package tflite-micro exists for Linux on x86-64 only")
            found[name], arena = run_interpreter(name, exported, np.stack(inputs)[indices])
        except RuntimeError as error:
            checks.append(RuntimeCheck(name, None, error=str(error)))
            continue
        checks.append(compare_rows(name, found[name], expected[indices]))
    return TfliteCheck(checks, arena or None, _error(checks, found, is_int8=bool(windows)))


def _error(checks: Sequence[RuntimeCheck], found: dict[str, Values], is_int8: bool) -> str:
    """Return why a file should not be used, or an empty string."""
    for check in checks:
        difference = check.largest_difference
        if difference is None and check.runtime == LITERT:
            return f"{LITERT} cannot run it ({check.error})"
        if difference is not None and not difference <= (1.0 if is_int8 else TOLERANCE):  # also refuses NaN
            return f"in {check.runtime} its probabilities differ from the model file's by {difference:.3g}"
    if is_int8 and LITERT_REFERENCE in found and MICRO in found:
        others = int((found[LITERT_REFERENCE] != found[MICRO]).any(axis=1).sum())
        if others:
            return f"{MICRO} and {LITERT_REFERENCE} differ on {others} of {len(found[MICRO])} windows"
    return ""
