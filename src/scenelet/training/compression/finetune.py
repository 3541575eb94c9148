"""Fine-tuning: prune a trained network and train it further, with its masks held and its weights rounded."""

import copy
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.callbacks import Callback

from scenelet.config import LossConfig, PruneConfig, RunConfig, ScheduleConfig
from scenelet.nn.ensemble import member_count
from scenelet.nn.prune import Masks
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.nn.stored_weights import add_stored_weights, prune_to, remove_stored_weights
from scenelet.training.batches import epoch_batches
from scenelet.training.dataset import Dataset
from scenelet.training.distillation import Distillation
from scenelet.training.loop import run_trainer
from scenelet.training.losses import build_loss
from scenelet.training.module import SceneModule

SEED_STRIDE = 100_000  # epoch numbers that no training reaches, so that each `prune.seed` draws other batches


def prune_and_finetune(
    network: StandardizedNetwork,
    dataset: Dataset,
    config: RunConfig,
    folder: Path | None = None,
    description: str = "Fine-tuning",
    teacher: StandardizedNetwork | None = None,
    callbacks: Sequence[Callback] = (),
) -> tuple[Masks, float]:
    """Prune `network` in place to `config.prune.sparsity` and train it for `config.prune.epochs`.

    The learning rate falls linearly (Chang et al. 2020, section 5.1). With int8 or int4, every step computes with the
    rounded weights, and `scenelet.nn.quantize.round_network` rounds those that remain at the end. Without epochs the
    network is only pruned. With a sparsity of 0 it is trained without pruning. Fine-tuning uses one device.

    Args:
        network: the trained network.
        dataset: the data.
        config: the settings of the run; `prune.dtype` is a format, and `prune.max_bytes` is ignored.
        folder: folder for checkpoints, from which an interrupted fine-tuning continues. None writes nothing.
        description: text next to the progress bar.
        teacher: network that answers for `config.prune.self_distillation`; None: `network` as it is before pruning.
        callbacks: further Lightning callbacks, which must not change the training.

    Returns:
        The masks of the remaining weights, and the duration of the training in minutes.
    """
    settings, dtype = config.prune, config.prune.dtype
    assert dtype != "auto"
    unpruned = copy.deepcopy(network) if teacher is None else teacher
    add_stored_weights(network, dtype)
    if settings.epochs == 0:
        prune_to(network, settings.sparsity)
        return remove_stored_weights(network), 0.0
    if settings.mixing == "none":
        unmixed = config.mixing.model_copy(update={"combine": "none"})
        waveform = config.waveform.model_copy(update={"mix_probability": 0.0})
        config = config.model_copy(update={"mixing": unmixed, "waveform": waveform})
    loss = config.loss if settings.loss == "as_trained" else LossConfig(name=settings.loss)
    taught = settings.self_distillation
    first_epoch = config.schedule.epochs + SEED_STRIDE * settings.seed
    module = SceneModule(
        network.train(),
        build_loss(loss, dataset.train.epoch_counts()),
        finetuning_schedule(config.schedule, settings),
        epoch_batches(dataset.train, config, first_epoch, members=member_count(network.network)),
        sparsity=lambda epoch: sparsity_of_epoch(settings, epoch),
        distillation=Distillation([unpruned.eval()], 1 - taught) if taught else None,
    )
    resume = folder is not None
    run_trainer(module, config.precision, folder, resume, description=description, callbacks=callbacks)
    return remove_stored_weights(network), sum(row["seconds"] for row in module.history) / 60


def finetuning_schedule(schedule: ScheduleConfig, settings: PruneConfig) -> ScheduleConfig:
    """Return the schedule of the fine-tuning: the batch size and optimizer of training, and a linear learning rate."""
    changes = {"name": "linear"} | {
        name: getattr(settings, name) for name in ("epochs", "learning_rate", "min_learning_rate", "ema_epochs")
    }
    return ScheduleConfig.model_validate(schedule.model_dump() | changes)


def sparsity_of_epoch(settings: PruneConfig, epoch: int) -> float:
    """Return the sparsity s (1 - (1 - (epoch + 1) / ramp)^3) of an epoch of the fine-tuning, counted from 0.

    It rises over a ramp of epochs, and fastest in the first ones (Zhu and Gupta 2017). s is `settings.sparsity`.

    >>> settings = PruneConfig(sparsity=0.8, epochs=4, ramp_fraction=0.5)
    >>> [round(sparsity_of_epoch(settings, epoch), 3) for epoch in range(4)]
    [0.7, 0.8, 0.8, 0.8]
    """
    ramp = max(1, round(settings.ramp_fraction * settings.epochs))
    return settings.sparsity * (1 - max(0.0, 1 - (epoch + 1) / ramp) ** 3)
