"""Limits of the machine, measured in the same run: arithmetic, memory, and the work of the libraries."""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from scipy import fft

from benchmarks.speed import inputs
from scenelet.model import costs, ops
from scenelet.model.file import read_model
from scenelet.model.shapes import shapes
from scenelet.training.precision import has_native_bf16
from scenelet.utils.parallel import cpu_count


def best(step: Callable[[], object], repeats: int = 7) -> float:
    """Return the seconds of the fastest of some calls, after one to warm up."""
    step()
    return min(_seconds(step) for _ in range(repeats))


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def arithmetic() -> dict[str, float]:
    """Measure the FLOP/s of a 4096 x 4096 x 4096 matrix product, and the bytes/s of a copy larger than the caches.

    The product is in bf16 where the processor multiplies it, else in fp32: without such an instruction bf16 takes
    minutes, and is no limit of anything.
    """
    a = torch.randn(4096, 4096)
    a = a.bfloat16() if has_native_bf16() else a
    flops = 2 * 4096**3 / best(lambda: a @ a)
    source = torch.randn(64 << 20)
    target = torch.empty_like(source)
    return {"flops": flops, "bytes": 2 * 4 * source.numel() / best(lambda: target.copy_(source))}


NORM_PASSES, RESIDUAL_PASSES = 3 + 5, 4 + 7
"""Number of passes over the values of a norm with ReLU, forward and backward, without and with a residual."""


def work(folder: Path) -> dict[str, int]:
    """Count for one clip the multiply-accumulates, and the bytes that norms move in a training step in bf16."""
    model = read_model(folder / inputs.MODEL)
    arguments = model.nodes, model.array_shapes, model.input_shape
    known = shapes(*arguments)
    added = {name for node in model.nodes if isinstance(node, ops.Add) for name in node.reads}
    moved = 0
    for node in model.nodes[1:]:  # the first one standardizes the input
        if isinstance(node, ops.ScaleShift):
            passes = RESIDUAL_PASSES if node.output in added else NORM_PASSES
            moved += 2 * math.prod(known[node.output]) * passes
    return {"macs": costs.macs(*arguments), "norm_bytes": moved}


def libraries(folder: Path) -> float:
    """Time only libsndfile, soxr (one thread per channel) and the FFT of every frame (SciPy, all threads)."""
    path = folder / inputs.CLIP
    rate = inputs.settings().features.sample_rate
    samples, source_rate = soundfile.read(path, dtype="float32")
    channels = [np.ascontiguousarray(channel) for channel in samples.T]
    frames = np.zeros((2, inputs.SHAPE[2], inputs.settings().features.n_fft), np.float32)
    with ThreadPoolExecutor(2) as threads:
        reading = best(lambda: soundfile.read(path, dtype="float32"))
        resampling = best(lambda: list(threads.map(lambda one: soxr.resample(one, source_rate, rate), channels)))
    return reading + resampling + best(lambda: fft.rfft(frames, workers=cpu_count()))
