"""Search of the number format and the sparsity for a maximum number of bytes on disk."""

import copy
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from scenelet.config import PruneConfig, RunConfig
from scenelet.errors import RunError, UsageError
from scenelet.model.file import encode_model
from scenelet.nn import prune
from scenelet.nn.convert import to_scene_model
from scenelet.nn.ensemble import keep_members
from scenelet.nn.prune import Masks
from scenelet.nn.quantize import WeightFormat, round_network
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.compression.finetune import prune_and_finetune
from scenelet.training.dataset import Dataset, hold_out_validation
from scenelet.training.measure import evaluate_network
from scenelet.utils.console import print_message, progress_only, spinner
from scenelet.utils.files import make_folder, replace_file
from scenelet.utils.text import pluralize

Size = Callable[[StandardizedNetwork, Masks, PruneConfig], int]
"""Function that gives the bytes on disk of a network's complete model file."""
CHOICE = "choice.json"
FORMATS: tuple[WeightFormat, ...] = ("fp16", "int8", "int4")  # to try, from the finest to the coarsest
TRIAL_EPOCH_FRACTION = 0.2  # of the fine-tuning epochs, for the trial of each format
TRIAL_VALIDATION_FRACTION = 0.2  # of the training clips, if there are no validation clips


@dataclass(frozen=True)
class FormatTrial:
    """Trial of a number format: pruned to the sparsity that fits, and fine-tuned for a few epochs.

    The log loss is that on validation clips. It is None if there was only one format, infinite if fine-tuning diverged.
    """

    dtype: WeightFormat
    sparsity: float  # the smallest one whose file fits
    log_loss: float | None
    minutes: float  # duration of the fine-tuning


class _Choice(BaseModel):
    settings: PruneConfig
    trials: tuple[FormatTrial, ...]


def choose_format(
    network: StandardizedNetwork,
    dataset: Dataset,
    config: RunConfig,
    size: Size,
    folder: Path | None = None,
    teacher: StandardizedNetwork | None = None,
) -> tuple[PruneConfig, tuple[FormatTrial, ...]]:
    """Return the settings of the pruning and the trials of `search_format`, which runs only with `prune.max_bytes`.

    Args:
        network, dataset, config, size, teacher: as `search_format`.
        folder: folder for the choice, from which an interrupted compression reads it. None writes nothing.

    Raises:
        SceneletError: as `search_format`, or the stored choice is damaged.
    """
    if config.prune.max_bytes is None:
        return config.prune, ()
    if folder is not None and (folder / CHOICE).is_file():
        return load_choice(folder)
    settings, trials = search_format(network, dataset, config, size, teacher)
    if folder is not None:
        make_folder(folder)
        choice = {"settings": settings.model_dump(), "trials": [asdict(trial) for trial in trials]}
        replace_file(folder / CHOICE, json.dumps(choice) + "\n")
    return settings, trials


def load_choice(folder: Path) -> tuple[PruneConfig, tuple[FormatTrial, ...]]:
    """Load the choice of an interrupted compression.

    Raises:
        RunError: the file is damaged.
    """
    try:
        stored = _Choice.model_validate_json((folder / CHOICE).read_bytes())
    except ValidationError:
        raise RunError(f"{folder / CHOICE}: damaged; delete it, and the search is repeated") from None
    return stored.settings, stored.trials


def prune_until_fits(
    network: StandardizedNetwork, masks: Masks, settings: PruneConfig, size: Size
) -> tuple[Masks, PruneConfig]:
    """Prune more of the smallest weights of a fine-tuned network, in place, until its file fits `settings.max_bytes`.

    Fine-tuned weights may need a few more bytes than those that `search_format` looked at.

    Args:
        network: the fine-tuned network, not yet rounded.
        masks: its masks.
        settings: the format, and the sparsity of the masks.
        size: gives the size of a network's file.

    Returns:
        The masks and the settings with the new sparsity; without a limit, those that were given.

    Raises:
        UsageError: no sparsity is enough.
    """
    max_bytes = settings.max_bytes
    if max_bytes is None or size(rounded(network, settings), masks, settings) <= max_bytes:
        return masks, settings
    sparsity = prune.sparsity_for_bytes(size_at_sparsity(network, settings, size), max_bytes, settings.sparsity)
    masks = prune.global_l1_masks(network, sparsity)
    prune.apply_masks(network, masks)
    return masks, settings.model_copy(update={"sparsity": sparsity})


def rounded(network: StandardizedNetwork, settings: PruneConfig) -> StandardizedNetwork:
    """Return a copy of a network whose numbers are those of its file."""
    assert settings.dtype != "auto"
    copied = copy.deepcopy(network)
    round_network(copied, settings.dtype)
    return copied


