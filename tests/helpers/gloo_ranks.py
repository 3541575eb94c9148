"""Processes in a gloo group over a file, each of which computes its part of a common task."""

import datetime
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, distributed, multiprocessing, nn

Results = dict[str, Tensor]


def spawn(function: Callable[[int, Path], None], world_size: int, folder: Path) -> list[Results]:
    """Run `function(rank, folder)` in every process, and return the results that each saved as `RANK.pt`."""
    multiprocessing.spawn(_in_group, (function, world_size, folder), world_size)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(world_size)]


def _in_group(rank: int, function: Callable[[int, Path], None], world_size: int, folder: Path) -> None:
    torch.set_num_threads(1)
    timeout = datetime.timedelta(seconds=60)  # fails if the processes do not do the same things
    distributed.init_process_group("gloo", f"file://{folder}/group", timeout, world_size, rank)
    function(rank, folder)
    distributed.destroy_process_group()


def gathered_validation(rank: int, folder: Path) -> None:
    """Save the probabilities of two and five clips, computed by all ranks and by one, and the mean of the ranks."""
    # imported here because they need Lightning, which takes seconds in every process
    from scenelet.data.feature_cache import ClipFeatures
    from scenelet.training.distributed import all_reduce_mean, gather_probabilities
    from scenelet.training.probabilities import clip_probabilities
    from scenelet.training.ranks import Rank

    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(24, 3))
    found = {"mean": all_reduce_mean(torch.tensor(float(rank)))}
    for clips in (2, 5):
        values = np.random.default_rng(0).standard_normal((2 * clips, 1, 4, 6)).astype(np.float16)
        features = ClipFeatures(values, 2 * np.arange(clips), np.full(clips, 2))
        own_rank = Rank(rank, distributed.get_world_size())
        found[str(clips)] = torch.from_numpy(gather_probabilities(network, features, own_rank))
        found[f"{clips} single"] = torch.from_numpy(clip_probabilities(network, features))
    torch.save(found, folder / f"{rank}.pt")
