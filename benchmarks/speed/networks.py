"""Training steps of our networks, in every precision, next to the same networks in plain PyTorch.

Both sides make the same step on a batch of noise: forward, cross-entropy, backward, optimizer. Ours is built as
`scenelet train` builds it. The other side has the default memory layout, PyTorch's layers and `torch.optim.Adam`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from benchmarks.speed import inputs
from benchmarks.speed.plain_network import plain
from benchmarks.speed.timing import Side, in_turn
from scenelet.nn import create_model
from scenelet.nn.blocks import to_channels_last
from scenelet.training.optimizer import build_optimizer

CLASSES, THREADS = 10, (1, 2)
DEFAULT_SHAPE = (16, 1, 64, 216)
"""A batch of the recipe `default`."""


class Network(NamedTuple):
    """A network to measure, and how many steps are in one turn."""

    title: str
    name: str
    settings: Mapping[str, Any]
    shape: tuple[int, int, int, int]
    steps: int


PAPER_SHAPE = (inputs.BATCH, *inputs.SHAPE)
NETWORKS = {
    "shared_resnet_64": Network("Shared-ResNet, width 64", "shared_resnet", {"width": 64}, PAPER_SHAPE, 1),
    "cp_resnet": Network("CP-ResNet", "cp_resnet", {}, PAPER_SHAPE, 1),
    "bc_resnet_38": Network("BC-ResNet, width 38", "bc_resnet", {"width": 38, "sub_bands": 2}, DEFAULT_SHAPE, 1),
    "shared_resnet_28": Network("Shared-ResNet, width 28", "shared_resnet", {"width": 28}, DEFAULT_SHAPE, 5),
    "dcase2020_baseline": Network(
        "DCASE 2020 baseline", "dcase2020_baseline", {"n_mels": 40, "frames": 501}, (16, 1, 40, 501), 3
    ),
}


def measure(
    folder: Path, rounds: int, environment: Mapping[str, str], has_bf16: bool
) -> dict[str, dict[str, list[float]]]:
    """Measure the milliseconds per clip of every network with one and two threads.

    Returns:
        For each "NETWORK THREADS" the rounds of each side, "ours fp32", "plain fp32" and, with bf16, two more.
    """
    precisions = ("fp32", "bf16") if has_bf16 else ("fp32",)
    found = {}
    for name, network in NETWORKS.items():
        for threads in THREADS:
            sides = {
                f"{side} {precision}": Side("networks", f"{side} {name} {precision} {threads}")
                for precision in precisions
                for side in ("ours", "plain")
            }
            seconds = in_turn(sides, folder, rounds, network.steps, environment)
            found[f"{name} {threads}"] = {
                side: [1000 * value / network.shape[0] for value in values] for side, values in seconds.items()
            }
    return found


def build(row: str, folder: Path) -> Callable[[], object]:
    """Build the step of a row "SIDE NETWORK PRECISION THREADS"."""
    side, name, precision, threads = row.split()
    torch.set_num_threads(int(threads))
    network = NETWORKS[name]
    generator = torch.Generator().manual_seed(0)
    settings = {"in_channels": network.shape[1], **network.settings}
    built = create_model(network.name, num_classes=CLASSES, generator=generator, **settings)
    built = (to_channels_last(built) if side == "ours" else plain(built)).train()
    optimizer: torch.optim.Optimizer
    if side == "ours":
        optimizer, _ = build_optimizer(built, inputs.settings().schedule, steps_per_epoch=1)
    else:
        optimizer = torch.optim.Adam(built.parameters(), 1e-4)
    x = torch.randn(*network.shape, generator=generator)
    y = torch.randint(CLASSES, (network.shape[0],), generator=generator)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = built(x)
        functional.cross_entropy(logits.float(), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step
