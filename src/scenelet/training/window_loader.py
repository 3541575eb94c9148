"""Windows of clips, loaded as float32 tensors onto the training device."""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenelet.data.band_maps import BandMaps
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.device import CPU, features_fit, free_memory, to_device

Item = TypeVar("Item")
UPLOAD_WINDOWS = 256
"""Number of windows that are copied to a device at once."""


class WindowLoader:
    """Loader of the windows of some clips.

    Resident windows are copied to the device once, as fp16. Other windows stay in the feature cache, and each batch is
    read when it is needed. For a CUDA GPU, a thread reads the next batch into pinned memory meanwhile.

    Args:
        features: the clips.
        device: device of the tensors.
        resident: keep the windows on the device.

    Attributes:
        first: (clips,) number of each clip's first window, as `load` counts them.

    >>> values = np.arange(3, dtype=np.float16).reshape(3, 1, 1, 1)
    >>> loader = WindowLoader(ClipFeatures(values, first=np.array([2, 0]), count=np.array([1, 2])))
    >>> [batch.flatten().tolist() for batch in loader.load([loader.first, np.array([1])])]
    [[2.0, 0.0], [1.0]]
    """

    def __init__(self, features: ClipFeatures, device: torch.device = CPU, resident: bool = False) -> None:
        self.device = device
        self._values = features.values
        self._resident: Tensor | None = None
        self.first = features.first
        self._maps = None if features.maps is None else _DeviceMaps(features.maps, device)
        if resident:
            rows = features.rows()
            self._maps = self._maps and self._maps.select(rows)
            self._resident = torch.empty((len(rows), *features.values.shape[1:]), dtype=torch.float16, device=device)
            for start in range(0, len(rows), UPLOAD_WINDOWS):
                part = slice(start, start + UPLOAD_WINDOWS)
                self._resident[part].copy_(torch.from_numpy(features.values[rows[part]]))
            self.first = np.cumsum(features.count) - features.count

    def load(self, batches: Iterable[NDArray[np.int64]]) -> Iterator[Tensor]:
        """Yield the windows (n, channels, n_mels, frames) of each batch of window numbers (n,)."""
        if self._resident is not None:
            for rows in batches:
                yield self._map(self._resident.index_select(0, to_device(rows, self.device)).float(), rows)
            return
        on_gpu = self.device.type == "cuda"
        read = map(self._read, batches)
        for x, rows in prefetch(read) if on_gpu else read:
            # PyTorch converts fp16 much faster than NumPy
            yield self._map(x.to(self.device, non_blocking=on_gpu).float(), rows)

    def _read(self, rows: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.int64]]:
        x = torch.from_numpy(self._values[rows])
        return x.pin_memory() if self.device.type == "cuda" else x, rows

    def _map(self, x: Tensor, rows: NDArray[np.int64]) -> Tensor:
        return x if self._maps is None else self._maps(x, rows)


class _DeviceMaps:
    """`BandMaps` on a device."""

    def __init__(self, maps: BandMaps, device: torch.device) -> None:
        self._maps = maps
        self._scale, self._shift = (to_device(each[:, None, :, None], device) for each in (maps.scale, maps.shift))

    def select(self, rows: NDArray[np.int64]) -> "_DeviceMaps":
        """Return the maps of rows, which are numbered from 0 on."""
        return _DeviceMaps(replace(self._maps, of_row=self._maps.of_row[rows]), self._scale.device)

    def __call__(self, x: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Map the values (n, channels, n_mels, frames) of rows (n,)."""
        numbers = to_device(self._maps.of_row[rows], x.device)
        return x * self._scale.index_select(0, numbers) + self._shift.index_select(0, numbers)


def build_loader(features: ClipFeatures, device: torch.device) -> WindowLoader:
    """Build the loader of a training. Windows are resident if they fit into the memory of its GPU."""
    feature_bytes = int(features.count.sum()) * features.values[:1].nbytes
    return WindowLoader(features, device, resident=features_fit(feature_bytes, free_memory(device)))


def prefetch(items: Iterable[Item]) -> Generator[Item, None, None]:
    """Yield items, none of which is None. A thread computes the next one while the caller uses the present one.

    >>> list(prefetch(map(abs, [-1, 2])))
    [1, 2]
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, iterator, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, iterator, None)
            yield item
