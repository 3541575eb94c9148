"""What the machine can do at best, measured in the same run: arithmetic, memory, and the libraries' own work."""

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
from scenelet.model import costs
from scenelet.model import file as modelfile
from scenelet.model import ops as nodes
from scenelet.training.loop import has_native_bf16
from scenelet.utils.parallel import cpu_count


def best(step: Callable[[], object], repeats: int = 7) -> float:
    """Seconds of the fastest of some calls, after one that warms up."""
    step()
    return min(_seconds(step) for _ in range(repeats))


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def arithmetic() -> dict[str, float]:
    """FLOP/s of a 4096 x 4096 x 4096 matrix product, and bytes/s of a copy that fits no cache.

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
"""Passes over its values that a norm with its ReLU makes, forward and backward; and with a residual."""


def work(place: Path) -> dict[str, int]:
    """Of the network, for one clip: multiply-accumulates, and the bytes that norms move in a training step in bf16."""
    model = modelfile.read_model(place / inputs.MODEL)
    arguments = model.nodes, model.array_shapes, model.input_shape
    known = nodes.shapes(*arguments)
    added = {name for node in model.nodes if isinstance(node, nodes.Add) for name in node.reads}
    moved = 0
    for node in model.nodes[1:]:  # the first one standardizes the input
        if isinstance(node, nodes.ScaleShift):
            passes = RESIDUAL_PASSES if node.output in added else NORM_PASSES
            moved += 2 * math.prod(known[node.output]) * passes
    return {"macs": costs.macs(*arguments), "norm_bytes": moved}


def libraries(place: Path) -> float:
    """Seconds that libsndfile, soxr (a channel a thread) and the FFT of every frame (SciPy, all threads) take alone."""
    path = place / inputs.CLIP
    rate = inputs.settings().features.sample_rate
    samples, source_rate = soundfile.read(path, dtype="float32")
    channels = [np.ascontiguousarray(channel) for channel in samples.T]
    frames = np.zeros((2, inputs.SHAPE[2], inputs.settings().features.n_fft), np.float32)
    with ThreadPoolExecutor(2) as threads:
        reading = best(lambda: soundfile.read(path, dtype="float32"))
        resampling = best(lambda: list(threads.map(lambda one: soxr.resample(one, source_rate, rate), channels)))
    return reading + resampling + best(lambda: fft.rfft(frames, workers=cpu_count()))
