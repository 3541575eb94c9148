"""Affine maps of the mel bands of cached features, see `scenelet.data.device_bands`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BandMaps:
    """Affine maps, each of which belongs to some rows.

    Attributes:
        of_row: (rows,) number of the map of each row.
        scale, shift: (maps, n_mels) float32; a value x of a band becomes x * scale + shift.

    >>> maps = BandMaps(np.array([0, 1], np.int32), np.float32([[1], [2]]), np.float32([[0], [5]]))
    >>> maps(np.ones((2, 1, 1, 1), np.float32), np.array([1, 0])).flatten()
    array([7., 1.], dtype=float32)
    """

    of_row: NDArray[np.int32]
    scale: NDArray[np.float32]
    shift: NDArray[np.float32]

    def __call__(self, x: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Map the values (n, channels, n_mels, frames) of rows (n,)."""
        numbers = self.of_row[rows]
        return x * self.scale[numbers][:, None, :, None] + self.shift[numbers][:, None, :, None]
