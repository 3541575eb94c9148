"""Prune a trained network and train it on, under its masks and with its weights rounded in every step."""

import copy
from collections.abc import Callable
from pathlib import Path

from torch import nn

from scenelet.config import LossConfig, PruneConfig, RunConfig, ScheduleConfig
from scenelet.nn import prune
from scenelet.nn.quantize import quantizer
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.dataset import Dataset
from scenelet.training.loop import run_trainer
from scenelet.training.losses import build_loss
from scenelet.training.module import Masks, SceneModule
from scenelet.training.train import epoch_batches

SEED_STRIDE = 100_000  # another `prune.seed` draws as epochs do that no training reaches


def prune_and_finetune(
    network: StandardizedNetwork,
    dataset: Dataset,
    config: RunConfig,
    folder: Path | None = None,
    description: str = "Fine-tuning",
    talk: bool = True,
) -> tuple[Masks, float]:
    """Prune `network` in place to `config.prune.sparsity` and train it for `config.prune.epochs`.

    The rate falls linearly (the paper, section 5.1). Where the format is int8 or int4, every step computes with the
    rounded weights; those that are left at the end are what `scenelet.nn.quantize.round_network` rounds.
    Without epochs the network is pruned only; with a sparsity of 0 it is trained on all the same. It takes one device,
    whatever the run was trained on.

    Args:
        network: trained; it teaches itself as it was, where `config.prune.self_distillation` is above 0.
        sides: the data.
        config: the run's settings; its section `prune` says what is done. `dtype` is a format, and `max_bytes` is not
            looked at: see `scenelet.training.compression.search`.
        folder: for checkpoints; what is found there is gone on from. None writes nothing.
        description: shown beside the progress bar.
        talk: passed to `scenelet.training.loop.run_trainer` as `verbose`.

    Returns:
        The masks of what is left, and the minutes that the training took.
    """
    settings, dtype = config.prune, config.prune.dtype
    assert dtype != "auto"
    whole = copy.deepcopy(network)
    masks_of = masks_by_epoch(network, settings)
    if settings.epochs == 0:
        masks = masks_of(network, 0)
        prune.apply_masks(network, masks)
        return masks, 0.0
    schedule = ScheduleConfig(
        **config.schedule.model_dump(exclude={"epochs", "name", "learning_rate", "min_learning_rate", "ema_epochs"}),
        epochs=settings.epochs,
        name="linear",
        learning_rate=settings.learning_rate,
        min_learning_rate=settings.min_learning_rate,
        ema_epochs=settings.ema_epochs,
    )
    if settings.mixing == "none":
        config = config.model_copy(update={"mixing": config.mixing.model_copy(update={"combine": "none"})})
    loss = config.loss if settings.loss == "as_trained" else LossConfig(name=settings.loss)
    batches = epoch_batches(dataset, config, config.schedule.epochs + SEED_STRIDE * settings.seed)
    teacher = (whole.eval(), settings.self_distillation) if settings.self_distillation else None
    module = SceneModule(
        network.train(),
        build_loss(loss, dataset.train.class_counts()),
        schedule,
        batches,
        masks=masks_of,
        quantize=quantizer(dtype),
        teacher=teacher,
    )
    run_trainer(module, config.precision, folder, folder is not None, description=description, verbose=talk)
    return module.masks, sum(row["seconds"] for row in module.history) / 60


def masks_by_epoch(network: nn.Module, settings: PruneConfig) -> Callable[[nn.Module, int], Masks]:
    """The masks to hold in each epoch: those of `network` as it is now, or new ones while more and more is pruned."""
    if settings.ramp_fraction == 0 or settings.epochs == 0:
        masks = prune.global_l1_masks(network, settings.sparsity)
        return lambda _, epoch: masks
    ramp = max(1, round(settings.ramp_fraction * settings.epochs))

    def masks_of(current: nn.Module, epoch: int) -> Masks:
        # after the ramp the same weights are the smallest: those that are 0
        return prune.global_l1_masks(current, prune.gradual_sparsity(epoch, ramp, settings.sparsity))

    return masks_of
