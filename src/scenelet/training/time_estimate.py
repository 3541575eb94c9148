"""How long a training will take, from a few real steps on a copy of the network."""

import copy
import itertools
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from scenelet.config import RunConfig
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.batches import EVALUATION_BATCH, LabelledFeatures, clip_probabilities
from scenelet.training.loop import Precision, takes_bf16
from scenelet.training.module import SceneModule
from scenelet.utils.console import is_quiet, print_message, spinner
from scenelet.utils.process import keep_freed_memory
from scenelet.utils.text import duration, pluralize

FEW_STEPS = 100
"""A training of fewer steps is not worth an estimate."""
SECONDS, STEPS = 1.0, 2
"""The steps that are timed: until these seconds are over, and so many at least."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of an epoch, with its validation, and of an epoch of the fine-tuning that comes after."""

    epoch: float
    tuning_epoch: float


def print_time_estimate(module: SceneModule, config: RunConfig) -> None:
    """One line on what the training will cost; nothing of a short one, nor on a GPU, which is not measured."""
    steps = len(module.batches(0)) * config.schedule.epochs
    if is_quiet() or steps < FEW_STEPS or torch.cuda.is_available() or torch.backends.mps.is_available():
        return
    with spinner("Timing a few steps"):
        found = estimate(module, config)
    epochs = config.schedule.epochs
    line = f"an epoch takes about {duration(found.epoch)}: {pluralize(epochs, 'epoch')} in about"
    line += f" {duration(epochs * found.epoch)}"
    if config.prune.epochs and config.prune.max_bytes is None and not config.prune.changes_nothing:
        tuning = duration(config.prune.epochs * found.tuning_epoch)
        line += f", and the {config.prune.epochs:,} of `scenelet compress` in about {tuning}"
    print_message(line)


def estimate(module: SceneModule, config: RunConfig) -> Estimate:
    """From real steps of `module` on a copy of its network; the module, and what it will draw, stay as they are."""
    steps = len(module.batches(0))
    step = tuning_step = seconds_per_step(module, config.precision, module.teacher)
    if config.prune.self_distillation or module.teacher is not None:  # another teacher, or none
        whole = copy.deepcopy(module.network).eval()
        teacher = (whole, config.prune.self_distillation) if config.prune.self_distillation else None
        tuning_step = seconds_per_step(module, config.precision, teacher)
    validation = 0.0 if module.validation is None else _seconds_of_validation(module, module.validation)
    return Estimate(steps * step + validation, steps * tuning_step)


def seconds_per_step(module: SceneModule, precision: Precision, teacher: tuple[nn.Module, float] | None) -> float:
    """The mean of a few training steps; a first one, which compiles and takes memory, is made before."""
    keep_freed_memory()
    trial = SceneModule(
        copy.deepcopy(module.network),
        module.loss,
        module.schedule,
        module.batches,
        masks=module.masks_of,
        quantize=module.quantize,
        teacher=teacher,
    ).train()
    chosen: Any = trial.configure_optimizers()
    optimizer, scheduler = chosen["optimizer"], chosen["lr_scheduler"]["scheduler"]
    trial.on_train_epoch_start()
    every = itertools.chain.from_iterable(map(module.batches, range(module.schedule.epochs)))
    taken, before = list[float](), time.perf_counter()
    for batch in every:
        with torch.autocast("cpu", torch.bfloat16, enabled=takes_bf16(precision), cache_enabled=False):
            loss = trial.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        trial.on_after_backward()
        optimizer.step()
        scheduler.step()
        trial.on_train_batch_end()
        now = time.perf_counter()
        taken.append(now - before)
        before = now
        if len(taken) > STEPS and sum(taken[1:]) >= SECONDS:
            break
    return sum(taken[1:]) / len(taken[1:])


def _seconds_of_validation(module: SceneModule, clips: LabelledFeatures) -> float:
    """From a batch of its windows; a first time is not counted."""
    rows = clips.features.rows()
    some = rows[:EVALUATION_BATCH]
    features = ClipFeatures(clips.features.values, some, np.ones_like(some))
    clip_probabilities(module.network, features)
    started = time.perf_counter()
    clip_probabilities(module.network, features)
    return (time.perf_counter() - started) / len(some) * len(rows)
