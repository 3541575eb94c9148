"""Distributed training: several processes with one device each train one network.

This module decides how they start, what they exchange, and how they end.
"""

import contextlib
import datetime
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
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
from scenelet.training.ranks import Rank

TIMEOUT_MINUTES = 30
"""Maximum wait for the other processes, which may still compute features."""
WORKER_EXIT_DELAY_SECONDS = 2.0
"""Delay of a failed worker's exit, so that the first process can print its error before the launcher ends it."""
WORKER_SHUTDOWN_SECONDS = 30.0
"""Time that the first process gives its workers to end."""


def check_devices(trainer: TrainerConfig) -> None:
    """Check that this machine has the devices of one node.

    Raises:
        UsageError: there are fewer GPUs than devices, or several devices are set for Apple's only GPU.
    """
    if trainer.world_size == 1:
        return
    if not distributed.is_available():
        raise UsageError("trainer.devices: this PyTorch was built without torch.distributed; set it to 1")
    if torch.cuda.is_available():
        if trainer.devices > torch.cuda.device_count():
            raise UsageError(
                f"trainer.devices is {trainer.devices}, and this machine has {torch.cuda.device_count()} GPUs; lower it"
            )
    elif torch.backends.mps.is_available():
        raise UsageError("trainer.devices: Apple's GPU (MPS) is one device, and cannot train with others; set it to 1")


def lightning_options(trainer: TrainerConfig, rank: Rank) -> dict[str, Any]:
    """Return the arguments of `lightning.Trainer` that describe the devices."""
    if rank.is_single:
        return {"devices": 1}
    on_gpu = torch.cuda.is_available()
    return {
        "accelerator": "gpu" if on_gpu else "cpu",
        "devices": trainer.devices,
        "num_nodes": trainer.num_nodes,
        "strategy": DDPStrategy(
            process_group_backend="nccl" if on_gpu else "gloo",
            timeout=datetime.timedelta(minutes=TIMEOUT_MINUTES),
            broadcast_buffers=False,
            find_unused_parameters=False,
        ),
        "use_distributed_sampler": False,
        "plugins": [_environment(rank)],
    }


def _environment(rank: Rank) -> ClusterEnvironment:
    if rank.launcher == "torchrun":
        return TorchElasticEnvironment()
    if rank.launcher == "slurm":
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()


@contextlib.contextmanager
def process_group(trainer: lightning.Trainer, rank: Rank) -> Iterator[None]:
    """Run a training in this context: if one process fails, all end, and the first one reports the error.

    Afterwards, the environment variables and the number of threads are as before.

    Raises:
        RunError: another process has ended, and this is the first one.
        SystemExit: training failed, and this process is a worker; the exit code is that of the error.
    """
    if rank.is_single:
        yield
        return
    environment, threads = dict(os.environ), torch.get_num_threads()
    try:
        yield
    except SceneletError as error:  # all processes fail with the same error
        if not rank.is_worker:
            raise
        time.sleep(WORKER_EXIT_DELAY_SECONDS)
        raise SystemExit(error.exit_code) from None
    except RuntimeError as error:
        if not _is_connection_error(error):
            raise
        if rank.is_worker:
            time.sleep(WORKER_EXIT_DELAY_SECONDS)
            raise SystemExit(1) from None
        raise RunError(
            "the process of another device has ended or cannot be reached; see its messages, and resume with --resume"
        ) from None
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        _end_workers(trainer)
        os.environ.clear()
        os.environ.update(environment)
        torch.set_num_threads(threads)


class ExitOnSigterm(Callback):
    """Lightning callback that ends the process on SIGTERM.

    Lightning's own handler waits for the other processes, which in turn wait for this one.
    """

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Set the handler after Lightning has set its own; Lightning restores the earlier one at the end."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._exit)

    @staticmethod
    def _exit(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)


def _is_connection_error(error: RuntimeError) -> bool:
    # Gloo's errors have no type of their own, but their text names its source file
    return isinstance(error, distributed.DistError) or "gloo" in str(error).lower()


def _end_workers(trainer: lightning.Trainer) -> None:
    """Wait for the processes that this one started, and kill those that do not end."""
    processes: list[subprocess.Popen[bytes]] = getattr(trainer.strategy.launcher, "procs", [])
    deadline = time.monotonic() + WORKER_SHUTDOWN_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    processes.clear()  # Lightning watches these processes, and would end this one if one of them failed


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
        own = clip_probabilities(network, ClipFeatures(features.values, features.first[part], features.count[part]))
    gathered: list[NDArray[np.float32] | None] = [None] * rank.world_size
    distributed.all_gather_object(gathered, own)
    return np.concatenate([rows for rows in gathered if rows is not None])
