"""Mutations of each target's inputs: the fuzzer's own, or one that keeps the frame of a file valid."""

import contextlib
import random
from collections.abc import Callable, Mapping

import atheris

from fuzz import mutate_archives, mutate_models

Mutator = Callable[[bytes, int, int], bytes]
VALID_FRACTION = 0.6
"""Fraction of mutations that start from an input that was read completely."""
_OWN: dict[str, Callable[[bytes, int, int, mutate_models.Bytes], bytes]] = {
    "scn": mutate_models.mutate,
    "model": mutate_models.mutate,
    "checkpoint": mutate_archives.mutate,
}


def of(target: str, good: Mapping[int, bytes]) -> Mutator:
    """Return the mutator of a target, (bytes, maximum size, seed) -> bytes. `good` holds inputs that were read."""

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if good and rng.random() < VALID_FRACTION:
            data = good[rng.choice(list(good))]
        if target in _OWN:
            with contextlib.suppress(ValueError):  # Python writes no JSON for a number of thousands of digits
                changed = _OWN[target](data, max_size, seed, atheris.Mutate)
                return changed if len(changed) <= max_size else data[:max_size]
        return bytes(atheris.Mutate(data, max_size))

    return mutate
