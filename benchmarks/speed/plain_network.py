"""Our networks with PyTorch's own layers, in the default memory layout."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from scenelet.nn.blocks import to_channels_last
from scenelet.nn.norm import BatchNorm, SubSpectralNorm


class PlainNorm(nn.Module):
    """Norm and ReLU of our `BatchNorm` or `SubSpectralNorm` as separate layers; sub-bands as a view of channels."""

    def __init__(self, norm: BatchNorm | SubSpectralNorm) -> None:
        super().__init__()
        self.sub_bands = norm.running_mean.numel() // norm.weight.shape[-1]
        self.norm = nn.BatchNorm2d(norm.weight.shape[-1] * self.sub_bands)
        self.relu = norm.relu
        self.train(norm.training)
        with torch.no_grad():
            for name in ("weight", "bias", "running_mean", "running_var"):
                value = getattr(norm, name).view(-1, norm.weight.shape[-1]).expand(self.sub_bands, -1)
                getattr(self.norm, name).copy_(value.t().flatten())

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Normalize (batch, channels, frequency, time)."""
        batch, channels, frequency, time = x.shape
        split = x.reshape(batch, channels * self.sub_bands, frequency // self.sub_bands, time)
        y = self.norm(split).reshape(x.shape)
        y = y if residual is None else y + residual
        return functional.relu(y) if self.relu else y


def plain(network: nn.Module) -> nn.Module:
    """Return the same network with `PlainNorm` and PyTorch's convolutions, in the default memory layout."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d):
            module.__class__ = nn.Conv2d  # a subclass may have kernels of its own
        for name, child in list(module.named_children()):
            if isinstance(child, BatchNorm | SubSpectralNorm):
                setattr(module, name, PlainNorm(child))
    return to_channels_last(network, torch.contiguous_format)
