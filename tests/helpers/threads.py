"""Check that results do not depend on the count of threads."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def assert_same_for_any_threads(compute: Callable[[], Iterable[Tensor]]) -> None:
    """Check that the tensors of `compute` are bit-identical with one, two and three threads."""
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(list(compute()))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))
