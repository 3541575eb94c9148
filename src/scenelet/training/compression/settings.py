"""Settings of `compress`: those of the run, changed by the caller. This module does not import PyTorch."""

from collections.abc import Mapping, Sequence
from typing import Any

from scenelet.config import RunConfig, build_config
from scenelet.config.recipes import merge, nest, parse_changes
from scenelet.errors import UsageError

SECTIONS = ("prune", "mixing", "loss")
"""Sections that a caller may change. All others belong to the trained network."""
OPTIONS = {
    "prune.sparsity": "--sparsity",
    "prune.max_bytes": "--max-bytes",
    "prune.dtype": "--dtype",
    "prune.ramp_fraction": "--ramp",
}
"""Options of `scenelet compress` by the setting that they change."""


def compress_settings(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """Return the settings of a run with the changes for its compression.

    With `prune.max_bytes` the number format is searched too, unless a change names one. `prune.sparsity` replaces the
    run's `max_bytes`. If nothing is pruned or rounded, there is no fine-tuning. If the run fitted only its last layer
    (`transfer.freeze`), nothing is pruned unless a change asks for it, and fine-tuning is refused.

    Args:
        config: settings of the run.
        changes: the result of `read_changes`.

    Raises:
        UsageError: a value is out of range, a change has no effect, or two changes contradict each other.

    >>> compress_settings(RunConfig(), read_changes(["prune.epochs=20"], max_bytes=500_000)).prune.dtype
    'auto'
    """
    values = dict(changes)
    if "prune.max_bytes" in values:
        values.setdefault("prune.dtype", "auto")
    elif "prune.sparsity" in values:
        values["prune.max_bytes"] = None
        if config.prune.dtype == "auto":
            values.setdefault("prune.dtype", "fp16")
    if config.transfer.freeze:
        values = {"prune.sparsity": 0.0, "prune.epochs": 0} | values
        if values["prune.epochs"]:
            raise UsageError("prune.epochs: fine-tuning would change the frozen layers of this run; leave it out")
    changed = build_config(merge(config.model_dump(), nest(values)), "compress")
    _check_effects(frozenset(changes), changed)
    if changed.prune.changes_nothing:
        return changed.model_copy(update={"prune": changed.prune.model_copy(update={"epochs": 0})})
    return changed


def read_changes(
    changes: Sequence[str] | Mapping[str, Any] = (),
    *,
    sparsity: float | None = None,
    max_bytes: int | None = None,
    dtype: str | None = None,
    ramp: float | None = None,
) -> dict[str, Any]:
    """Return all changes by their settings, and check what can be checked without the run.

    Args:
        changes: `KEY=VALUE` strings or a mapping, as for `scenelet.config.recipes.load_recipe`.
        sparsity: `prune.sparsity`, from 0 to below 1.
        max_bytes: `prune.max_bytes`.
        dtype: `prune.dtype`.
        ramp: `prune.ramp_fraction`, from 0 to 1.

    Raises:
        UsageError: an option is out of range, a setting belongs to the network, or two changes contradict each other.

    >>> read_changes(["loss.gamma=2"], sparsity=0.6)
    {'loss.gamma': 2, 'prune.sparsity': 0.6}
    """
    values = parse_changes(changes)
    for key in values:
        if key.partition(".")[0] not in SECTIONS:
            raise UsageError(
                f"--set {key}: belongs to the trained network; compress changes only prune, mixing and loss"
            )
    # the range of the options is checked here, so that a message names the option and not the setting
    if sparsity is not None and not 0 <= sparsity < 1:
        raise UsageError(f"--sparsity {sparsity}: give a fraction, 0.6 for 60 %")
    if ramp is not None and not 0 <= ramp <= 1:
        raise UsageError(f"--ramp {ramp}: give a fraction, 0.6 for 60 %")
    if max_bytes is not None and max_bytes < 1:
        raise UsageError(f"--max-bytes {max_bytes}: give a positive number of bytes")
    for (key, option), value in zip(OPTIONS.items(), (sparsity, max_bytes, dtype, ramp), strict=True):
        if value is not None and key in values:
            raise UsageError(f"{option} and --set {key} both change {key}; leave one out")
        if value is not None:
            values[key] = value
    if "prune.sparsity" in values and "prune.max_bytes" in values:
        raise UsageError("give a sparsity or max_bytes, not both")
    return values


def _check_effects(given: frozenset[str], config: RunConfig) -> None:
    """Check that each setting that the caller gave has an effect."""
    prune = config.prune
    if "prune.ramp_fraction" in given and prune.ramp_fraction and prune.max_bytes is None and prune.sparsity == 0:
        raise UsageError("--ramp prunes step by step, and nothing is pruned; give --sparsity or --max-bytes too")
    sections = {key.partition(".")[0] for key in given}
    unused = given - {"prune.sparsity", "prune.max_bytes", "prune.dtype"}
    unused -= {key for key in ("prune.epochs", "prune.ramp_fraction") if not getattr(prune, key[len("prune.") :])}
    if unused and (prune.changes_nothing or prune.epochs == 0):
        name = OPTIONS.get(min(unused), min(unused))
        reason = "nothing is pruned or rounded" if prune.changes_nothing else "prune.epochs is 0"
        raise UsageError(f"{name} needs fine-tuning, and {reason}; change that, or leave {name} out")
    if "mixing" in sections and prune.mixing == "none":
        raise UsageError("--set mixing: the run has prune.mixing = 'none'; add --set prune.mixing=as_trained")
    if "mixing" in sections and config.mixing.epoch_fraction < 1:
        raise UsageError(
            f"--set mixing: with mixing.epoch_fraction = {config.mixing.epoch_fraction:g} fine-tuning does not mix;"
            " add --set mixing.epoch_fraction=1"
        )
    if "loss" in sections and prune.loss != "as_trained":
        raise UsageError(f"--set loss: the run has prune.loss = {prune.loss!r}; add --set prune.loss=as_trained")
