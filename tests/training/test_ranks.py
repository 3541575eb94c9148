"""Rank of a process from the variables of its launcher, and errors for variables that do not fit the settings."""

import re

import pytest

from scenelet.errors import UsageError
from scenelet.training.ranks import SINGLE, Rank, find_rank

TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "LOCAL_RANK": "1", "GROUP_RANK": "1", "WORLD_SIZE": "4"}
SLURM = {
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "2",
    "SLURM_NTASKS": "4",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_NNODES": "2",
}
RENDEZVOUS = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("devices", "num_nodes", "environment", "rank"),
    [
        (1, 1, {}, SINGLE),
        (1, 1, {"LOCAL_RANK": "3"}, SINGLE),  # of another program
        (1, 1, SLURM, SINGLE),  # an array of independent trainings
        (2, 1, {}, Rank(0, 2)),
        (2, 1, {"LOCAL_RANK": "1", **RENDEZVOUS}, Rank(1, 2)),
        (2, 2, {"NODE_RANK": "1", **RENDEZVOUS}, Rank(2, 4)),
        (2, 2, {"NODE_RANK": "1", "LOCAL_RANK": "1", **RENDEZVOUS}, Rank(3, 4)),
        (2, 2, TORCHRUN, Rank(3, 4, "torchrun")),
        (4, 1, TORCHRUN, Rank(3, 4, "torchrun")),
        (2, 2, SLURM, Rank(2, 4, "slurm")),
        (2, 1, {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "1"}, Rank(0, 2)),  # an interactive shell with one task
        (2, 1, {"SLURM_NTASKS": "2"}, Rank(0, 2)),  # an allocation, outside of srun
    ],
)
def test_find_rank_reads_launcher_variables(
    devices: int, num_nodes: int, environment: dict[str, str], rank: Rank
) -> None:
    assert find_rank(devices, num_nodes, environment) == rank
    assert rank.is_worker == (rank.rank > 0)


@pytest.mark.parametrize(
    ("devices", "num_nodes", "environment", "words"),
    [
        (1, 2, {}, "NODE_RANK, MASTER_ADDR, MASTER_PORT is not set; start the command on each machine with torchrun"),
        (1, 2, {"NODE_RANK": "0", "MASTER_ADDR": "a"}, "trainer.num_nodes is 2, and MASTER_PORT is not set"),
        (1, 2, {"NODE_RANK": "2", **RENDEZVOUS}, "NODE_RANK 2, beyond trainer.devices = 1 and trainer.num_nodes = 2"),
        (2, 1, {"LOCAL_RANK": "2", **RENDEZVOUS}, "LOCAL_RANK is 2 and NODE_RANK 0, beyond trainer.devices = 2"),
        (2, 1, {"LOCAL_RANK": "0"}, "LOCAL_RANK is set, and MASTER_ADDR, MASTER_PORT is not; unset it"),
        (1, 2, {"NODE_RANK": "one", **RENDEZVOUS}, "the variable NODE_RANK is 'one'"),
        (1, 1, TORCHRUN, "torchrun started 4 processes, and trainer.devices x trainer.num_nodes is 1 x 1"),
        (2, 1, TORCHRUN, "torchrun started 4 processes, and trainer.devices x trainer.num_nodes is 2 x 1"),
        (3, 1, SLURM, "SLURM's srun started 4 processes, and trainer.devices x trainer.num_nodes is 3 x 1"),
        (4, 1, SLURM, "srun started 2 processes on each node"),
        (2, 2, SLURM | {"SLURM_NTASKS_PER_NODE": "3"}, "srun started 3 processes on each node (--ntasks-per-node)"),
    ],
)
def test_find_rank_with_unfit_variables_raises(
    devices: int, num_nodes: int, environment: dict[str, str], words: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        find_rank(devices, num_nodes, environment)


@pytest.mark.parametrize(("count", "world_size"), [(8, 2), (7, 2), (10, 4), (3, 5), (0, 2)])
def test_slices_cover_all_items_in_order_and_evenly(count: int, world_size: int) -> None:
    slices = [Rank(rank, world_size).slice_of(count) for rank in range(world_size)]
    assert [index for part in slices for index in range(count)[part]] == list(range(count))
    sizes = [part.stop - part.start for part in slices]
    assert max(sizes) - min(sizes) <= 1
