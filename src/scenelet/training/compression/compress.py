"""Compress a trained run to a model file: `scenelet compress`."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from scenelet.config import PruneConfig
from scenelet.config.run_folder import RunRecord, check_same_split, read_record
from scenelet.data.clips import ClipTable
from scenelet.data.splits import split_table
from scenelet.errors import UsageError
from scenelet.model.sizes import file_parts
from scenelet.nn import prune
from scenelet.training.compression.build_model import BuiltModel, build_model
from scenelet.training.compression.sensitivity import layer_losses, write_sensitivity
from scenelet.training.dataset import Dataset, load_dataset
from scenelet.training.network import load_network
from scenelet.training.preflight import check_compress_arguments, check_one_target, load_recorded_table
from scenelet.utils.console import print_message, progress_only
from scenelet.utils.files import make_folder, replace_file

MAX_LAYERS_PRINTED = 3


def compress(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    sparsity: float | None = None,
    max_bytes: int | None = None,
    dtype: Literal["fp16", "fp32", "int8", "int4", "auto"] | None = None,
    ramp: float | None = None,
    sensitivity: bool = False,
    data: str | os.PathLike[str] | ClipTable | Dataset | None = None,
) -> dict[str, Any]:
    """Prune the network of a run, fine-tune it with the mask held, and write it as a `.scn` file.

    Args:
        run: folder of a finished run.
        out: the model file.
        sparsity: fraction of the convolution weights to set to zero; None: as the recipe says. 0 with a
            floating-point format stores the network unchanged.
        max_bytes: maximum bytes on disk, with everything in the file. The sparsity is searched; without `dtype`, so
            is the number format, see `scenelet.training.compression.search.search_format`.
        dtype: number format of the weights. With "int8" and "int4" the fine-tuning computes with rounded weights.
            "fp32" stores every number exactly, at more than twice the size. "auto" searches, with `max_bytes`.
            None: "auto" with `max_bytes`, or else as the recipe says.
        ramp: fraction of the fine-tuning during which the sparsity grows; 0 prunes at once. None: as the recipe says.
        sensitivity: also write `NAME.sensitivity.csv` and `.png`: the loss when a single layer is pruned or rounded.
        data: path or table of the recordings, if they have moved since training, or the loaded data set of the run.

    Returns:
        "sparsity", "dtype", "bytes", "parts" (`scenelet.model.sizes.FileParts`), "trials" (of number formats),
        "threshold" (see `scenelet.inference.threshold`), and by subset "dense" (results of the trained network) and
        "compressed" (results of the file, by ONNX Runtime from cached features).

    Raises:
        SceneletError: there is no such run, the recordings have changed, or `max_bytes` is too small. `out` is not
            touched then.
    """
    run, out = Path(run), Path(out)
    check_compress_arguments(run, out, sparsity, max_bytes)
    make_folder(out.parent)
    record = read_record(run)
    settings = prune_settings(record.config.prune, sparsity, max_bytes, dtype, ramp)
    record = record.model_copy(update={"config": record.config.model_copy(update={"prune": settings})})
    network = load_network(run, record)
    dataset = data if isinstance(data, Dataset) else _load_dataset(record, data)
    check_same_split(run, split_table(dataset.split), dataset.record.path)
    built = build_model(network, record, dataset)
    _print_empty_layers(prune.nearly_empty_layers(built.compression.masks))
    if sensitivity:
        write_sensitivity(out, layer_losses(load_network(run, record), dataset))
    replace_file(out, built.file)
    return _summary(built)


def _load_dataset(record: RunRecord, data: str | os.PathLike[str] | ClipTable | None) -> Dataset:
    table = data if isinstance(data, ClipTable) else load_recorded_table(record.data, data)
    with progress_only():  # `train` has printed the description of the data
        return load_dataset(table, record.config)


def _summary(built: BuiltModel) -> dict[str, Any]:
    return {
        "sparsity": built.compression.settings.sparsity,
        "dtype": built.compression.settings.dtype,
        "bytes": len(built.file),
        "parts": asdict(file_parts(built.model, built.file)),
        "trials": [asdict(trial) for trial in built.compression.trials],
        "threshold": dict(built.threshold),
        "dense": built.dense,
        "compressed": built.compressed,
    }


def prune_settings(
    own: PruneConfig, sparsity: float | None, max_bytes: int | None, dtype: str | None, ramp: float | None = None
) -> PruneConfig:
    """Return the settings of a run, changed by the arguments of `compress`.

    Raises:
        UsageError: a value is out of range, or both `sparsity` and `max_bytes` are given.
    """
    check_one_target(sparsity, max_bytes)
    changes: dict[str, Any] = {"ramp_fraction": ramp, "dtype": dtype}
    if max_bytes is not None:
        changes |= {"max_bytes": max_bytes, "dtype": dtype or "auto"}
    elif sparsity is not None:
        changes |= {"sparsity": sparsity, "max_bytes": None}
        if own.dtype == "auto":
            changes["dtype"] = dtype or "fp16"
    given = {key: value for key, value in changes.items() if value is not None or key == "max_bytes"}
    try:
        settings = PruneConfig.model_validate(own.model_dump() | given)
    except ValidationError as error:
        raise _option_error(error, given) from None
    if ramp:
        _check_ramp(settings)
    if settings.changes_nothing:
        return settings.model_copy(update={"epochs": 0})
    return settings


def _option_error(error: ValidationError, given: dict[str, Any]) -> UsageError:
    """Return the error that names the option of `scenelet compress` instead of the setting."""
    fault = error.errors()[0]
    if not fault["loc"]:
        return UsageError("compress: " + fault["msg"].removeprefix("Value error, "))
    key = str(fault["loc"][0])
    option = f"--{ {'ramp_fraction': 'ramp', 'max_bytes': 'max-bytes'}.get(key, key) } {given[key]}: "
    if key in ("sparsity", "ramp_fraction"):
        return UsageError(f"{option}give a fraction, 0.6 for 60 %")
    return UsageError(option + fault["msg"].removeprefix("Value error, "))


def _check_ramp(settings: PruneConfig) -> None:
    """Check that something is pruned, and that there are epochs to prune in."""
    if settings.max_bytes is None and settings.sparsity == 0:
        raise UsageError("--ramp prunes step by step, and nothing is pruned; give --sparsity or --max-bytes too")
    if settings.epochs == 0:
        raise UsageError("--ramp needs fine-tuning, and this run has prune.epochs = 0; leave it out, or train again")


def _print_empty_layers(densities: dict[str, float]) -> None:
    """Print one line that names the emptiest layers."""
    if not densities:
        return
    emptiest = sorted(densities.items(), key=lambda item: item[1])[:MAX_LAYERS_PRINTED]
    named = ", ".join(f"{layer} ({100 * density:.1f} % left)" for layer, density in emptiest)
    more = f" and {len(densities) - len(emptiest)} more" if len(densities) > len(emptiest) else ""
    print_message(
        f"warning: layers that are nearly empty: {named}{more}; a lower sparsity or another network.init keeps more"
    )
