"""That both sides compute the same: features, probabilities, logits, and where 200 training steps lead."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from scenelet.bench import inputs, ours, reference
from scenelet.classifier import load
from scenelet.nn import compiled, create_model
from scenelet.nn.blocks import arrange
from scenelet.parallel import cores

STEPS, DRIFT_SHAPE, RATE = 200, (2, 64, 65), 1e-3


def largest_differences(place: Path) -> dict[str, float]:
    """Largest difference between ours and the plain reference, of the same thing, by row."""
    clip = place / inputs.CLIP
    found = {}
    for order in ("db_then_mel", "mel_then_db"):
        found[order] = float(np.abs(ours.log_mel(clip, order)() - reference.log_mel(clip, order)).max())
    same = reference.plain(inputs.load_weights(place))
    expected = reference.classify(same, clip)
    for runtime in ("onnxruntime", "openvino"):
        prediction = load(place / inputs.MODEL, runtime=runtime).predict(clip)
        key = "file" if runtime == "onnxruntime" else "file_openvino"
        found[key] = float(np.abs(prediction.windows[0] - expected).max())
    x = torch.randn(4, *inputs.SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fast = inputs.load_weights(place).train()(x)
        found["training_same"] = float((fast - same.train()(x)).abs().max())
    return found


def drift() -> dict[str, float]:
    """How far 200 steps in fp32 part from each other, from one seed and on the same batches.

    `fast`: the compiled norms against the plain ones. `threads`: the plain ones on one thread against
    all. Each is the distance of all weights in the end, relative to their length.
    """
    available = torch.get_num_threads()
    plain = _trained(reference.plain, available)
    fast = _trained(arrange, available)
    single = _trained(reference.plain, 1)
    return {"fast": _distance(fast, plain), "threads": _distance(single, plain), "steps": STEPS, "cores": cores()}


def _trained(prepare: Callable[[nn.Module], nn.Module], threads: int) -> Tensor:
    """All convolution weights after 200 steps of Adam on noise with random labels."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        network = prepare(create_model("shared_resnet", num_classes=3, generator=torch.Generator().manual_seed(0)))
        optimizer = torch.optim.Adam(network.train().parameters(), RATE)
        generator = torch.Generator().manual_seed(1)
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
    """Whether the norms are compiled here; without a compiler there is nothing to compare."""
    return compiled.library() is not None
