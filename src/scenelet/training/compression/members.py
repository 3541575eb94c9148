"""Choice of the members of an ensemble that a file of limited size keeps."""

import copy

from scenelet.config import PruneConfig
from scenelet.nn.ensemble import Ensemble, keep_members
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.compression.search import FORMATS, Size, size_at_sparsity
from scenelet.utils.console import print_message, spinner


def choose_members(network: StandardizedNetwork, settings: PruneConfig, size: Size) -> PruneConfig:
    """Choose as many members as fit into `settings.max_bytes` without pruning, and the finest format for these.

    More members in a coarser format come before fewer in a finer one. If not even one fits in the coarsest format, one
    is kept and pruned. The settings stay as they are without a limit, without an ensemble, or if they name the members.

    Args:
        network: the trained network; it is not changed.
        settings: settings of the compression.
        size: gives the size of a network's file.
    """
    ensemble = network.network
    if settings.max_bytes is None or settings.members is not None or not isinstance(ensemble, Ensemble):
        return settings
    formats = FORMATS if settings.dtype == "auto" else (settings.dtype,)
    with spinner("Finding the members that fit"):
        for members in range(len(ensemble.members), 0, -1):
            kept = copy.deepcopy(network)
            kept.network = keep_members(kept.network, members)
            for dtype in formats:
                chosen = settings.model_copy(update={"members": members, "dtype": dtype})
                if size_at_sparsity(kept, chosen, size)(0.0) <= settings.max_bytes:
                    print_message(f"chosen: {members} of {len(ensemble.members)} networks in {dtype}")
                    return chosen
    return settings.model_copy(update={"members": 1})
