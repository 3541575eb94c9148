"""A mode in which an operation on tensors of two devices is an error, also for the device "meta"."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class OneDevice(TorchDispatchMode):
    """Mode that checks the devices of every operation, as a GPU would. Copies may cross devices."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        devices = {leaf.device.type for leaf in tree_leaves(args) if isinstance(leaf, Tensor) and leaf.ndim}
        assert len(devices) <= 1 or func is torch.ops.aten.copy_.default, f"{func} on {devices}"
        return func(*args, **(kwargs or {}))
