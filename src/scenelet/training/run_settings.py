"""Settings of a run: those that the caller gives, or those of the run that is resumed."""

import functools
from pathlib import Path
from typing import Any

from scenelet.config import RunConfig, TrainerConfig, setting_keys
from scenelet.config.run_folder import RESUME_HINT, check_folder_is_new, is_begun, read_record
from scenelet.errors import RunError
from scenelet.training.preflight import check_batch_size
from scenelet.training.ranks import Rank


def resolve_devices(out: Path, config: RunConfig | None, changes: TrainerConfig | None) -> TrainerConfig:
    """Return the devices to train on.

    Args:
        out: the run folder.
        config: the settings that the caller gives; its devices are used.
        changes: without `config`, the fields that were set here replace those of the run.
    """
    if config is not None:
        return config.trainer
    own = read_record(out).config.trainer if is_begun(out) else TrainerConfig()
    return own if changes is None else own.model_copy(update=changes.model_dump(exclude_unset=True))


def resolve_settings(
    out: Path, config: RunConfig | None, resume: bool, devices: TrainerConfig, rank: Rank, data: Path | None
) -> RunConfig:
    """Return the settings to train with.

    Args:
        out: the run folder.
        config: the settings that the caller gives; None: those of the run.
        resume: whether a run in `out` is resumed. A run is never overwritten.
        devices: the devices to train on; see `resolve_devices`.
        rank: the rank of this process.
        data: the user's data, which may be a file in `out`.

    Raises:
        RunError: `out` holds something else, or a run with other settings.
        UsageError: a batch has fewer clips than there are devices.
    """
    if resume and is_begun(out):
        record = read_record(out)
        if config is not None:
            _check_same_settings(out, config, record.config)
        # "auto" may mean another precision on this machine
        precision = record.versions.get("precision", record.config.precision)
        config = record.config.model_copy(update={"precision": precision})
    elif config is None:
        raise RunError(f"{out}: holds no run to resume; start it without --resume")
    elif not rank.is_worker:
        check_folder_is_new(out, "choose another --out" if resume else RESUME_HINT, ignore=data)
    config = config.model_copy(update={"trainer": devices})
    check_batch_size(config)
    return config


def _check_same_settings(out: Path, config: RunConfig, stored: RunConfig) -> None:
    """Check that a resumed run keeps its settings; only its devices may change."""
    if config.model_copy(update={"trainer": stored.trainer}) == stored:
        return
    keys = (key for key in setting_keys() if not key.startswith("trainer."))
    changed = next(key for key in keys if _value(config, key) != _value(stored, key))
    raise RunError(
        f"{out}: the run was started with other settings ({changed} was {_value(stored, changed)!r} and is now"
        f" {_value(config, changed)!r}); resume it with the same settings, or without any"
    )


def _value(config: RunConfig, key: str) -> Any:
    return functools.reduce(getattr, key.split("."), config)
