"""Processes in a gloo group over a file, each of which computes its part of a common task."""

import copy
import datetime
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, distributed, multiprocessing, nn

from scenelet.nn import fused
from scenelet.nn.norm import BatchNorm, SubSpectralNorm
from scenelet.nn.sync_norm import average_running_statistics, synchronize

Results = list[dict[str, Tensor]]
SIZE = (5, 6, 12, 7)
PART_SIZES = (1, 2, 2)
"""Parts of a batch of five on three ranks, of different sizes."""
NORMS = [(affine, bands, relu) for affine, bands in (("plain", 1), ("all", 3), ("sub", 2)) for relu in (True, False)]
CASES = [
    (path, affine, sub_bands, relu, residual)
    for path in ("compiled", "uncompiled", "float64", "bfloat16")
    for affine, sub_bands, relu in NORMS
    for residual in (False, True)
    if path in ("float64", "uncompiled") or relu
]


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


def norm_of(affine: str, sub_bands: int, relu: bool) -> BatchNorm | SubSpectralNorm:
    if affine == "plain":
        return BatchNorm(SIZE[1], relu)
    return SubSpectralNorm(SIZE[1], sub_bands, affine, relu=relu)


def steps(
    case: tuple[str, str, int, bool, bool], part: slice = slice(None), joint: bool = False, compiler: bool = True
) -> dict[str, Tensor]:
    """Run two steps of a norm, and return values, gradients and running statistics of the second.

    Args:
        case: an element of `CASES`.
        part: the part of the batch to use.
        joint: use the statistics of all processes.
        compiler: False if this process has no compiler.
    """
    path, affine, sub_bands, relu, residual = case
    generator = torch.Generator().manual_seed(3)
    norm = norm_of(affine, sub_bands, relu)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(norm.weight.shape, generator=generator) + 0.5)
        norm.bias.copy_(torch.rand(norm.bias.shape, generator=generator) - 0.5)
    dtype = {"float64": torch.float64, "bfloat16": torch.bfloat16}.get(path, torch.float32)
    norm.to(torch.promote_types(dtype, torch.float32))
    synchronize(norm, joint)
    library = fused.library
    if path == "uncompiled" or not compiler:
        fused.library = lambda: None
    try:
        for _ in range(2):
            norm.zero_grad()
            scale = torch.linspace(0.5, 4, SIZE[2])[:, None]
            drawn = [torch.randn(SIZE, generator=generator) for _ in range(3)]
            drawn[0] = drawn[0] * scale + 3 * scale + torch.arange(SIZE[0])[:, None, None, None]
            x, added, gradient = (
                tensor[part].to(dtype).contiguous(memory_format=torch.channels_last) for tensor in drawn
            )
            leaves = [tensor.requires_grad_() for tensor in ((x, added) if residual else (x,))]
            y = norm(*leaves)
            y.backward(gradient)
    finally:
        fused.library = library
    found = {"y": y.detach(), "x": x.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    found |= {"mean": norm.running_mean, "var": norm.running_var}
    return found | ({"residual": added.grad} if residual else {})


def norm_steps(rank: int, folder: Path) -> None:
    """Save every case on this process's part, then without a compiler on rank 0, then averaged statistics."""
    start = sum(PART_SIZES[:rank])
    part = slice(start, start + PART_SIZES[rank])
    found = [steps(case, part, joint=True) for case in CASES]
    found += [steps(case, part, joint=True, compiler=rank != 0) for case in CASES if case[0] == "compiled"]
    found.append(averaged_statistics(rank))
    torch.save(found, folder / f"{rank}.pt")


def averaged_statistics(rank: int) -> dict[str, Tensor]:
    """Average a network whose running statistics on rank r are r, 10 r and 100 r; its bias is r too."""
    network = nn.ModuleList([BatchNorm(2), SubSpectralNorm(2, 3)])
    own = copy.deepcopy(network)
    with torch.no_grad():
        own[0].running_mean.fill_(rank)
        own[0].running_var.fill_(10 * rank)
        own[1].running_var.fill_(100 * rank)
        own[1].bias.fill_(rank)
    average_running_statistics(own)
    return own.state_dict()


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
    torch.save([found], folder / f"{rank}.pt")
