"""Train a network on, with its pruned weights held at zero."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from scenelet.config import LossConfig, RunConfig, ScheduleConfig
from scenelet.nn.standardise import Standardised
from scenelet.training.loop import train
from scenelet.training.losses import build_loss
from scenelet.training.module import SceneModule
from scenelet.workflows.fit import epoch_batches
from scenelet.workflows.sides import Sides

EPOCHS_APART = 100_000  # another `prune.seed` draws as epochs do that no training reaches


def fine_tune(
    network: Standardised,
    sides: Sides,
    config: RunConfig,
    masks: Mapping[str, Tensor],
    whole: Standardised,
    folder: Path | None = None,
    description: str = "Fine-tuning",
    talk: bool = True,
) -> float:
    """Train `network` in place for `config.prune.epochs`; returns the minutes that it took.

    The rate falls linearly (the paper, section 5.1). Without epochs nothing is done.

    Args:
        network: pruned, or whole.
        sides: the data.
        config: the run's settings; its section `prune` says what is changed for this.
        masks: parameter name -> 0/1 tensor of kept weights.
        whole: the network before it was pruned, which teaches where `config.prune.distil` is above 0.
        folder: for checkpoints; what is found there is gone on from. None writes nothing.
        description: shown beside the progress bar.
        talk: as `scenelet.training.loop.train`.
    """
    settings = config.prune
    if settings.epochs == 0:
        return 0.0
    schedule = ScheduleConfig(
        **config.schedule.model_dump(exclude={"epochs", "shape", "rate", "final_rate", "average_epochs"}),
        epochs=settings.epochs,
        shape="linear",
        rate=settings.rate,
        final_rate=settings.final_rate,
        average_epochs=settings.average_epochs,
    )
    if settings.mixing == "none":
        config = config.model_copy(update={"mixing": config.mixing.model_copy(update={"mode": "none"})})
    loss = config.loss if settings.loss == "as_trained" else LossConfig(name=settings.loss)
    batches = epoch_batches(sides, config, config.schedule.epochs + EPOCHS_APART * settings.seed)
    teacher = (whole.eval(), settings.distil) if settings.distil else None
    module = SceneModule(
        network.train(),
        build_loss(loss, sides.train.class_counts()),
        schedule,
        batches,
        masks=masks,
        teacher=teacher,
    )
    train(module, config.precision, folder, folder is not None, description=description, talk=talk)
    return sum(row["seconds"] for row in module.history) / 60
