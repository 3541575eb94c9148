"""Several processes, one device each, that train one network: how they start, what they exchange, how they end."""

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
from scenelet.training.batches import clip_probabilities
from scenelet.training.ranks import Rank

TIMEOUT_S = datetime.timedelta(minutes=30)
"""How long a process waits for the others, who may be computing features, before it fails."""
WORKER_EXIT_DELAY_S = 2.0
"""Seconds that a follower leaves the first process to say what went wrong: launchers end all when one has failed."""
WORKER_SHUTDOWN_S = 30.0
"""Seconds that the first process leaves its followers to end."""


def check_devices(trainer: TrainerConfig) -> None:
    """Check that this machine has the devices, each node by itself.

    Raises:
        UsageError: more than there are GPUs, or several where Apple's one GPU computes.
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
    """What `lightning.Trainer` is told of the devices."""
    if rank.is_single:
        return {"devices": 1}
    on_gpu = torch.cuda.is_available()
    return {
        "accelerator": "gpu" if on_gpu else "cpu",
        "devices": trainer.devices,
        "num_nodes": trainer.num_nodes,
        "strategy": DDPStrategy(
            process_group_backend="nccl" if on_gpu else "gloo",
            timeout=TIMEOUT_S,
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
    """Around a training: all processes end when one fails, the first says why, and what was set is put back.

    Raises:
        RunError: in the first process, when another one has ended.
        SystemExit: in the others, when the training failed, with the error's exit code.
    """
    if rank.is_single:
        yield
        return
    before, threads = dict(os.environ), torch.get_num_threads()
    try:
        yield
    except SceneletError as error:  # all of them fail alike
        if not rank.is_worker:
            raise
        time.sleep(WORKER_EXIT_DELAY_S)
        raise SystemExit(error.exit_code) from None
    except RuntimeError as error:
        if not _is_of_the_connection(error):
            raise
        if rank.is_worker:
            time.sleep(WORKER_EXIT_DELAY_S)
            raise SystemExit(1) from None
        raise RunError(
            "the process of another device has ended, or cannot be reached; see what it said, and go on with --resume"
        ) from None
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        _end_followers(trainer)
        os.environ.clear()
        os.environ.update(before)
        torch.set_num_threads(threads)


class ExitOnSigterm(Callback):
    """A process that is told to end does: Lightning's own handler waits for the others, who wait for this one."""

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """After Lightning has set its handler; it puts back what was there before."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._end)

    @staticmethod
    def _end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)


def _is_of_the_connection(error: RuntimeError) -> bool:
    # Gloo's errors have no type of their own, but the place in its source
    return isinstance(error, distributed.DistError) or "gloo" in str(error).lower()


def _end_followers(trainer: lightning.Trainer) -> None:
    """Wait for the processes that this one started, and end those that do not end by themselves."""
    processes: list[subprocess.Popen[bytes]] = getattr(trainer.strategy.launcher, "procs", [])
    until = time.monotonic() + WORKER_SHUTDOWN_S
    for process in processes:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    processes.clear()  # Lightning looks after these, and would end this process for one that failed


def all_reduce_mean(values: Tensor) -> Tensor:
    """The mean over all processes of each value, the same in all of them."""
    total = values.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


def gather_probabilities(network: nn.Module, features: ClipFeatures, rank: Rank) -> NDArray[np.float32]:
    """(clips, classes) as `clip_probabilities`, of which each process computes its share and gets all."""
    if rank.is_single:
        return clip_probabilities(network, features)
    share, own = rank.share(len(features)), None
    if share.stop > share.start:
        some = ClipFeatures(features.values, features.first[share], features.count[share])
        own = clip_probabilities(network, some)
    every: list[NDArray[np.float32] | None] = [None] * rank.world_size
    distributed.all_gather_object(every, own)
    return np.concatenate([part for part in every if part is not None])
