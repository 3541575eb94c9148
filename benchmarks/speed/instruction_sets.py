"""Instruction sets that the benchmark measures with: AVX2, which most machines have, and the best of this machine."""

import numpy as np
import torch

from scenelet.training.precision import has_native_bf16

BEST, AVX2 = "best", "avx2"


def environments() -> dict[str, dict[str, str]]:
    """Return the instruction sets of a measurement, each with the environment that limits a process to it.

    A machine with AVX-512 has two: "avx2" and "best". Others have "best" only.
    """
    return {AVX2: limit_to_avx2(), BEST: {}} if has_avx512() else {BEST: {}}


def limit_to_avx2() -> dict[str, str]:
    """Return the variables that limit PyTorch, oneDNN, MKL, NumPy, OpenBLAS and Numba to AVX2.

    SciPy's FFT and soxr have no AVX-512 code. ONNX Runtime has some and cannot be limited. OpenVINO fails
    if its copy of oneDNN is limited.
    """
    return {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": " ".join(_numpy_avx512()),
        "OPENBLAS_CORETYPE": "Haswell",
        "NUMBA_CPU_NAME": "haswell",
    }


def _numpy_avx512() -> list[str]:
    """Return the features above AVX2 that NumPy has code for and that this machine has, by NumPy's names."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return [name for name in found if name.startswith("AVX512") or name == "X86_V4"]


def has_avx512() -> bool:
    """Return True if PyTorch computes with AVX-512 in this process."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def describe_best() -> str:
    """Name the instruction set of this process, for example "AVX-512 with bf16"."""
    capability = torch.backends.cpu.get_cpu_capability()
    name = "AVX-512" if capability.startswith("AVX512") else capability
    return f"{name} with bf16" if has_native_bf16() else name
