"""Normalization with the statistics of a batch that is distributed over several processes.

It corresponds to PyTorch's `SyncBatchNorm`, for the norms of `norm.py`, and also works on the CPU. Every process must
run the same layers in the same order. The parts of the batch may differ in size.
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable

from scenelet.errors import UsageError

RUNNING_STATISTICS = ("running_mean", "running_var")


def synchronize(network: nn.Module, enabled: bool = True) -> None:
    """Make every norm of a network use the statistics of all processes in training, in place.

    Args:
        network: the network.
        enabled: if False, every norm uses the statistics of its own process again.

    Raises:
        UsageError: the network has one of PyTorch's own batch norms, which do not support this.
    """
    for name, module in network.named_modules():
        if hasattr(module, "synchronized"):
            module.synchronized = enabled
        elif enabled and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            raise UsageError(
                f"{name} is PyTorch's {type(module).__name__}, which does not synchronize its statistics;"
                " use scenelet.nn.norm.BatchNorm instead, or set trainer.sync_batchnorm = false"
            )


def average_running_statistics(network: nn.Module) -> None:
    """Replace each running mean and variance of a network by its mean over all processes, in place."""
    for name, values in network.named_buffers():
        if name.rpartition(".")[2] in RUNNING_STATISTICS:
            distributed.all_reduce(values)
            values /= distributed.get_world_size()


def sync_statistics(count: int, mean: Tensor, var: Tensor) -> tuple[int, Tensor, Tensor]:
    """Combine count, means and variances of each process to those of all values together.

    The method is that of Chan, Golub and LeVeque (1979), in float64. The processes are combined in the order of their
    ranks, so all processes get bit-identical results.

    Args:
        count: the count of values behind each mean of this process.
        mean, var: means and variances (without correction) of this process, with the same shape on all processes.

    Returns:
        The total count, and joint means and variances of the same shape and type.
    """
    own = torch.cat([mean.new_tensor([count], dtype=torch.float64), mean.double().flatten(), var.double().flatten()])
    gathered = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(gathered, own)
    table = torch.stack(gathered)
    counts, values = table[:, :1], table[:, 1:]
    means, variances = values.chunk(2, 1)
    total = counts.sum()
    fractions = counts / total
    joint_mean = (fractions * means).sum(0)
    joint_var = (fractions * (variances + (means - joint_mean) ** 2)).sum(0)
    return int(total), joint_mean.to(mean.dtype).view_as(mean), joint_var.to(var.dtype).view_as(var)


def sync_sums(sums: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, as a new tensor."""
    total = sums.clone()
    distributed.all_reduce(total)
    return total


class _SyncNorm(torch.autograd.Function):
    """Differentiable normalization by the statistics of all processes.

    The processes exchange the same tensors as `fused.norm_add_relu` does, because some of them may have no compiler.
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
        y = (bands - _broadcast(mean)) * _broadcast(rstd * weight) + _broadcast(bias)
        ctx.save_for_backward(x, mean, rstd, weight)
        ctx.count = count
        return y.flatten(2, 3).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, rstd, weight = ctx.saved_tensors
        gradient_bands = _bands(gradient, mean)
        centered = _bands(x, mean) - _broadcast(mean)
        sums = torch.stack([gradient_bands.sum((0, 3, 4)).t(), (gradient_bands * centered).sum((0, 3, 4)).t()]).double()
        total = sync_sums(sums).to(mean.dtype) / ctx.count
        through = _broadcast(total[0]) + centered * _broadcast(rstd**2 * total[1])
        gradient_x = (_broadcast(rstd * weight) * (gradient_bands - through)).flatten(2, 3).to(x.dtype)
        # only of this process: the optimizer averages them with the gradients of all other parameters
        gradient_bias, gradient_weight = sums[0].to(mean.dtype), sums[1].to(mean.dtype) * rstd
        if len(weight) == 1:
            gradient_weight, gradient_bias = gradient_weight.sum(0, True), gradient_bias.sum(0, True)
        return gradient_x, None, None, gradient_weight, gradient_bias, None, None


def sync_norm(
    x: Tensor, running_mean: Tensor, running_var: Tensor, weight: Tensor, bias: Tensor, momentum: float, eps: float
) -> Tensor:
    """Normalize sub-bands by their statistics over the batches of all processes.

    Args:
        x: this process's part of the batch (batch, channels, frequency, time).
        running_mean, running_var: (S, channels), updated in place.
        weight, bias: (S, channels) or (1, channels).
        momentum, eps: as in `torch.nn.functional.batch_norm`.

    Returns:
        The normalized values, in the shape of x.
    """
    y: Tensor = _SyncNorm.apply(x, running_mean, running_var, weight, bias, momentum, eps)  # type: ignore[no-untyped-call]
    return y


def _bands(x: Tensor, like: Tensor) -> Tensor:
    """Reshape (B, C, F, T) to (B, C, S, F / S, T), with at least the precision of `like` (S, C)."""
    batch, channels, frequency, time = x.shape
    bands = x.reshape(batch, channels, len(like), frequency // len(like), time)
    return bands.to(torch.promote_types(x.dtype, like.dtype))


def _broadcast(values: Tensor) -> Tensor:
    """Reshape (S or 1, C) to (C, S or 1, 1, 1), which broadcasts against `_bands`."""
    return values.t()[:, :, None, None]
