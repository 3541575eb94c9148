"""Prune a trained run, fine-tune it, and write the model file."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from scenelet.config import PruneConfig
from scenelet.errors import UsageError
from scenelet.model import file as modelfile
from scenelet.model.sizes import file_parts
from scenelet.nn import prune
from scenelet.training import run_record as runs
from scenelet.training.compression.build_model import build_model
from scenelet.training.compression.sensitivity import layer_losses
from scenelet.training.compression.sensitivity_report import write_sensitivity
from scenelet.training.dataset import load_dataset
from scenelet.training.preflight import check_compress_arguments
from scenelet.utils.console import print_message
from scenelet.utils.files import make_folder, replace_file


def compress(
    run: Path,
    out: Path,
    *,
    sparsity: float | None = None,
    max_bytes: int | None = None,
    dtype: Literal["fp16", "fp32", "int8", "int4", "auto"] | None = None,
    ramp: float | None = None,
    sensitivity: bool = False,
    data: Path | None = None,
    audio_dir: Path | None = None,
    cache_dir: Path | None = None,
) -> dict[str, Any]:
    """Prune a run's network, fine-tune it with the mask held, and write it as `.scn`.

    Args:
        run: a finished run folder.
        out: the model file.
        sparsity: share of convolution weights set to zero; None: the recipe's. 0 in a
            floating-point format stores the network as it is.
        max_bytes: bytes on disk, everything in the file included; the sparsity that fits is found, and, unless `dtype` is
            given, the number format that loses least, see `scenelet.training.compression.search.search_format`.
        dtype: how weights are stored: "fp16", "int8" or "int4" (fine-tuned as such), or "fp32" to store every number
            exactly, at more than twice the size; "auto" chooses, under a budget. None: "auto" under a budget, else
            the recipe's.
        ramp: share of the fine-tuning over which the sparsity grows; 0 prunes all at once. None: the recipe's.
        sensitivity: also measure what each layer alone loses, as `NAME.sensitivity.csv` and `.png` beside `out`.
        data, audio_dir: the recordings, if they moved since training.
        cache_dir: of the feature cache; None: `scenelet.utils.files.cache_folder()`.

    Returns:
        "sparsity", "dtype", "bytes", "parts" (`scenelet.model.sizes.FileParts`), "trials" (of formats), "unsure" (the
        threshold, see `scenelet.training.compression.build_model`), and by side "dense" (the trained network) and "compressed" (the
        file, run by ONNX Runtime on the cached features).

    Raises:
        SceneletError: no such run, moved data, or a budget out of reach; `out` is not touched then.
    """
    check_compress_arguments(run, out, sparsity, max_bytes)
    make_folder(out.parent)
    record = runs.read_record(run)
    settings = prune_settings(record.config.prune, sparsity, max_bytes, dtype, ramp)
    config = record.config.model_copy(update={"prune": settings})
    record = record.model_copy(update={"config": config})
    network = runs.load_network(run, record)
    source = record.data
    if data is not None:
        moved = None if audio_dir is None else str(audio_dir.resolve())
        source = source.model_copy(update={"path": str(data.resolve()), "audio_dir": moved})
    dataset = load_dataset(source, record.config, cache_dir)
    runs.check_same_split(run, dataset.split, source.path)
    built = build_model(network, record, dataset)
    compressed_network = built.compressed_network
    _warn_of_empty_layers(prune.nearly_empty_layers(compressed_network.masks))
    if sensitivity:
        write_sensitivity(out, layer_losses(runs.load_network(run, record), dataset))
    replace_file(out, built.file)
    return {
        "sparsity": compressed_network.settings.sparsity,
        "dtype": compressed_network.settings.dtype,
        "bytes": len(built.file),
        "parts": asdict(file_parts(modelfile.decode_model(built.file, str(out)), built.file)),
        "trials": [asdict(trial) for trial in compressed_network.trials],
        "threshold": dict(built.threshold),
        "dense": built.dense,
        "compressed": built.compressed,
    }


def _check_prunes(settings: PruneConfig) -> None:
    """Check that there is something to prune step by step, and that there are steps."""
    if settings.max_bytes is None and settings.sparsity == 0:
        raise UsageError("--ramp prunes step by step, and nothing is pruned here; give --sparsity or --max-bytes too")
    if settings.epochs == 0:
        raise UsageError("--ramp needs fine-tuning, and this run's prune.epochs is 0; leave it out, or train anew")


def _warn_of_empty_layers(densities: dict[str, float]) -> None:
    """One line, with the emptiest by name."""
    if densities:
        emptiest = sorted(densities.items(), key=lambda item: item[1])[:3]
        named = ", ".join(f"{layer} ({100 * density:.1f} % left)" for layer, density in emptiest)
        more = f" and {len(densities) - 3} more" if len(densities) > 3 else ""
        print_message(f"warning: nearly pruned away: {named}{more}; a lower sparsity or another init keeps more")


def prune_settings(
    own: PruneConfig, sparsity: float | None, max_bytes: int | None, dtype: str | None, ramp: float | None = None
) -> PruneConfig:
    """The recipe's settings with what the caller of `compress` asks for.

    Raises:
        UsageError: a value out of range, or a sparsity and a budget.
    """
    if sparsity is not None and max_bytes is not None:
        raise UsageError("give a sparsity or a budget, not both")
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
        fault = error.errors()[0]
        option = f"--{fault['loc'][0]} {given[str(fault['loc'][0])]}: " if fault["loc"] else "compress: "
        if fault["loc"] in (("sparsity",), ("ramp_fraction",)):
            raise UsageError(f"{option}give a share, 0.6 for 60 %") from None
        raise UsageError(option + fault["msg"].removeprefix("Value error, ")) from None
    if ramp:
        _check_prunes(settings)
    if settings.changes_nothing:
        return settings.model_copy(update={"epochs": 0})
    return settings
