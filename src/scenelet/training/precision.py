"""Precision of a training on this machine."""

from typing import Literal

import torch

Precision = Literal["auto", "fp32", "bf16", "fp16"]
TENSOR_CORES = (7, 0)
"""CUDA capability of the first GPUs with tensor cores (V100)."""


def resolve_precision(precision: Precision) -> Literal["fp32", "bf16", "fp16"]:
    """Return the precision that a training with this setting computes in on this machine.

    fp16 needs a CUDA GPU; other devices compute in fp32 instead.

    >>> resolve_precision("fp32")
    'fp32'
    """
    if precision == "auto":
        return "bf16" if has_native_bf16() else "fp16" if has_fast_fp16() else "fp32"
    if precision == "fp16" and not torch.cuda.is_available():
        return "fp32"
    return precision


def has_native_bf16() -> bool:
    """Return True if this machine multiplies bf16 in hardware. Without that, a CPU is slower with bf16."""
    if torch.backends.mps.is_available():
        return False  # Lightning trains on the MPS GPU, for which the features of the CPU do not count
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # the capabilities are those of the processor, also where variables limit PyTorch to AVX2
    if not hasattr(torch.cpu, "get_capabilities") or torch.backends.cpu.get_cpu_capability() == "AVX2":
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def has_fast_fp16() -> bool:
    """Return True if this machine has a CUDA GPU with tensor cores, which multiply fp16 several times faster."""
    return torch.cuda.is_available() and torch.cuda.get_device_capability() >= TENSOR_CORES