def search_format(
    network: StandardizedNetwork,
    dataset: Dataset,
    config: RunConfig,
    size: Size,
    teacher: StandardizedNetwork | None = None,
) -> tuple[PruneConfig, tuple[FormatTrial, ...]]:
    """Choose the number format and the sparsity for `config.prune.max_bytes`.

    Bisection finds the smallest sparsity that fits, for each format (all of `FORMATS` if `config.prune.dtype` is
    "auto"). If a format needs no pruning, coarser formats are not tried. If several formats remain, each is
    fine-tuned for a fifth of the epochs, and the smallest log loss on validation clips wins. Without a validation
    subset, a fifth of the training clips is held out for the trials. The trained network has already seen these
    clips, so their log loss ranks the formats but does not predict the accuracy.

    Args:
        network: the trained network; it is not changed.
        dataset: the data. The test subset is not used.
        config: the settings of the run.
        size: gives the size of a network's file.
        teacher: as in `prune_and_finetune`.

    Returns:
        The settings of the pruning with the chosen format and sparsity, and the trials.

    Raises:
        UsageError: no sparsity is enough for `max_bytes`, or there are too few clips to hold out.
        RunError: every format diverged.
    """
    settings = config.prune
    with spinner("Finding the sparsity that fits"):
        fitting = _fitting_formats(network, settings, size)
    if len(fitting) == 1:
        trials = [FormatTrial(*fitting[0], None, 0.0)]
    else:
        if dataset.validation is None:
            dataset = hold_out_validation(dataset, TRIAL_VALIDATION_FRACTION, config.split.seed)
            assert dataset.validation is not None
            clips = f"{len(dataset.validation)} training clips"
            print_message(f"no validation clips: {clips} are held out to choose the number format")
        trials = [_try_format(network, dataset, config, *candidate, teacher) for candidate in fitting]
    best = min(trials, key=lambda trial: trial.log_loss or 0.0)
    if best.log_loss == math.inf:
        raise RunError("fine-tuning diverged in every number format; lower prune.learning_rate")
    print_message(f"chosen: {best.dtype}, {100 * best.sparsity:.1f} % pruned")
    return settings.model_copy(update={"dtype": best.dtype, "sparsity": best.sparsity}), tuple(trials)


def check_max_bytes(network: StandardizedNetwork, labels: tuple[str, ...], config: RunConfig) -> None:
    """Check before any training that `config.prune.max_bytes` can be reached. Provenance and results are not counted.

    Args:
        network: a network of the run, which is reduced to the fewest members that the settings allow.
        labels, config: labels and settings of the run.

    Raises:
        UsageError: no sparsity is enough.
    """

    def size(network: StandardizedNetwork, masks: Masks, settings: PruneConfig) -> int:
        assert settings.dtype != "auto"
        return len(encode_model(to_scene_model(network, labels, config.features, config.window, masks, settings.dtype)))

    dtype = FORMATS[-1] if config.prune.dtype == "auto" else config.prune.dtype
    settings = config.prune.model_copy(update={"dtype": dtype})
    assert settings.max_bytes is not None
    network.network = keep_members(network.network, 1 if settings.members is None else settings.members)
    prune.check_budget_reachable(size_at_sparsity(network, settings, size), settings.max_bytes)


def _fitting_formats(
    network: StandardizedNetwork, settings: PruneConfig, size: Size
) -> list[tuple[WeightFormat, float]]:
    """Return each format that can fit, with its sparsity."""
    max_bytes = settings.max_bytes
    assert max_bytes is not None
    formats = FORMATS if settings.dtype == "auto" else (settings.dtype,)
    fitting: list[tuple[WeightFormat, float]] = []
    for dtype in formats:
        size_at = size_at_sparsity(network, settings.model_copy(update={"dtype": dtype}), size)
        try:
            fitting.append((dtype, prune.sparsity_for_bytes(size_at, max_bytes)))
        except UsageError:  # another format may fit
            if dtype == formats[-1] and not fitting:
                raise
        if fitting and fitting[-1][1] == 0:
            break
    return fitting


def size_at_sparsity(network: StandardizedNetwork, settings: PruneConfig, size: Size) -> Callable[[float], int]:
    """Return a function that gives the size of the network's file at a sparsity."""

    def size_at(sparsity: float) -> int:
        trial, wanted = copy.deepcopy(network), settings.model_copy(update={"sparsity": sparsity})
        masks = prune.global_l1_masks(trial, sparsity)
        prune.apply_masks(trial, masks)
        return size(rounded(trial, wanted), masks, wanted)

    return size_at


def _try_format(
    network: StandardizedNetwork,
    dataset: Dataset,
    config: RunConfig,
    dtype: WeightFormat,
    sparsity: float,
    teacher: StandardizedNetwork | None,
) -> FormatTrial:
    epochs = max(1, round(TRIAL_EPOCH_FRACTION * config.prune.epochs)) if config.prune.epochs else 0
    settings = config.prune.model_copy(update={"dtype": dtype, "sparsity": sparsity, "epochs": epochs})
    trial, config = copy.deepcopy(network), config.model_copy(update={"prune": settings})
    name = f"{dtype}, {100 * sparsity:.1f} % pruned"
    try:
        with progress_only():
            _, minutes = prune_and_finetune(trial, dataset, config, description=f"Trying {name}", teacher=teacher)
    except RunError:  # another format may not diverge
        print_message(f"{name}: diverged")
        return FormatTrial(dtype, sparsity, math.inf, 0.0)
    round_network(trial, dtype)
    assert dataset.validation is not None
    log_loss = float(evaluate_network(trial, dataset.validation, dataset.labels)["log_loss"])
    print_message(f"{name}: log loss {log_loss:.3f} on validation clips, fine-tuned for {pluralize(epochs, 'epoch')}")
    return FormatTrial(dtype, sparsity, log_loss, minutes)
