"""Compare a training on two devices with the same training on one, and print the table of docs/devices.md.

    python -m benchmarks.speed.devices ESC10 [--steps 50] [--set KEY=VALUE] [--double]

It trains the recipe `paper_short` in fp32 on fold 1 of ESC-10, without mixing and augmentation: in one process with
one thread, and in two gloo processes with the same batches. A hook records the loss of each step (on two devices, the
mean of the weighted losses). The weights are those after the last step. For comparison, it also trains in one process
with two threads, and in one with PyTorch's norms instead of the compiled ones. `--double` computes in float64, which
separates rounding from errors. `--eps` sets the epsilon of Adam. Nothing is timed.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from scenelet.config.recipes import load_recipe
from scenelet.training.distributed import all_reduce_mean
from scenelet.training.module import SceneModule
from scenelet.training.train import train

PLAIN = ["precision=fp32", "mixing.combine=none", "augment.time_roll=0", 'split.fold="1"']
DOUBLE, EPS = "SCENELET_BENCH_DOUBLE", "SCENELET_BENCH_EPS"
LOSSES, FINAL = "losses.json", "final.pt"
TWO, PER_DEVICE = "trainer.devices=2", "trainer.sync_batchnorm=false"


def work(data: Path, out: Path, changes: list[str], steps: int, epochs: int | None) -> None:
    """Train into `out`, or go on there, until so many steps, or epochs, are done; the process ends there."""
    noted: list[float] = json.loads((out / LOSSES).read_text()) if (out / LOSSES).exists() else []
    end_batch, begin_epoch = SceneModule.on_train_batch_end, SceneModule.on_train_epoch_start

    def leave(module: SceneModule) -> None:
        if not module.rank.is_worker:
            (out / LOSSES).write_text(json.dumps(noted))
            torch.save(module.network.state_dict(), out / FINAL)
        if not module.rank.is_single:
            distributed.barrier()
        os._exit(0)

    def on_train_batch_end(self: SceneModule, *arguments: Any) -> None:
        end_batch(self, *arguments)
        loss = self._losses[-1]
        noted.append(float(loss if self.rank.is_single else all_reduce_mean(loss)))
        if len(noted) == steps:
            leave(self)

    def on_train_epoch_start(self: SceneModule) -> None:
        if self.current_epoch == epochs:
            leave(self)
        begin_epoch(self)

    setattr(SceneModule, "on_train_batch_end", on_train_batch_end)  # noqa: B010
    setattr(SceneModule, "on_train_epoch_start", on_train_epoch_start)  # noqa: B010
    train(data, out, load_recipe("paper_short", [*PLAIN, *changes]), recipe="paper_short", resume=True)
    sys.exit(f"{out}: the training has fewer than {steps} steps")


def start(
    data: Path, out: Path, changes: list[str], steps: int, threads: int = 1, epochs: int | None = None, **more: str
) -> Path:
    """Run `work` in processes of its own and return `out`."""
    command = [sys.executable, "-m", "benchmarks.speed.devices", str(data), "--out", str(out), "--steps", str(steps)]
    command += [part for change in changes for part in ("--set", change)]
    command += [] if epochs is None else ["--epochs", str(epochs)]
    ran = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": str(threads)} | more)
    if ran.returncode:
        sys.exit(f"{out.name}: failed")
    return out


def compute_in_float64() -> None:
    """Make PyTorch compute in float64 where the package asks for float32."""
    torch.set_default_dtype(torch.float64)
    setattr(torch.Tensor, "float", torch.Tensor.double)  # noqa: B010


def set_eps(eps: float) -> None:
    """Set the epsilon of Adam, instead of PyTorch's 1e-8."""
    configure = SceneModule.configure_optimizers

    def configure_optimizers(self: SceneModule) -> Any:
        chosen = configure(self)
        for group in chosen["optimizer"].param_groups:
            group["eps"] = eps
        return chosen

    setattr(SceneModule, "configure_optimizers", configure_optimizers)  # noqa: B010


def apart(run: Path, reference: Path) -> tuple[float, float, float]:
    """Return the largest relative difference of the loss in the first ten and in all steps, and that of the weights.

    The latter is the distance of all weights over their length.
    """
    losses = [json.loads((one / LOSSES).read_text()) for one in (run, reference)]
    found, expected = (torch.load(one / FINAL, weights_only=True) for one in (run, reference))
    learnt = [name for name in expected if name.endswith(("weight", "bias"))]
    squares = sum(float((found[name].double() - expected[name].double()).square().sum()) for name in learnt)
    length = sum(float(expected[name].double().square().sum()) for name in learnt)
    each = [abs(a - b) / abs(b) for a, b in zip(*losses, strict=True)]
    return max(each[:10]), max(each), math.sqrt(squares / length)


def table(data: Path, changes: list[str], steps: int, folder: Path) -> None:
    """Train all runs and print the table."""
    reference = start(data, folder / "one", changes, steps)
    moved = folder / "moved"  # an epoch on two devices, one on one, the rest on two
    start(data, moved, [*changes, TWO], steps, epochs=1)
    start(data, moved, changes, steps, epochs=2)
    rows = {
        "one process, 2 threads": start(data, folder / "threads", changes, steps, threads=2),
        "one process, PyTorch's norms": start(data, folder / "norms", changes, steps, SCENELET_COMPILE="0"),
        "two devices, norms synchronized": start(data, folder / "two", [*changes, TWO], steps),
        "two devices, one, two again, by checkpoints": start(data, moved, [*changes, TWO], steps),
        "two devices, norms of each device": start(data, folder / "each", [*changes, TWO, PER_DEVICE], steps),
    }
    print(
        f"| against one process with 1 thread, {steps} steps | loss, first 10 steps | loss, all | weights at the end |"
    )
    print("|---|---|---|---|")
    for name, run in rows.items():
        print(f"| {name} | {' | '.join(f'{value:.1e}' for value in apart(run, reference))} |")


def main() -> None:
    """Print the table; with --out, be one of its trainings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="ESC-10")
    parser.add_argument("--steps", type=int, default=50, help="of each training; of more than two epochs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="on top, in all trainings")
    parser.add_argument("--double", action="store_true", help="compute in float64")
    parser.add_argument("--eps", default=os.environ.get(EPS), help="of Adam")
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--epochs", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.double or os.environ.get(DOUBLE):
        os.environ[DOUBLE] = "1"  # for the processes that this one starts
        compute_in_float64()
    if options.eps is not None:
        os.environ[EPS] = options.eps
        set_eps(float(options.eps))
    if options.out is not None:
        work(options.data, options.out, options.set, options.steps, options.epochs)
    with tempfile.TemporaryDirectory() as folder:
        table(options.data, options.set, options.steps, Path(folder))


if __name__ == "__main__":
    main()
