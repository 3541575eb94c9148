"""Precision and device of a training on this machine."""

from typing import Literal

import torch

Precision = Literal["auto", "fp32", "bf16"]


def resolve_precision(precision: Precision) -> Literal["fp32", "bf16"]:
    """Return the precision that a training with this setting computes in on this machine.

    >>> resolve_precision("fp32")
    'fp32'
    """
    if precision == "auto":
        return "bf16" if has_native_bf16() else "fp32"
    return precision


def has_native_bf16() -> bool:
    """Return True if this machine multiplies bf16 in hardware. Without that, a CPU is slower with bf16."""
    if torch.backends.mps.is_available():
        return False  # Lightning trains on the MPS GPU, for which the features of the CPU do not count
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not hasattr(torch.cpu, "get_capabilities"):  # before PyTorch 2.10
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def device_name() -> str:
    """Return the device that a training uses on this machine: the name of the GPU, "mps" or "cpu"."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "mps" if torch.backends.mps.is_available() else "cpu"
