"""A trained network -> a smaller one: as sparse as the settings say, or as a budget of bytes on disk needs."""

import copy
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from scenelet.config import PruneConfig, RunConfig
from scenelet.errors import RunError, UsageError
from scenelet.model.file import encode_model
from scenelet.nn import prune
from scenelet.nn.convert import to_scene_model
from scenelet.nn.quantize import WeightFormat, round_network
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.compression.finetune import prune_and_finetune
from scenelet.training.dataset import Dataset, evaluate_network, hold_out_validation
from scenelet.training.module import Masks
from scenelet.utils.console import print_message, spinner
from scenelet.utils.files import make_folder, replace_file
from scenelet.utils.text import pluralize

Size = Callable[[StandardizedNetwork, Masks, PruneConfig], int]
"""Bytes on disk of a network's file, everything in it."""
FORMATS: tuple[WeightFormat, ...] = ("fp16", "int8", "int4")
"""What is tried, from the finest to the coarsest."""
TRIAL_EPOCH_FRACTION = 0.2  # of the epochs of fine-tuning that each format is tried with
TRIAL_VALIDATION_FRACTION = 0.2  # of the training clips, where there is no validation side
CHOICE = "choice.json"


@dataclass(frozen=True)
class FormatTrial:
    """A format at the sparsity that fits a budget, fine-tuned for a short while.

    `log_loss` is that of validation clips; None where there was nothing to choose from, infinite where it diverged.
    """

    dtype: WeightFormat
    sparsity: float
    log_loss: float | None
    minutes: float


@dataclass(frozen=True)
class Compressed:
    """What was done to a network.

    Attributes:
        settings: of the pruning, with the format and the sparsity that were chosen.
        masks: of what is left.
        minutes: that all training took, trials included.
        trials: of formats, under a budget.
    """

    settings: PruneConfig
    masks: Masks
    minutes: float
    trials: tuple[FormatTrial, ...] = ()


def compress_network(
    network: StandardizedNetwork,
    dataset: Dataset,
    config: RunConfig,
    size: Size,
    folder: Path | None = None,
    description: str = "Fine-tuning",
    talk: bool = True,
) -> Compressed:
    """Prune, fine-tune and round `network` in place, as `config.prune` says.

    Under a budget the format and the sparsity are chosen first, see `search_format`. Fine-tuned weights may take a little more
    room than those that it looked at; then the smallest of them are pruned too, until the file fits.

    Args:
        network, sides, config, description, talk: as `prune_and_finetune`.
        size: of a network's file; it is asked only where there is a budget.
        folder: for checkpoints and the choice; what is found there is gone on from. None writes nothing.

    Raises:
        UsageError: the budget is out of reach.
        RunError: the fine-tuning diverged.
    """
    trials: tuple[FormatTrial, ...] = ()
    settings, max_bytes = config.prune, config.prune.max_bytes
    if max_bytes is not None:
        settings, trials = load_choice(folder) or search_format(network, dataset, config, size, talk)
        if folder is not None:
            _save_choice(folder, settings, trials)
    assert settings.dtype != "auto"
    masks, minutes = prune_and_finetune(
        network, dataset, config.model_copy(update={"prune": settings}), folder, description, talk
    )
    minutes += sum(trial.minutes for trial in trials)
    tuned = copy.deepcopy(network)
    round_network(network, settings.dtype)
    if max_bytes is not None and size(network, masks, settings) > max_bytes:
        sparsity = prune.sparsity_for_bytes(_size_at(tuned, settings, size), max_bytes, settings.sparsity)
        settings = settings.model_copy(update={"sparsity": sparsity})
        masks = prune_and_round(tuned, settings)
        network.load_state_dict(tuned.state_dict())
    return Compressed(settings, masks, minutes, trials)


def prune_and_round(network: StandardizedNetwork, settings: PruneConfig) -> Masks:
    """Set the smallest weights to zero and round the others, in place; returns the masks of what is left."""
    assert settings.dtype != "auto"
    masks = prune.global_l1_masks(network, settings.sparsity)
    prune.apply_masks(network, masks)
    round_network(network, settings.dtype)
    return masks


