"""Which of a training's processes this one is: told by the variables that whoever started it has set."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from scenelet.errors import UsageError

Launcher = Literal["own", "torchrun", "slurm"]
MEETING = ("MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Rank:
    """One process of a training, which has one device.

    Attributes:
        rank: which one, from 0; the first talks and writes, the others follow it.
        world_size: how many there are, on all nodes.
        launcher: who starts them: the first one of each node (own), torchrun, or SLURM's srun.
    """

    rank: int = 0
    world_size: int = 1
    launcher: Launcher = "own"

    @property
    def is_worker(self) -> bool:
        """Whether another process talks and writes."""
        return self.rank > 0

    @property
    def is_single(self) -> bool:
        """Whether there are no others."""
        return self.world_size == 1

    def share(self, count: int) -> slice:
        """This process's part of `count` things: neighbours; parts differ by one thing at most."""
        return slice(self.rank * count // self.world_size, (self.rank + 1) * count // self.world_size)


SINGLE = Rank()


def find_rank(devices: int, num_nodes: int, environment: Mapping[str, str] = os.environ) -> Rank:
    """The place of this process in a training on `devices` devices on each of `num_nodes` machines.

    Raises:
        UsageError: torchrun or SLURM started another number of processes, or nothing says where several machines meet.
    """
    world_size = devices * num_nodes
    if "TORCHELASTIC_RUN_ID" in environment:
        started = _number(environment, "WORLD_SIZE", 1)
        _check_world_size("torchrun", started, devices, num_nodes)
        return Rank(_number(environment, "RANK", 0), world_size, "torchrun")
    if world_size == 1:
        return SINGLE
    tasks = _number(environment, "SLURM_NTASKS", 1)
    if "SLURM_STEP_ID" in environment and tasks > 1:
        _check_world_size("SLURM's srun", tasks, devices, num_nodes)
        nodes = _number(environment, "SLURM_NNODES", num_nodes)
        if nodes != num_nodes:
            raise UsageError(f"trainer.num_nodes is {num_nodes}, and SLURM has {nodes} nodes; make them the same")
        tasks_of_a_node = _number(environment, "SLURM_NTASKS_PER_NODE", 0)
        if tasks_of_a_node != devices:
            raise UsageError(
                f"trainer.devices is {devices}, and SLURM was not told to start as many tasks on each node; do so with"
                f" --ntasks-per-node={devices}"
            )
        return Rank(_number(environment, "SLURM_PROCID", 0), world_size, "slurm")
    local, node = _number(environment, "LOCAL_RANK", 0), _number(environment, "NODE_RANK", 0)
    needed = [*(("NODE_RANK",) if num_nodes > 1 else ()), *MEETING]
    missing = [name for name in needed if name not in environment]
    if missing and num_nodes > 1:
        raise UsageError(
            f"trainer.num_nodes is {num_nodes}, and {', '.join(missing)} is not set; start the command on each machine"
            " with torchrun or srun, or with NODE_RANK (0, 1, ...), MASTER_ADDR and MASTER_PORT (of the first) set"
        )
    if missing and "LOCAL_RANK" in environment:
        raise UsageError(f"LOCAL_RANK is set, and {', '.join(missing)} is not; unset it, or set them all")
    if local >= devices or node >= num_nodes:
        raise UsageError(
            f"LOCAL_RANK is {local} and NODE_RANK {node}, beyond trainer.devices = {devices} and trainer.num_nodes ="
            f" {num_nodes}; count both from 0"
        )
    return Rank(node * devices + local, world_size)


def _check_world_size(launcher: str, started: int, devices: int, num_nodes: int) -> None:
    if started != devices * num_nodes:
        raise UsageError(
            f"{launcher} started {started} processes, and trainer.devices x trainer.num_nodes is"
            f" {devices} x {num_nodes}; make them the same"
        )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name, str(default))
    if not value.isdecimal():
        raise UsageError(f"the variable {name} is {value!r}; it is a whole number from 0, set it or unset it")
    return int(value)
