"""Rank of this process in a distributed training, read from the environment variables of its launcher."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from scenelet.errors import UsageError

Launcher = Literal["lightning", "torchrun", "slurm"]


@dataclass(frozen=True)
class Rank:
    """One process of a training, which has one device.

    Attributes:
        rank: index of this process, from 0. Process 0 prints messages and writes files, the others are workers.
        world_size: number of processes on all nodes.
        launcher: program that starts the processes: Lightning from the first process of each node, torchrun, or
            SLURM's srun.
    """

    rank: int = 0
    world_size: int = 1
    launcher: Launcher = "lightning"

    @property
    def is_worker(self) -> bool:
        """True if another process prints messages and writes files."""
        return self.rank > 0

    @property
    def is_single(self) -> bool:
        """True if there are no other processes."""
        return self.world_size == 1

    def slice_of(self, count: int) -> slice:
        """Return this process's slice of `count` items. The lengths of the slices differ by 1 at most.

        >>> [Rank(rank, world_size=3).slice_of(8) for rank in range(3)]
        [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
        """
        return slice(self.rank * count // self.world_size, (self.rank + 1) * count // self.world_size)


SINGLE = Rank()


def find_rank(devices: int, num_nodes: int, environment: Mapping[str, str] = os.environ) -> Rank:
    """Find the rank of this process in a training with `devices` devices on each of `num_nodes` machines.

    Raises:
        UsageError: torchrun or SLURM started another number of processes, or the variables that are needed to connect
            several machines are not set.

    >>> find_rank(devices=1, num_nodes=1, environment={}).is_single
    True
    """
    world_size = devices * num_nodes

    def number(name: str, default: int = 0) -> int:
        value = environment.get(name, str(default))
        if not value.isdecimal():
            raise UsageError(f"the variable {name} is {value!r}; set it to an integer of 0 or more, or unset it")
        return int(value)

    def check_started(launcher: str, started: int, expected: int = world_size, where: str = "") -> None:
        if started != expected:
            raise UsageError(
                f"{launcher} started {started} processes{where}, and trainer.devices x trainer.num_nodes is"
                f" {devices} x {num_nodes}; make them the same"
            )

    if "TORCHELASTIC_RUN_ID" in environment:
        check_started("torchrun", number("WORLD_SIZE", 1))
        return Rank(number("RANK"), world_size, "torchrun")
    if world_size == 1:
        return SINGLE
    # an interactive SLURM shell has a step of one task, and an allocation outside of srun has no step
    if "SLURM_STEP_ID" in environment and number("SLURM_NTASKS", 1) > 1:
        check_started("SLURM's srun", number("SLURM_NTASKS"))
        check_started("SLURM's srun", number("SLURM_NTASKS_PER_NODE"), devices, " on each node (--ntasks-per-node)")
        return Rank(number("SLURM_PROCID"), world_size, "slurm")
    is_started = "LOCAL_RANK" in environment
    needed = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT") if num_nodes > 1 else ("MASTER_ADDR", "MASTER_PORT")
    missing = [name for name in needed if name not in environment]
    if missing and (is_started or num_nodes > 1):
        raise UsageError(
            f"LOCAL_RANK is set, and {', '.join(missing)} is not; unset it, or start the command with torchrun or srun"
            if num_nodes == 1
            else f"trainer.num_nodes is {num_nodes}, and {', '.join(missing)} is not set; start the command on each"
            " machine with torchrun or srun, or set NODE_RANK (0, 1, ...), MASTER_ADDR and MASTER_PORT (of the first"
            " machine)"
        )
    local, node = number("LOCAL_RANK"), number("NODE_RANK")
    if local >= devices or node >= num_nodes:
        raise UsageError(
            f"LOCAL_RANK is {local} and NODE_RANK {node}, beyond trainer.devices = {devices} and trainer.num_nodes ="
            f" {num_nodes}; count both from 0"
        )
    return Rank(node * devices + local, world_size)
