"""Learning rate of each step, as a plain function."""

import math

from scenelet.config import ScheduleConfig


def learning_rate(config: ScheduleConfig, step: int, steps_per_epoch: int) -> float:
    """Rate of optimiser step `step` (from 0).

    - "hold_decay_hold" (the paper, section 6.1): `rate` for `hold_epochs`, exponentially to
      `final_rate` over `decay_epochs`, then `final_rate`. Changes once an epoch.
    - "one_cycle" (Smith 2018): half a cosine from rate / 25 up to `rate` over the `warmup` share of
      the steps, and half a cosine down to `final_rate`.
    - "linear": from `rate` at the first step to `final_rate` at the last.
    """
    if config.shape == "hold_decay_hold":
        epoch = step // steps_per_epoch
        decayed = min(max(epoch - config.hold_epochs, 0) / config.decay_epochs, 1.0)
        return config.rate * math.pow(config.final_rate / config.rate, decayed)
    last = max(config.epochs * steps_per_epoch - 1, 1)
    if config.shape == "linear":
        return config.rate + (config.final_rate - config.rate) * min(step / last, 1.0)
    peak = config.warmup * last
    if step < peak:
        return _cosine(config.rate / 25, config.rate, step / peak)
    return _cosine(config.rate, config.final_rate, min((step - peak) / (last - peak), 1.0))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
