"""Selection of the clips that an evaluation measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from scenelet.config import SplitConfig
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.splits import Split, make_split, split_hash
from scenelet.errors import DataError, UsageError
from scenelet.utils.console import print_message

SUBSETS = ("test", "validation", "train", "all")


@dataclass(frozen=True)
class Subset:
    """Clips to evaluate."""

    name: str  # one of `SUBSETS`
    clips: tuple[Clip, ...]
    description: str  # one line for people
    warning: str | None = None  # why the results may be too good


def select_subset(table: ClipTable, name: str | None, fold: str | None, provenance: dict[str, Any]) -> Subset:
    """Select the clips to evaluate, and print what was selected.

    The subset of a model that was trained on one recording device has the clips of all devices. A split keeps each
    clip in the same subset with and without a device, so the model has seen no clip of another subset.

    Args:
        table: the labeled recordings.
        name: one of `SUBSETS`. None selects the test subset of the model's own split or of the data's own split, and
            all clips of any other data.
        fold: the fold to test on; None: as in training.
        provenance: the provenance that the model file stores.

    Raises:
        UsageError: `name` is not one of `SUBSETS`.
        DataError: the split cannot be made, or the subset is empty.
    """
    if name not in (None, *SUBSETS):
        raise UsageError(f"--split {name}: give one of {', '.join(SUBSETS)}")
    if name == "all":
        return Subset("all", table.clips, f"all {len(table.clips):,} clips")
    settings = trained_split(provenance)
    lacks_list = settings.percent is not None and settings.percent not in table.percentages
    if lacks_list and name in (None, "test"):  # the test clips do not need the list
        settings = settings.model_copy(update={"percent": None})
    device, settings = settings.device, settings.model_copy(update={"device": None})
    if fold is not None:
        settings = settings.model_copy(update={"fold": fold, "city": None})
    needs_split = name is not None or fold is not None or table.has_split
    try:
        split = make_split(table, settings)
    except DataError:
        if needs_split:
            raise
        return _all_clips(table)
    is_training_split = _is_training_split(split, table, settings, device, provenance)
    if not is_training_split and not needs_split:
        return _all_clips(table)
    warning = None
    if not is_training_split:
        warning = "this is not the split that the model was trained with, so it may have seen some clips in training"
        if lacks_list:
            warning = "the data lacks the training list of the model, so it may have seen some clips in training"
        print_message(f"warning: {warning}")
    print_message(split.description)
    name = name or "test"
    clips: tuple[Clip, ...] = getattr(split, name)
    if not clips:
        raise DataError(f"{table.root}: its {name} split is empty; use --split all to measure every clip")
    return Subset(name, clips, f"{name} split of: {split.description}", warning)


def _is_training_split(
    split: Split, table: ClipTable, settings: SplitConfig, device: str | None, provenance: dict[str, Any]
) -> bool:
    """Return whether a model was trained with the split of `settings`, or with the part of it that `device` recorded.

    Args:
        split: the split of the table by `settings`.
        table: the labeled recordings.
        settings: the settings of the split, without a device.
        device: the device of the model's training clips; None: all devices.
        provenance: the provenance that the model file stores.
    """
    if device is not None:
        try:
            split = make_split(table, settings.model_copy(update={"device": device}))
        except DataError:  # the table has no such device, or not each class of it
            return False
    return split_hash(split) in [provenance.get(name) for name in ("split_hash", "own_split_hash")]


def trained_split(provenance: dict[str, Any]) -> SplitConfig:
    """Return the settings of the split that a model was trained with, or the defaults if it stores no valid ones.

    >>> trained_split({"split": {"fold": "1"}}).fold, trained_split({"split": {"fold": []}}).fold
    ('1', None)
    """
    stored = provenance.get("split")
    values = stored.items() if isinstance(stored, dict) else ()
    try:
        return SplitConfig.model_validate({key: value for key, value in values if key in SplitConfig.model_fields})
    except ValidationError:
        return SplitConfig()


def trained_names(provenance: dict[str, Any], key: str) -> list[str]:
    """Return the names that a model file lists under `key`; an empty list if there is no valid one.

    The keys are "train_cities" and "train_devices": the cities and the devices of the training clips. A model that was
    fine-tuned on one device started from a network that had learned from others, which its file does not list. So its
    names are unknown, and the list is empty.

    >>> trained_names({"train_cities": ["lyon"]}, "train_cities"), trained_names({}, "train_devices")
    (['lyon'], [])
    >>> trained_names({"train_devices": ["s1"], "split": {"device": "s1"}, "source": {}}, "train_devices")
    []
    """
    if "source" in provenance and trained_split(provenance).device is not None:
        return []
    stored = provenance.get(key)
    return [name for name in stored if isinstance(name, str)] if isinstance(stored, list) else []


def select_unused(table: ClipTable, measured: str, training_cities: Sequence[str]) -> list[Clip]:
    """Select the clips in no split that were recorded in a city not seen in training.

    Args:
        table: the labeled recordings.
        measured: name of the subset that is measured anyway.
        training_cities: the cities seen in training; empty if unknown.

    Raises:
        UsageError: there are no such clips, or the training cities are unknown.
    """
    if not training_cities:
        raise UsageError("--include-unused: the model file does not name the cities seen in training; leave it out")
    if measured == "all":
        raise UsageError("--include-unused: --split all measures every clip already; leave out one of the two")
    found = [clip for clip in table.clips if clip.split is None and clip.city not in (None, *training_cities)]
    if not (table.has_split and found):
        raise UsageError(
            f"--include-unused: {table.source} has no unused clip of a city not seen in training; leave it out"
        )
    return found


def _all_clips(table: ClipTable) -> Subset:
    description = f"all {len(table.clips):,} clips, since these are not the recordings of the model's training"
    warning = "if some of these clips were seen in training, the results are too good"
    print_message(description)
    print_message(f"warning: {warning}")
    return Subset("all", table.clips, description, warning)
