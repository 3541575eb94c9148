"""Learning rate of each step, as a plain function."""

import math

from scenelet.config import ScheduleConfig


def learning_rate(config: ScheduleConfig, step: int, steps_per_epoch: int) -> float:
    """Rate of optimizer step `step` (from 0).

    - "hold_decay_hold" (the paper, section 6.1): `learning_rate` for `hold_epochs`, exponentially to
      `min_learning_rate` over `decay_epochs`, then `min_learning_rate`. Changes once an epoch.
    - "one_cycle" (Smith 2018): half a cosine from rate / 25 up to `learning_rate` over the `warmup_fraction` of
      the steps, and half a cosine down to `min_learning_rate`.
    - "linear": from `learning_rate` at the first step to `min_learning_rate` at the last.
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
        return _cosine(config.learning_rate / 25, config.learning_rate, step / peak)
    return _cosine(config.learning_rate, config.min_learning_rate, min((step - peak) / (last - peak), 1.0))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
