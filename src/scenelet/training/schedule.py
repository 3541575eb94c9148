"""Learning rate of each optimizer step."""

import math

from scenelet.config import ScheduleConfig

ONE_CYCLE_START_DIVISOR = 25


def learning_rate(config: ScheduleConfig, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of optimizer step `step`, counted from 0.

    - "hold_decay_hold" (the paper, section 6.1): `learning_rate` for `hold_epochs`, an exponential decay to
      `min_learning_rate` over `decay_epochs`, then `min_learning_rate`. The rate changes once per epoch.
    - "one_cycle" (Smith 2018): half a cosine from `learning_rate` / 25 up to `learning_rate` over the first
      `warmup_fraction` of the steps, then half a cosine down to `min_learning_rate`.
    - "linear": a straight line from `learning_rate` at the first step to `min_learning_rate` at the last.

    >>> config = ScheduleConfig(name="linear", epochs=2, learning_rate=1.0, min_learning_rate=0.1)
    >>> [round(learning_rate(config, step, steps_per_epoch=2), 2) for step in range(4)]
    [1.0, 0.7, 0.4, 0.1]
    """
    if config.name == "hold_decay_hold":
        epoch = step // steps_per_epoch
        decayed = min(max(epoch - config.hold_epochs, 0) / config.decay_epochs, 1.0)
        return config.learning_rate * math.pow(config.min_learning_rate / config.learning_rate, decayed)
    last = max(config.epochs * steps_per_epoch - 1, 1)
    if config.name == "linear":
        return config.learning_rate + (config.min_learning_rate - config.learning_rate) * min(step / last, 1.0)
    peak = config.warmup_fraction * last
    if step < peak:
        return _cosine(config.learning_rate / ONE_CYCLE_START_DIVISOR, config.learning_rate, step / peak)
    return _cosine(config.learning_rate, config.min_learning_rate, min((step - peak) / (last - peak), 1.0))


def _cosine(start: float, end: float, fraction: float) -> float:
    """Interpolate from `start` to `end` along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2
