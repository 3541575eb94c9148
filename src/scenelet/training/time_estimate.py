"""Estimate of the training time, from a few real steps on a copy of the network."""

import copy
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from scenelet.config import RunConfig
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.batches import LabelledFeatures
from scenelet.training.module import SceneModule
from scenelet.training.precision import Precision, resolve_precision
from scenelet.training.probabilities import BATCH_WINDOWS, clip_probabilities
from scenelet.utils.console import is_quiet, print_message, spinner
from scenelet.utils.process import keep_freed_memory
from scenelet.utils.text import duration, pluralize

Clock = Callable[[], float]
"""Function that returns a time in seconds."""

MIN_TRAINING_STEPS = 100
"""Number of steps below which a training is too short for an estimate."""
MIN_TIMED_SECONDS, MIN_TIMED_STEPS = 1.0, 2


@dataclass(frozen=True)
class TimeEstimate:
    """Seconds of one epoch of training, with its validation, and of one epoch of the fine-tuning in `compress`."""

    epoch: float
    finetuning_epoch: float


def print_time_estimate(
    module: SceneModule, config: RunConfig, min_steps: int = MIN_TRAINING_STEPS, clock: Clock = time.perf_counter
) -> None:
    """Print a line with the expected time of training and fine-tuning.

    Nothing is printed for trainings of fewer than `min_steps` steps and on GPUs, which are not timed.
    """
    steps = len(module.batches(0)) * config.schedule.epochs
    if is_quiet() or steps < min_steps or torch.cuda.is_available() or torch.backends.mps.is_available():
        return
    with spinner("Timing a few steps"):
        found = estimate_time(module, config, clock)
    print_message(format_estimate(found, config))


def format_estimate(found: TimeEstimate, config: RunConfig) -> str:
    """Return the line of `print_time_estimate`.

    >>> config = RunConfig.model_validate({"schedule": {"epochs": 2}, "prune": {"epochs": 30}})
    >>> format_estimate(TimeEstimate(4.1, 3.9), config)
    'an epoch takes about 4.1 s: 2 epochs in about 8.2 s, and the 30 of `scenelet compress` in about 2 min'
    """
    epochs = config.schedule.epochs
    line = f"an epoch takes about {duration(found.epoch)}: {pluralize(epochs, 'epoch')} in about"
    line += f" {duration(epochs * found.epoch)}"
    # with a byte limit, the number of fine-tunings is not known
    if config.prune.epochs and config.prune.max_bytes is None and not config.prune.changes_nothing:
        finetuning = duration(config.prune.epochs * found.finetuning_epoch)
        line += f", and the {config.prune.epochs:,} of `scenelet compress` in about {finetuning}"
    return line


def estimate_time(module: SceneModule, config: RunConfig, clock: Clock = time.perf_counter) -> TimeEstimate:
    """Time real steps of `module` on a copy of its network. The module and its random numbers do not change."""
    steps = len(module.batches(0))
    step = finetuning_step = seconds_per_step(module, config.precision, module.teacher, clock)
    if config.prune.self_distillation or module.teacher is not None:  # fine-tuning has another teacher, or none
        network = copy.deepcopy(module.network).eval()
        teacher = (network, config.prune.self_distillation) if config.prune.self_distillation else None
        finetuning_step = seconds_per_step(module, config.precision, teacher, clock)
    validation = 0.0 if module.validation is None else validation_seconds(module.network, module.validation, clock)
    return TimeEstimate(steps * step + validation, steps * finetuning_step)


def seconds_per_step(
    module: SceneModule,
    precision: Precision,
    teacher: tuple[nn.Module, float] | None,
    clock: Clock = time.perf_counter,
) -> float:
    """Return the mean time of a few training steps.

    The first step, which compiles code and allocates memory, is not counted.
    """
    keep_freed_memory()
    trial = SceneModule(
        copy.deepcopy(module.network),
        module.loss,
        module.schedule,
        module.batches,
        sparsity=module.sparsity,
        teacher=teacher,
    ).train()
    configured: Any = trial.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    trial.on_train_epoch_start()
    batches = itertools.chain.from_iterable(map(module.batches, range(module.schedule.epochs)))
    seconds, before = list[float](), clock()
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=resolve_precision(precision) == "bf16", cache_enabled=False):
            loss = trial.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        scheduler.step()
        trial.on_train_batch_end()
        now = clock()
        seconds.append(now - before)
        before = now
        if len(seconds) > MIN_TIMED_STEPS and sum(seconds[1:]) >= MIN_TIMED_SECONDS:
            break
    return sum(seconds[1:]) / len(seconds[1:])


def validation_seconds(
    network: nn.Module,
    clips: LabelledFeatures,
    clock: Clock = time.perf_counter,
    max_windows: int = BATCH_WINDOWS,
) -> float:
    """Extrapolate the time of validation from its first `max_windows` windows.

    They are computed twice, and the second time counts.
    """
    rows = clips.features.rows()
    timed = rows[:max_windows]
    features = ClipFeatures(clips.features.values, timed, np.ones_like(timed))
    clip_probabilities(network, features)
    started = clock()
    clip_probabilities(network, features)
    return (clock() - started) / len(timed) * len(rows)
