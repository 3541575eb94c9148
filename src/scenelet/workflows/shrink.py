"""A trained network -> a smaller one: as sparse as the settings say, or as a budget of bytes on disk needs."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scenelet.compression import prune
from scenelet.compression.quantize import WeightFormat, round_network
from scenelet.config import PruneConfig, RunConfig
from scenelet.console import say
from scenelet.errors import UsageError
from scenelet.nn.standardise import Standardised
from scenelet.training.module import Masks
from scenelet.workflows.sides import Sides, cut_validation, measure
from scenelet.workflows.tune import prune_and_tune

Size = Callable[[Standardised, Masks, WeightFormat], int]
"""Bytes on disk of a network's file, everything in it."""
FORMATS: tuple[WeightFormat, ...] = ("fp16", "int8", "int4")
"""What is tried, from the finest to the coarsest."""
TRIAL_SHARE = 0.2  # of the epochs of fine-tuning that each format is tried with
TRIAL_VALIDATION = 0.2  # of the training clips, where there is no validation side
STEP = 0.002  # sparsity added while a fine-tuned network is still over its budget


@dataclass(frozen=True)
class Trial:
    """A format at the sparsity that fits a budget, fine-tuned for a short while.

    `log_loss` is that of validation clips; None where there was nothing to choose from.
    """

    dtype: WeightFormat
    sparsity: float
    log_loss: float | None
    minutes: float


@dataclass(frozen=True)
class Shrunk:
    """What was done to a network.

    Attributes:
        dtype: the format of its weights.
        sparsity: share of its convolution weights that are zero.
        masks: of what is left.
        minutes: that all training took, trials included.
        trials: of formats, under a budget.
    """

    dtype: WeightFormat
    sparsity: float
    masks: Masks
    minutes: float
    trials: tuple[Trial, ...] = ()


def shrink(
    network: Standardised,
    sides: Sides,
    config: RunConfig,
    size: Size,
    folder: Path | None = None,
    description: str = "Fine-tuning",
    talk: bool = True,
) -> Shrunk:
    """Prune, fine-tune and round `network` in place, as `config.prune` says.

    Under a budget the format and the sparsity are chosen first, see `choose`; fine-tuned weights may take a little more
    room than those that it looked at, so more is pruned in the end until the file fits.

    Args:
        network, sides, config, folder, description, talk: as `prune_and_tune`.
        size: of a network's file; it is asked only where there is a budget.

    Raises:
        UsageError: the budget is out of reach.
    """
    trials: tuple[Trial, ...] = ()
    settings, budget = config.prune, config.prune.budget
    if budget is not None:
        settings, trials = choose(network, sides, config, size, talk)
    assert settings.dtype != "auto"
    config = config.model_copy(update={"prune": settings})
    masks, minutes = prune_and_tune(network, sides, config, folder, description, talk)
    sparsity = settings.sparsity
    while budget is not None and size(network, masks, settings.dtype) > budget:
        sparsity += STEP
        masks = _prune_and_round(network, sparsity, settings.dtype)
    minutes += sum(trial.minutes for trial in trials)
    return Shrunk(settings.dtype, sparsity, masks, minutes, trials)


def choose(
    network: Standardised, sides: Sides, config: RunConfig, size: Size, talk: bool = True
) -> tuple[PruneConfig, tuple[Trial, ...]]:
    """The format and sparsity for `config.prune.budget`, and what was tried.

    For each format (all of `FORMATS`, where `config.prune.dtype` is "auto") the smallest sparsity that fits is found by
    bisection. One that needs no pruning makes the coarser ones needless. Where several are left, each is
    fine-tuned for a fifth of the epochs, and the least log loss on validation clips wins: those of the run's own
    validation side, or, where it has none, a fifth of its training clips, which the trials then leave out. The
    trained network learnt from these, so their log loss says which format loses least, not what it will reach.

    Args:
        network: trained; it is not changed.
        sides: the data; its test side is not looked at.
        config: the run's settings.
        size: of a network's file.
        talk: say what is tried.

    Raises:
        UsageError: the budget is out of reach.
    """
    settings, budget = config.prune, config.prune.budget
    assert budget is not None
    formats = FORMATS if settings.dtype == "auto" else (settings.dtype,)
    fitting = _fitting(network, formats, budget, size)
    if len(fitting) == 1:
        trials = [Trial(*fitting[0], None, 0.0)]
    else:
        tried = sides if sides.validation is not None else cut_validation(sides, TRIAL_VALIDATION, config.split.seed)
        trials = [_try(network, tried, config, *one, talk) for one in fitting]
    best = min(trials, key=lambda trial: trial.log_loss or 0.0)
    return settings.model_copy(update={"dtype": best.dtype, "sparsity": best.sparsity}), tuple(trials)


def _fitting(
    network: Standardised, formats: tuple[WeightFormat, ...], budget: int, size: Size
) -> list[tuple[WeightFormat, float]]:
    """Each format that can fit the budget, with its sparsity."""

    def size_at(dtype: WeightFormat) -> Callable[[float], int]:
        def measured(sparsity: float) -> int:
            trial = copy.deepcopy(network)
            return size(trial, _prune_and_round(trial, sparsity, dtype), dtype)

        return measured

    fitting: list[tuple[WeightFormat, float]] = []
    for dtype in formats:
        try:
            fitting.append((dtype, prune.sparsity_for_bytes(size_at(dtype), budget)))
        except UsageError:  # another format may fit
            if dtype == formats[-1] and not fitting:
                raise
            continue
        if fitting[-1][1] == 0:
            break
    return fitting


def _try(
    network: Standardised, sides: Sides, config: RunConfig, dtype: WeightFormat, sparsity: float, talk: bool
) -> Trial:
    epochs = max(1, round(TRIAL_SHARE * config.prune.epochs)) if config.prune.epochs else 0
    settings = config.prune.model_copy(update={"dtype": dtype, "sparsity": sparsity, "epochs": epochs})
    trial = copy.deepcopy(network)
    what = f"Trying {dtype}, {100 * sparsity:.1f} % pruned"
    _, minutes = prune_and_tune(
        trial, sides, config.model_copy(update={"prune": settings}), description=what, talk=False
    )
    assert sides.validation is not None
    log_loss = float(measure(trial, sides.validation, sides.labels)["log_loss"])
    if talk:
        say(f"{dtype}, {100 * sparsity:.1f} % pruned: log loss {log_loss:.3f} on validation after {epochs} epochs")
    return Trial(dtype, sparsity, log_loss, minutes)


def _prune_and_round(network: Standardised, sparsity: float, dtype: WeightFormat) -> Masks:
    masks = prune.global_l1_masks(network, sparsity)
    prune.apply_masks(network, masks)
    round_network(network, dtype)
    return masks
