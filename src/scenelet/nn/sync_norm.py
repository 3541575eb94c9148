"""Statistics of a batch that is shared out among several processes: norms as if one process held all of it.

As PyTorch's `SyncBatchNorm`, for the norms of `norm.py`, on the CPU too. Every process must run the same layers in the
same order; shares may differ in size.
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable

from scenelet.errors import UsageError

RUNNING = ("running_mean", "running_var")


def synchronize(network: nn.Module, wanted: bool = True) -> None:
    """Have every norm of a network take its statistics, in training, over all processes; or over its own again.

    Raises:
        UsageError: the network has one of PyTorch's own batch norms, which cannot.
    """
    for name, module in network.named_modules():
        if hasattr(module, "synchronized"):
            module.synchronized = wanted
        elif wanted and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            raise UsageError(
                f"{name} is PyTorch's {type(module).__name__}, whose statistics are of one device; take"
                " scenelet.nn.norm.BatchNorm in its place, or set trainer.sync_batchnorm = false"
            )


def average_running_statistics(network: nn.Module) -> None:
    """Give every process the mean over the processes of each running mean and variance."""
    for name, values in network.named_buffers():
        if name.rpartition(".")[2] in RUNNING:
            distributed.all_reduce(values)
            values /= distributed.get_world_size()


def sync_statistics(count: int, mean: Tensor, var: Tensor) -> tuple[int, Tensor, Tensor]:
    """Count, means and variances of the values of all processes together, from each process's own.

    Chan, Golub and LeVeque 1979, in float64, and in the order of the processes: all of them get the same bits.

    Args:
        count: how many values each mean is of, here.
        mean, var: any shape, the same for all processes; var is the mean square distance from the mean.
    """
    own = torch.cat([mean.new_tensor([count], dtype=torch.float64), mean.double().flatten(), var.double().flatten()])
    every = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(every, own)
    table = torch.stack(every)
    counts, values = table[:, :1], table[:, 1:]
    means, variances = values.chunk(2, 1)
    total = counts.sum()
    shares = counts / total
    joint_mean = (shares * means).sum(0)
    joint_var = (shares * (variances + (means - joint_mean) ** 2)).sum(0)
    return int(total), joint_mean.to(mean.dtype).view_as(mean), joint_var.to(var.dtype).view_as(var)


def sync_sums(sums: Tensor) -> Tensor:
    """The sum over the processes, as a new tensor."""
    total = sums.clone()
    distributed.all_reduce(total)
    return total


class _SyncNorm(torch.autograd.Function):
    """Normalization by the statistics of all processes.

    What the processes exchange is what `fused.norm_add_relu` exchanges: one may be without a compiler.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        weight: Tensor,
        bias: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        bands = _bands(x, running_mean)
        count = bands.numel() // running_mean.numel()
        var, mean = (values.t() for values in torch.var_mean(bands, (0, 3, 4), correction=0))  # (S, C)
        count, mean, var = sync_statistics(count, mean, var)
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(var * (count / (count - 1)), momentum)
        rstd = torch.rsqrt(var + eps)
        y = (bands - _wide(mean)) * _wide(rstd * weight) + _wide(bias)
        ctx.save_for_backward(x, mean, rstd, weight)
        ctx.count = count
        return y.flatten(2, 3).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, rstd, weight = ctx.saved_tensors
        wide = _bands(gradient, mean)
        centered = _bands(x, mean) - _wide(mean)
        sums = torch.stack([wide.sum((0, 3, 4)).t(), (wide * centered).sum((0, 3, 4)).t()]).double()
        total = sync_sums(sums).to(mean.dtype) / ctx.count
        through = _wide(total[0]) + centered * _wide(rstd**2 * total[1])
        gradient_x = (_wide(rstd * weight) * (wide - through)).flatten(2, 3).to(x.dtype)
        # of this process alone, as of every other parameter: whoever averages gradients averages these
        gradient_bias, gradient_weight = sums[0].to(mean.dtype), sums[1].to(mean.dtype) * rstd
        if len(weight) == 1:
            gradient_weight, gradient_bias = gradient_weight.sum(0, True), gradient_bias.sum(0, True)
        return gradient_x, None, None, gradient_weight, gradient_bias, None, None


def sync_norm(
    x: Tensor, running_mean: Tensor, running_var: Tensor, weight: Tensor, bias: Tensor, momentum: float, eps: float
) -> Tensor:
    """(batch, channels, frequency, time) -> the same, normalized in sub-bands over the batches of all processes.

    Args:
        x: this process's share of the batch.
        running_mean, running_var: (S, channels), moved in place.
        weight, bias: (S, channels) or (1, channels).
        momentum, eps: as `torch.nn.functional.batch_norm`.
    """
    y: Tensor = _SyncNorm.apply(x, running_mean, running_var, weight, bias, momentum, eps)  # type: ignore[no-untyped-call]
    return y


def _bands(x: Tensor, like: Tensor) -> Tensor:
    """(B, C, F, T) -> (B, C, S, F / S, T), of at least the precision of `like` (S, C)."""
    batch, channels, frequency, time = x.shape
    bands = x.reshape(batch, channels, len(like), frequency // len(like), time)
    return bands.to(torch.promote_types(x.dtype, like.dtype))


def _wide(values: Tensor) -> Tensor:
    """(S or 1, C) -> (C, S or 1, 1, 1), to stand beside `_bands`."""
    return values.t()[:, :, None, None]