def search_format(
    network: StandardizedNetwork, dataset: Dataset, config: RunConfig, size: Size, talk: bool = True
) -> tuple[PruneConfig, tuple[FormatTrial, ...]]:
    """The format and sparsity for `config.prune.max_bytes`, and what was tried.

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
        RunError: every format diverged.
    """
    settings = config.prune
    with spinner("Finding what fits"):
        fitting = _fitting(network, settings, size)
    if len(fitting) == 1:
        trials = [FormatTrial(*fitting[0], None, 0.0)]
    else:
        tried = (
            dataset
            if dataset.validation is not None
            else hold_out_validation(dataset, TRIAL_VALIDATION_FRACTION, config.split.seed)
        )
        if talk and dataset.validation is None:
            cut = 0 if tried.validation is None else len(tried.validation)
            print_message(f"no validation side: {cut} of the training clips are kept back to choose a number format by")
        trials = [_try(network, tried, config, *one, talk) for one in fitting]
    best = min(trials, key=lambda trial: trial.log_loss or 0.0)
    if best.log_loss == math.inf:
        raise RunError("fine-tuning diverged in every number format; lower prune.learning_rate")
    if talk:
        print_message(f"chosen: {best.dtype}, {100 * best.sparsity:.1f} % pruned")
    return settings.model_copy(update={"dtype": best.dtype, "sparsity": best.sparsity}), tuple(trials)


def check_budget(network: StandardizedNetwork, labels: tuple[str, ...], config: RunConfig) -> None:
    """Check, before any training, that `config.prune.max_bytes` can be met; provenance and results come on top.

    Raises:
        UsageError: it is out of reach.
    """

    def size(network: StandardizedNetwork, masks: Masks, settings: PruneConfig) -> int:
        assert settings.dtype != "auto"
        return len(encode_model(to_scene_model(network, labels, config.features, config.window, masks, settings.dtype)))

    dtype = FORMATS[-1] if config.prune.dtype == "auto" else config.prune.dtype
    settings = config.prune.model_copy(update={"dtype": dtype})
    assert settings.max_bytes is not None
    prune.check_budget_reachable(_size_at(network, settings, size), settings.max_bytes)


def _fitting(network: StandardizedNetwork, settings: PruneConfig, size: Size) -> list[tuple[WeightFormat, float]]:
    """Each format that can fit the budget, with its sparsity."""
    max_bytes = settings.max_bytes
    assert max_bytes is not None
    formats = FORMATS if settings.dtype == "auto" else (settings.dtype,)
    fitting: list[tuple[WeightFormat, float]] = []
    for dtype in formats:
        try:
            measured = _size_at(network, settings.model_copy(update={"dtype": dtype}), size)
            fitting.append((dtype, prune.sparsity_for_bytes(measured, max_bytes)))
        except UsageError:  # another format may fit
            if dtype == formats[-1] and not fitting:
                raise
            continue
        if fitting[-1][1] == 0:
            break
    return fitting


def _size_at(network: StandardizedNetwork, settings: PruneConfig, size: Size) -> Callable[[float], int]:
    """Sparsity -> bytes of the network's file."""

    def measured(sparsity: float) -> int:
        trial, wanted = copy.deepcopy(network), settings.model_copy(update={"sparsity": sparsity})
        return size(trial, prune_and_round(trial, wanted), wanted)

    return measured


def _try(
    network: StandardizedNetwork, dataset: Dataset, config: RunConfig, dtype: WeightFormat, sparsity: float, talk: bool
) -> FormatTrial:
    epochs = max(1, round(TRIAL_EPOCH_FRACTION * config.prune.epochs)) if config.prune.epochs else 0
    settings = config.prune.model_copy(update={"dtype": dtype, "sparsity": sparsity, "epochs": epochs})
    trial, config = copy.deepcopy(network), config.model_copy(update={"prune": settings})
    what = f"{dtype}, {100 * sparsity:.1f} % pruned"
    try:
        _, minutes = prune_and_finetune(trial, dataset, config, description=f"Trying {what}", talk=False)
    except RunError:  # another format may do
        if talk:
            print_message(f"{what}: diverged")
        return FormatTrial(dtype, sparsity, math.inf, 0.0)
    round_network(trial, dtype)
    assert dataset.validation is not None
    log_loss = float(evaluate_network(trial, dataset.validation, dataset.labels)["log_loss"])
    if talk:
        print_message(
            f"{what}: log loss {log_loss:.3f} on validation clips, fine-tuned for {pluralize(epochs, 'epoch')}"
        )
    return FormatTrial(dtype, sparsity, log_loss, minutes)


def load_choice(folder: Path | None) -> tuple[PruneConfig, tuple[FormatTrial, ...]] | None:
    """What an interrupted call chose; its fine-tuning is gone on with."""
    if folder is None or not (folder / CHOICE).is_file():
        return None
    try:
        choice = json.loads((folder / CHOICE).read_bytes())
        trials = TypeAdapter(tuple[FormatTrial, ...]).validate_python(choice["trials"])
        return PruneConfig.model_validate(choice["settings"]), trials
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RunError(f"{folder / CHOICE}: damaged; delete it, and the choice is made again") from None


def _save_choice(folder: Path, settings: PruneConfig, trials: tuple[FormatTrial, ...]) -> None:
    make_folder(folder)
    choice = {"settings": settings.model_dump(), "trials": [asdict(trial) for trial in trials]}
    replace_file(folder / CHOICE, json.dumps(choice) + "\n")
