"""Check that both sides compute the same features, probabilities and logits, and compare 200 training steps."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.speed import inputs, ours, reference
from benchmarks.speed.plain_network import plain
from scenelet.inference.classifier import load
from scenelet.inference.runtimes import RuntimeName
from scenelet.nn import cpp_build as compiled
from scenelet.nn import create_model
from scenelet.nn.blocks import to_channels_last

STEPS, DRIFT_SHAPE, DRIFT_SEEDS = 200, (2, 64, 65), (0, 1, 2)


def largest_differences(folder: Path, runtimes: Sequence[RuntimeName]) -> dict[str, float]:
    """Return the largest difference between our results and the plain reference, by row."""
    clip = folder / inputs.CLIP
    found = {}
    for order in ("db_then_mel", "mel_then_db"):
        found[order] = float(np.abs(ours.log_mel(clip, order)() - reference.log_mel(clip, order)).max())
    same = plain(inputs.load_weights(folder))
    expected = reference.classify(same, clip)
    for runtime in runtimes:
        prediction = load(folder / inputs.MODEL, runtime=runtime).predict(clip)
        key = "file" if runtime == "onnxruntime" else "file_openvino"
        found[key] = float(np.abs(prediction.windows[0] - expected).max())
    x = torch.randn(4, *inputs.SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fast = inputs.load_weights(folder).train()(x)
        found["training_same"] = float((fast - same.train()(x)).abs().max())
    return found


def drift() -> dict[str, Any]:
    """Measure how far trainings of 200 steps in fp32 with the same seed and batches diverge, for three seeds.

    `fast` compares compiled layers with PyTorch's. `threads` compares one thread with all, without compiled layers.
    `layout` compares the fast path with the plain network in the default memory layout, where the convolutions also sum
    in another order. Each number is the distance of all final weights, relative to their length.
    """
    found: dict[str, Any] = {"steps": STEPS, "threads_of_all": torch.get_num_threads(), "seeds": []}
    for seed in DRIFT_SEEDS:
        fast = _trained(to_channels_last, seed)
        with _without_compiler():
            separate = _trained(to_channels_last, seed)
            single = _trained(to_channels_last, seed, threads=1)
        default = _trained(plain, seed)
        distances = {"fast": (fast, separate), "threads": (single, separate), "layout": (fast, default)}
        found["seeds"].append({name: _distance(*pair) for name, pair in distances.items()})
    return found


@contextlib.contextmanager
def _without_compiler() -> Iterator[None]:
    os.environ["SCENELET_COMPILE"] = "0"
    compiled.library.cache_clear()
    try:
        yield
    finally:
        del os.environ["SCENELET_COMPILE"]
        compiled.library.cache_clear()


def _trained(prepare: Callable[[nn.Module], nn.Module], seed: int, threads: int | None = None) -> Tensor:
    """Return all convolution weights after 200 steps of Adam at the paper's rate, on noise with random labels."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        generator = torch.Generator().manual_seed(seed)
        network = prepare(create_model("shared_resnet", num_classes=3, generator=generator))
        optimizer = torch.optim.Adam(network.train().parameters(), inputs.settings().schedule.learning_rate)
        for _ in range(STEPS):
            x = torch.randn(inputs.BATCH, *DRIFT_SHAPE, generator=generator)
            y = torch.randint(3, (inputs.BATCH,), generator=generator)
            optimizer.zero_grad()
            functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    finally:
        torch.set_num_threads(before)
    return torch.cat([p.detach().flatten() for p in network.parameters() if p.ndim == 4])


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).double().norm() / b.double().norm())


def has_compiler() -> bool:
    """Return whether the norms are compiled. Without a compiler there is nothing to compare."""
    return compiled.library() is not None
