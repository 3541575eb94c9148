"""The training device: its name, its memory for features, and copies of small arrays to it."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

CPU = torch.device("cpu")
FEATURE_FRACTION = 0.5
"""Maximum fraction of a GPU's free memory that features take. The rest is for activations."""


def device_name() -> str:
    """Return the device that a training uses on this machine: the name of the GPU, "mps" or "cpu"."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "mps" if torch.backends.mps.is_available() else "cpu"


def to_device(values: NDArray[Any], device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Copy a small array to a device, and convert it to `dtype` first if that is given.

    The host does not wait for a CUDA GPU: CUDA takes a copy of the array before it returns.
    """
    tensor = torch.from_numpy(values)
    if dtype is not None:
        tensor = tensor.to(dtype)
    return tensor.to(device, non_blocking=device.type == "cuda")


def free_memory(device: torch.device) -> int:
    """Return the free bytes of a CUDA GPU, and 0 for other devices, whose memory is that of the host."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else 0


def features_fit(feature_bytes: int, free_bytes: int) -> bool:
    """Return True if features of this size may stay in the memory of a device.

    >>> features_fit(6_400_000_000, free_bytes=139_000_000_000), features_fit(6_400_000_000, free_bytes=12_000_000_000)
    (True, False)
    """
    return feature_bytes <= FEATURE_FRACTION * free_bytes
