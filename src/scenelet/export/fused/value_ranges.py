"""Ranges of a network's values, found with ONNX Runtime on calibration windows.

A range is the one with the smallest mean squared error in int8: the few largest numbers are limited, so that all others
get a finer step. The network's input keeps its full range.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scenelet.export.onnx_file import open_session
from scenelet.inference.onnx_network import to_onnx
from scenelet.model.ops import INPUT
from scenelet.model.scene_model import SceneModel

Ranges = Mapping[str, tuple[float, float]]
"""Lowest and highest number of each value by name."""
BINS = 4096
FRACTIONS = np.linspace(1.0, 0.3, 15)
"""Fractions of the minimum and maximum that are tried as limits."""
STEPS = 255


def value_ranges(model: SceneModel, names: Iterable[str], log_mels: Sequence[NDArray[np.float32]]) -> Ranges:
    """Return the ranges of values for int8.

    Args:
        model: the content of a `.scn` file.
        names: values of the model.
        log_mels: calibration windows (channels, n_mels, frames) in dB.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> model = read_model(built_in("esc10"))
    >>> noise = np.random.default_rng(0).normal(-40, 10, model.input_shape).astype(np.float32)
    >>> low, high = value_ranges(model, ["stem_1"], [noise])["stem_1"]
    >>> low == 0 < high
    True
    """
    wanted = sorted({*names} - {INPUT})
    run = _runner(model, wanted)
    limits = dict.fromkeys(wanted, (np.inf, -np.inf))
    for log_mel in log_mels:
        for name, value in run(log_mel):
            low, high = limits[name]
            limits[name] = min(low, float(value.min())), max(high, float(value.max()))
    counts = {name: np.zeros(BINS, np.int64) for name in wanted}
    for log_mel in log_mels:
        for name, value in run(log_mel):
            counts[name] += _histogram(value, *limits[name])
    ranges = {name: _best_range(*limits[name], counts[name]) for name in wanted}
    lowest, highest = min(map(np.min, log_mels)), max(map(np.max, log_mels))
    return ranges | {INPUT: (float(lowest), float(highest))}


def _runner(
    model: SceneModel, wanted: list[str]
) -> Callable[[NDArray[np.float32]], Iterable[tuple[str, NDArray[np.float32]]]]:
    """Return a function from a window to pairs of a value's name and numbers."""
    import onnx

    proto = to_onnx(model.nodes, model.arrays, model.input_shape)
    known = {output.name for output in proto.graph.output}
    for name in wanted:
        if name not in known:
            proto.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = open_session(proto.SerializeToString())

    def run(log_mel: NDArray[np.float32]) -> Iterable[tuple[str, NDArray[np.float32]]]:
        return zip(wanted, session.run(wanted, {INPUT: log_mel[None]}), strict=True)

    return run


def _histogram(value: NDArray[np.float32], low: float, high: float) -> NDArray[np.int64]:
    """Count the numbers in `BINS` equal bins from low to high."""
    if high <= low:
        return np.bincount(np.zeros(value.size, np.int64), minlength=BINS)
    bins = ((value.ravel().astype(np.float64) - low) * (BINS / (high - low))).astype(np.int64)
    return np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)


def _best_range(low: float, high: float, counts: NDArray[np.int64]) -> tuple[float, float]:
    """Return the range with the smallest mean squared error of limiting and rounding."""
    numbers = low + (np.arange(BINS) + 0.5) * (high - low) / BINS
    shares = counts / counts.sum()
    low, high = min(low, 0.0), max(high, 0.0)
    best = np.inf, low, high
    for lower in low * FRACTIONS if low < 0 else [0.0]:
        for upper in high * FRACTIONS if high > 0 else [0.0]:
            limiting = float(np.square(np.clip(numbers, lower, upper) - numbers) @ shares)
            rounding = float((upper - lower) / STEPS) ** 2 / 12
            best = min(best, (limiting + rounding, float(lower), float(upper)))
    return best[1], best[2]
