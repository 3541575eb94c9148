"""Limits of the machine: arithmetic, memory, and the work of the libraries."""

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
from scenelet.audio.io import blocks
from scenelet.model import costs, ops
from scenelet.model.file import read_model
from scenelet.model.shapes import shapes
from scenelet.training.precision import has_native_bf16
from scenelet.utils.parallel import cpu_count

Step = Callable[[], object]


def best(step: Step, repeats: int = 7) -> float:
    """Return the seconds of the fastest of some calls, after one to warm up."""
    step()
    return min(_seconds(step) for _ in range(repeats))


def _seconds(step: Step) -> float:
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


def libraries(folder: Path) -> dict[str, float]:
    """Return the seconds of libsndfile, soxr and SciPy for `inputs.CLIP`, and those of our reader of WAV files."""
    path = folder / inputs.CLIP
    read, resample, transform = library_steps(path)
    return {
        "libsndfile": best(read),
        "soxr": best(resample),
        "scipy": best(transform),
        "our_reader": best(lambda: list(blocks(path))),
    }


def library_steps(path: Path) -> tuple[Step, Step, Step]:
    """Return the work of libsndfile, soxr (one thread per channel) and the FFT of every frame (SciPy, all threads)."""
    rate = inputs.settings().features.sample_rate
    samples, source_rate = soundfile.read(path, dtype="float32")
    channels = [np.ascontiguousarray(channel) for channel in samples.T]
    frames = np.zeros((2, inputs.SHAPE[2], inputs.settings().features.n_fft), np.float32)
    threads = ThreadPoolExecutor(len(channels))
    return (
        lambda: soundfile.read(path, dtype="float32"),
        lambda: list(threads.map(lambda one: soxr.resample(one, source_rate, rate), channels)),
        lambda: fft.rfft(frames, workers=cpu_count()),
    )


def build(row: str, folder: Path) -> Step:
    """Build the step of the libraries alone, the floor of a log-mel row."""
    steps = library_steps(folder / inputs.CLIP)
    return lambda: [step() for step in steps]
