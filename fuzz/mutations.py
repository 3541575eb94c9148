"""Mutators of each target: those of the fuzzer, or ones that keep the container of the file valid."""

import contextlib
import random
from collections.abc import Callable, Mapping

import atheris

from fuzz import mutate_archives, mutate_models

Mutator = Callable[[bytes, int, int], bytes]
FROM_GOOD = 0.6
"""Fraction of mutations that start from an input that was read to its end."""
_OWN: dict[str, Callable[[bytes, int, int, mutate_models.Bytes], bytes]] = {
    "scn": mutate_models.mutate,
    "model": mutate_models.mutate,
    "checkpoint": mutate_archives.mutate,
}


def of(target: str, good: Mapping[int, bytes]) -> Mutator:
    """Return the mutator of a target; `good` holds inputs that were read to their end."""

    def mutate(data: bytes, largest: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if good and rng.random() < FROM_GOOD:
            data = good[rng.choice(list(good))]
        if target in _OWN:
            with contextlib.suppress(ValueError):  # Python cannot write integers of thousands of digits as JSON
                changed = _OWN[target](data, largest, seed, atheris.Mutate)
                return changed if len(changed) <= largest else data[:largest]
        return bytes(atheris.Mutate(data, largest))

    return mutate
