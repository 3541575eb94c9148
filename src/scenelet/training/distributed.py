"""Distributed training: several processes with one GPU each train one network under Lightning's DDP.

This module decides how they start, what they exchange besides gradients, and how they end.
"""

import contextlib
import datetime
import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from scenelet.config import TrainerConfig
from scenelet.data.feature_cache import ClipFeatures
from scenelet.errors import RunError, SceneletError, UsageError
from scenelet.training.probabilities import clip_probabilities
from scenelet.training.ranks import Launcher, Rank

TIMEOUT_MINUTES = 30
"""Maximum wait for the other processes, which may still compute features."""
ENVIRONMENTS: dict[Launcher, Callable[[], ClusterEnvironment]] = {
    "lightning": LightningEnvironment,
    "torchrun": TorchElasticEnvironment,
    "slurm": functools.partial(SLURMEnvironment, auto_requeue=False),
}
LAUNCH_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS")
"""Variables that Lightning sets in the first process when it starts the others."""


def check_devices(trainer: TrainerConfig) -> None:
    """Check that this machine has the devices of one node.

    Raises:
        UsageError: several devices are set, and there are fewer GPUs.
    """
    if trainer.world_size == 1:
        return
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus == 0:
        raise UsageError(
            "trainer.devices and trainer.num_nodes count CUDA GPUs, and PyTorch finds none on this machine; set both to"
            " 1: one process uses all cores of a CPU"
        )
    if trainer.devices > gpus:
        raise UsageError(f"trainer.devices is {trainer.devices}, and this machine has {gpus} GPUs; lower it")


def lightning_options(trainer: TrainerConfig, rank: Rank) -> dict[str, Any]:
    """Return the arguments of `lightning.Trainer` that describe the devices."""
    if rank.is_single:
        return {"devices": 1}
    timeout = datetime.timedelta(minutes=TIMEOUT_MINUTES)
    return {
        "devices": trainer.devices,
        "num_nodes": trainer.num_nodes,
        "strategy": DDPStrategy(timeout=timeout, broadcast_buffers=False),
        "use_distributed_sampler": False,
        "plugins": [ENVIRONMENTS[rank.launcher]()],
    }


@contextlib.contextmanager
def process_group(trainer: lightning.Trainer, rank: Rank) -> Iterator[None]:
    """Run a training in this context: if one process fails, all end, and the first one reports the error.

    Raises:
        RunError: another process has ended, and this is the first one.
        SystemExit: training failed, and this process is a worker.
    """
    if rank.is_single:
        yield
        return
    variables, threads = {name: os.environ.get(name) for name in LAUNCH_VARIABLES}, torch.get_num_threads()
    try:
        yield
    except SceneletError:  # all processes raise it, and the first one reports it
        if rank.is_worker:
            raise SystemExit(0) from None  # after another code, Lightning would kill the first process
        raise
    except distributed.DistError:
        if rank.is_worker:
            raise SystemExit(1) from None
        raise RunError(
            "the process of another device has ended or cannot be reached; see its messages, and resume with --resume"
        ) from None
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        _end_workers(trainer)
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        torch.set_num_threads(threads)


def _end_workers(trainer: lightning.Trainer) -> None:
    """End the processes that this one has started. They have nothing left to do."""
    processes = getattr(trainer.strategy.launcher, "procs", [])
    started = list(processes)
    processes.clear()  # Lightning watches this list, and would kill the first process because of the others' ends
    for process in started:
        process.kill()
        process.wait()


class SameDataCheck(Callback):
    """Lightning callback that compares the training clips and the initial network of all processes.

    The network holds the mean and the deviation of the clips' features, so other sound has another fingerprint.

    Args:
        names: names of the training clips.
        targets: (clips,) class indices.
        network: the network before training.
    """

    def __init__(self, names: tuple[str, ...], targets: NDArray[np.int64], network: nn.Module) -> None:
        digest = hashlib.sha256(repr(names).encode(errors="surrogateescape"))
        for values in (targets, *(tensor.numpy(force=True) for tensor in network.state_dict().values())):
            digest.update(values.tobytes())
        self.fingerprint = digest.hexdigest()

    def on_fit_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Raise `UsageError` in all processes if their fingerprints differ."""
        found: list[str] = [""] * trainer.world_size
        distributed.all_gather_object(found, self.fingerprint)
        other = next((rank for rank, fingerprint in enumerate(found) if fingerprint != found[0]), None)
        if other is not None:
            raise UsageError(
                f"process {other} of {trainer.world_size} sees other recordings or settings than process 0; give all"
                " machines the same files under the same paths, and the same command"
            )


def all_reduce_mean(values: Tensor) -> Tensor:
    """Return the mean of each value over all processes; the result is the same in all of them."""
    total = values.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


def gather_probabilities(network: nn.Module, features: ClipFeatures, rank: Rank) -> NDArray[np.float32]:
    """Return `clip_probabilities` (clips, classes); each process computes a slice, and all get the complete result."""
    if rank.is_single:
        return clip_probabilities(network, features)
    part, own = rank.slice_of(len(features)), None
    if part.stop > part.start:
        own = clip_probabilities(network, features.select(part))
    gathered: list[NDArray[np.float32] | None] = [None] * rank.world_size
    distributed.all_gather_object(gathered, own)
    return np.concatenate([rows for rows in gathered if rows is not None])
