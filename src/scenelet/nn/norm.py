"""Batch normalization and SubSpectralNorm, each with the residual addition and the ReLU that follow; ResidualNorm.

In a training on several GPUs, the first two use the statistics of the whole batch, as `torch.nn.SyncBatchNorm`.
"""

import functools
from typing import Literal

import torch
from torch import Tensor, nn

from scenelet.errors import UsageError
from scenelet.model.ops import RESIDUAL_EPS, RESIDUAL_FACTOR
from scenelet.nn import fused


class BatchNorm(nn.BatchNorm2d):
    """Batch normalization as `torch.nn.BatchNorm2d`, optionally followed by a residual addition and ReLU.

    Args:
        channels: channels of the input.
        relu: apply ReLU at the end.
        eps, momentum: as in `torch.nn.BatchNorm2d`, but without its cumulative average (`momentum=None`).

    Shape: (batch, channels, frequency, time) -> the same; an optional residual has the same shape.

    Raises:
        UsageError: `momentum` is not a number from 0 to 1.

    >>> norm = BatchNorm(2, relu=True)
    >>> norm(torch.randn(4, 2, 3, 5)).min().item()
    0.0
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, relu: bool = False, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(channels, eps, _checked(momentum))
        self.relu = relu

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Normalize (batch, channels, frequency, time), and add `residual` if it is given."""
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        statistics = self.running_mean[None], self.running_var[None]
        affine = self.weight[None], self.bias[None]
        return _norm_add_relu(self, x, residual, statistics, affine)

    def extra_repr(self) -> str:
        """Return the text that `print(network)` shows."""
        return f"{self.num_features}, relu={self.relu}"


class SubSpectralNorm(nn.Module):
    """Normalization per channel and sub-band of frequency (Chang et al., 2021).

    Frequency is split into S contiguous equal sub-bands. Each channel c and sub-band s has its own statistics over the
    batch, the frequencies of the sub-band, and time:

        y = (x - mean[s, c]) / sqrt(var[s, c] + eps) * weight + bias

    A residual addition and ReLU may follow. With S = 1 the layer equals `BatchNorm`.

    Args:
        channels: C, the channels of the input.
        sub_bands: S.
        affine: "all" has one scale and shift per channel for all sub-bands (2C parameters, section 2.2 of the paper).
            "sub" has one per channel and sub-band (2CS parameters).
        eps, momentum: as in `BatchNorm`.
        relu: apply ReLU at the end.

    Shape: (batch, channels, frequency, time) -> the same; an optional residual has the same shape.

    Raises:
        UsageError: `affine` or `momentum` is invalid; or, in `forward`, `sub_bands` does not divide the frequency axis.

    >>> norm = SubSpectralNorm(channels=1, sub_bands=2)
    >>> x = torch.tensor([1.0, 3.0, 10.0, 30.0]).view(1, 1, 4, 1)
    >>> norm(x).flatten().round().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        channels: int,
        sub_bands: int,
        affine: Literal["all", "sub"] = "all",
        eps: float = 1e-5,
        momentum: float = 0.1,
        relu: bool = False,
    ) -> None:
        super().__init__()
        if affine not in ("all", "sub"):
            raise UsageError(f"affine is {affine!r}; it must be 'all' or 'sub'")
        self.channels, self.sub_bands, self.affine, self.relu = channels, sub_bands, affine, relu
        self.eps, self.momentum = eps, _checked(momentum)
        self.layer = "SubSpectralNorm"  # a network sets the layer's name here, for the error below
        rows = sub_bands if affine == "sub" else 1
        self.weight = nn.Parameter(torch.ones(rows, channels))
        self.bias = nn.Parameter(torch.zeros(rows, channels))
        self.register_buffer("running_mean", torch.zeros(sub_bands, channels))
        self.register_buffer("running_var", torch.ones(sub_bands, channels))

    def check(self, frequencies: int) -> None:
        """Raise a `UsageError` if the frequencies do not split into equal sub-bands."""
        if frequencies % self.sub_bands:
            raise UsageError(
                f"{self.layer}: {frequencies} frequencies do not split into {self.sub_bands} equal sub-bands;"
                " change features.n_mels or network.sub_bands"
            )

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Normalize (batch, channels, frequency, time), and add `residual` if it is given."""
        self.check(x.shape[2])
        statistics, affine = (self.running_mean, self.running_var), (self.weight, self.bias)
        return _norm_add_relu(self, x, residual, statistics, affine)

    def extra_repr(self) -> str:
        """Return the text that `print(network)` shows."""
        return f"{self.channels}, sub_bands={self.sub_bands}, affine={self.affine!r}, relu={self.relu}"


