"""SubSpectralNorm: batch normalisation with separate statistics for each band of frequencies."""

from typing import Literal

import torch
from torch import Tensor, nn

from scenelet.errors import UsageError


class SubSpectralNorm(nn.Module):
    """Split frequency into S contiguous equal sub-bands; each (channel, sub-band) has its own statistics.

    For sub-band s and channel c, over batch, the sub-band's frequencies and time:

        y = (x - mean[s, c]) / sqrt(var[s, c] + eps) * weight + bias

    `affine="all"` has one scale and shift per channel for all sub-bands (2C parameters: the paper,
    section 2.2), `affine="sub"` one per channel and sub-band (2CS). S=1 equals `BatchNorm2d`.

    Shape: (batch, channels, frequency, time) -> the same.

    Raises:
        UsageError: in `forward`, when frequency does not divide by `sub_bands`.
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
    ) -> None:
        super().__init__()
        if affine not in ("all", "sub"):
            raise UsageError(f"affine is {affine!r}; it is 'all' or 'sub'")
        self.channels, self.sub_bands, self.affine = channels, sub_bands, affine
        self.eps, self.momentum = eps, momentum
        self.layer = "SubSpectralNorm"  # a network puts the layer's name here, for the error below
        rows = sub_bands if affine == "sub" else 1
        self.weight = nn.Parameter(torch.ones(rows, channels))
        self.bias = nn.Parameter(torch.zeros(rows, channels))
        self.register_buffer("running_mean", torch.zeros(sub_bands, channels))
        self.register_buffer("running_var", torch.ones(sub_bands, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frequency, time) -> the same shape, normalised."""
        batch, channels, frequency, time = x.shape
        if frequency % self.sub_bands:
            raise UsageError(
                f"{self.layer}: {frequency} frequencies do not split into {self.sub_bands} equal sub-bands;"
                " change features.n_mels or network.sub_bands"
            )
        # Sub-bands become channels, so that one native batch norm does the work. Written on the
        # (batch, frequency, time, channels) view, the moves keep channels-last memory channels-last.
        split = (batch, self.sub_bands, frequency // self.sub_bands, time, channels)
        bands = x.permute(0, 2, 3, 1).reshape(split).permute(0, 2, 3, 1, 4).flatten(3).permute(0, 3, 1, 2)
        y = nn.functional.batch_norm(
            bands,
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.expand(self.sub_bands, -1).reshape(-1),
            self.bias.expand(self.sub_bands, -1).reshape(-1),
            self.training,
            self.momentum,
            self.eps,
        )
        rows = (batch, frequency // self.sub_bands, time, self.sub_bands, channels)
        joined = y.permute(0, 2, 3, 1).reshape(rows).permute(0, 3, 1, 2, 4)
        return joined.reshape(batch, frequency, time, channels).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        """Shown by `print(network)`."""
        return f"{self.channels}, sub_bands={self.sub_bands}, affine={self.affine!r}"