class ResidualNorm(nn.Module):
    """Residual normalization (Kim, Yang, Kim and Chang, arXiv 2111.06531): 0.1 x + (x - mean) / sqrt(var + eps).

    Each clip and each frequency has its own mean and variance, over channels and time. So the layer removes most of a
    microphone's response and of the level, and keeps a tenth of them. It has no parameters.

    Shape: (batch, channels, frequency, time) -> the same.

    >>> x = torch.tensor([3.0, 5.0]).view(1, 1, 1, 2)
    >>> ResidualNorm()(10 * x).flatten().round().tolist()
    [2.0, 6.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (batch, channels, frequency, time). Statistics of bf16 values are computed in fp32."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        var, mean = torch.var_mean(wide, (1, 3), correction=0, keepdim=True)
        return (RESIDUAL_FACTOR * wide + (wide - mean) * torch.rsqrt(var + RESIDUAL_EPS)).to(x.dtype)


Pair = tuple[Tensor, Tensor]


def _checked(momentum: float) -> float:
    if not isinstance(momentum, int | float) or not 0 <= momentum <= 1:
        raise UsageError(f"momentum is {momentum}; it must be a number from 0 to 1")
    return momentum


def _norm_add_relu(
    norm: BatchNorm | SubSpectralNorm, x: Tensor, residual: Tensor | None, statistics: Pair, affine: Pair
) -> Tensor:
    """Apply the fastest implementation.

    Args:
        norm: the layer, for its settings.
        x, residual: (batch, channels, frequency, time).
        statistics: running mean and variance, (S, channels) each.
        affine: weight and bias, (S, channels) or (1, channels) each.
    """
    assert norm.momentum is not None
    momentum = norm.momentum
    if fused.supports(x, residual, norm.weight):
        return fused.norm_add_relu(x, residual, *statistics, *affine, norm.training, momentum, norm.eps, norm.relu)
    y = _sub_band_norm(x, *statistics, *affine, norm.training, momentum, norm.eps)
    if residual is not None:
        y = y + residual
    return y.relu() if norm.relu else y


def _sub_band_norm(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor, bias: Tensor, training: bool, momentum: float, eps: float
) -> Tensor:
    """Normalize sub-bands by one native batch norm, to which sub-bands appear as channels."""
    sub_bands, (batch, channels, frequency, time) = len(mean), x.shape
    normalize = _sync_batch_norm if training and x.is_cuda else nn.functional.batch_norm
    if sub_bands == 1:
        return normalize(x, mean[0], var[0], weight[0], bias[0], training, momentum, eps)
    # Reshaping the (batch, frequency, time, channels) view keeps channels-last memory channels-last.
    split = (batch, sub_bands, frequency // sub_bands, time, channels)
    bands = x.permute(0, 2, 3, 1).reshape(split).permute(0, 2, 3, 1, 4).flatten(3).permute(0, 3, 1, 2)
    wide_weight, wide_bias = (values.expand(sub_bands, -1).reshape(-1) for values in (weight, bias))
    y = normalize(bands, mean.view(-1), var.view(-1), wide_weight, wide_bias, training, momentum, eps)
    rows = (batch, frequency // sub_bands, time, sub_bands, channels)
    joined = y.permute(0, 2, 3, 1).reshape(rows).permute(0, 3, 1, 2, 4)
    return joined.reshape(batch, frequency, time, channels).permute(0, 3, 1, 2)


def _sync_batch_norm(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor, bias: Tensor, training: bool, momentum: float, eps: float
) -> Tensor:
    """Normalize as `torch.nn.functional.batch_norm`, by the statistics of all processes if there are several."""
    values = {"running_mean": mean, "running_var": var, "weight": weight, "bias": bias}
    y: Tensor = torch.func.functional_call(_layer(len(weight), momentum, eps).train(training), values, (x,))
    return y


@functools.cache
def _layer(channels: int, momentum: float, eps: float) -> nn.SyncBatchNorm:
    """Return a layer without values of its own, since PyTorch has no function for this norm."""
    return nn.SyncBatchNorm(channels, eps, momentum, device="meta")
