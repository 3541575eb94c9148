"""Compress a trained run to a model file: `scenelet compress`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from scipy.stats import binomtest

from scenelet.config.run_folder import check_same_split, read_record, read_statistics
from scenelet.data.clips import ClipTable
from scenelet.data.splits import split_table
from scenelet.model.device_files import SUFFIX
from scenelet.model.sizes import file_parts
from scenelet.nn import prune
from scenelet.nn.ensemble import member_count
from scenelet.training.compression.build_model import BuiltModel, build_model
from scenelet.training.compression.device_models import device_model_files
from scenelet.training.compression.sensitivity import layer_losses, write_sensitivity
from scenelet.training.compression.settings import compress_settings, read_changes
from scenelet.training.dataset import Dataset, load_dataset, without_device_maps
from scenelet.training.network import load_network
from scenelet.training.preflight import check_compress_arguments, load_recorded_table
from scenelet.utils.console import print_message, print_warning, progress_only
from scenelet.utils.files import make_folder, replace_files
from scenelet.utils.text import pluralize

MAX_LAYERS_PRINTED = 3
MIN_CLIPS = 30  # with fewer held-out clips, the accuracy says little


def compress(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    settings: Sequence[str] | Mapping[str, Any] = (),
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
        out: the model file. For a run with `data.standardize` = "device" it may be a folder, which gets `general.scn`
            and a file per device: the same weights with another standardization.
        settings: changes to the run's settings of `prune`, `mixing` and `loss`: `{"prune.epochs": 20}`. So one run can
            be fine-tuned in several ways.
        sparsity: fraction of the convolution weights to set to zero; None: as the recipe says. 0 with a
            floating-point format stores the network unchanged.
        max_bytes: maximum bytes on disk, with everything in the file. Of an ensemble, as many networks are kept as fit
            unpruned, see `scenelet.training.compression.members.choose_members`. Otherwise the sparsity is searched;
            without `dtype`, so is the number format, see `scenelet.training.compression.search.search_format`.
        dtype: number format of the weights. With "int8" and "int4" the fine-tuning computes with rounded weights.
            "fp32" stores every number exactly, at more than twice the size. "auto" searches, with `max_bytes`.
            None: "auto" with `max_bytes`, or else as the recipe says.
        ramp: fraction of the fine-tuning during which the sparsity grows; 0 prunes at once. None: as the recipe says.
        sensitivity: also write `NAME.sensitivity.csv` and `.png`: the loss when a single layer is pruned or rounded.
        data: path or table of the recordings, if they have moved since training, or the loaded data set of the run.

    Returns:
        "members" (networks in the file), "sparsity", "dtype", "bytes", "parts" (`scenelet.model.sizes.FileParts`),
        "trials" (of number formats), "threshold" (see `scenelet.inference.threshold`), "calibration" (see
        `scenelet.training.compression.calibration.calibration_record`), "known_sounds" (see
        `scenelet.training.compression.known_sounds`), and by subset "dense" (results of the trained
        network) and "compressed" (results of the file, by ONNX Runtime). The last two are computed from the
        cached features, which are fp16: their probabilities differ from those of `predict` by less than 0.001.
        For a folder also "files", the bytes of each by name.

    Raises:
        SceneletError: there is no such run, the recordings have changed, a setting is invalid or has no effect, or
            `max_bytes` is too small. `out` is not touched then.
    """
    run, out = Path(run), Path(out)
    changes = read_changes(settings, sparsity=sparsity, max_bytes=max_bytes, dtype=dtype, ramp=ramp)
    check_compress_arguments(run, out)
    record = read_record(run)
    config = compress_settings(record.config, changes)
    make_folder(out.parent)
    network = load_network(run, record)
    dataset = data
    if not isinstance(dataset, Dataset):
        table = dataset if isinstance(dataset, ClipTable) else load_recorded_table(record.data, dataset)
        with progress_only():  # `train` has printed the description of the data
            by_device = record.config.data.standardize == "device"
            dataset = load_dataset(table, record.config, read_statistics(run) if by_device else None)
    check_same_split(run, split_table(dataset.split), dataset.record.path)
    is_folder = out.suffix != SUFFIX
    if not is_folder and (statistics := dataset.statistics) is not None:
        dataset = without_device_maps(dataset)
        if len(statistics.devices) > 1:
            print_message(
                f"{out}: standardizes every clip by all devices together, and is measured so; with a folder as --out,"
                " each device gets a file with its own standardization"
            )
    built = build_model(network, record, dataset, config)
    _print_warnings(built)
    if sensitivity:
        write_sensitivity(out, layer_losses(load_network(run, record), dataset))
    files = {out: built.file}
    if is_folder:
        files = {out / f"{name}{SUFFIX}": file for name, file in device_model_files(built, dataset).items()}
        make_folder(out)
    replace_files(files)
    summary = {"members": member_count(network.network)} | _summary(built)
    return summary | ({"files": {path.name: len(file) for path, file in files.items()}} if is_folder else {})


def _summary(built: BuiltModel) -> dict[str, Any]:
    return {
        "sparsity": built.compression.settings.sparsity,
        "dtype": built.compression.settings.dtype,
        "bytes": len(built.file),
        "parts": asdict(file_parts(built.model, built.file)),
        "trials": [asdict(trial) for trial in built.compression.trials],
        "threshold": built.found.get("threshold", {}),
        "calibration": built.found.get("calibration", {}),
        "known_sounds": _known_sounds(built),
        "dense": built.dense,
        "compressed": built.compressed,
    }


def _known_sounds(built: BuiltModel) -> dict[str, Any]:
    known = built.model.known
    return {"min_similarity": known.min_similarity, **built.found["known_sounds"]} if known else {}


def _print_warnings(built: BuiltModel) -> None:
    """Warn of layers that are nearly empty, of few clips, and of a loss of accuracy that is not noise."""
    if densities := prune.nearly_empty_layers(built.compression.masks):
        emptiest = sorted(densities.items(), key=lambda item: item[1])[:MAX_LAYERS_PRINTED]
        named = ", ".join(f"{layer} ({100 * density:.1f} % left)" for layer, density in emptiest)
        more = f" and {len(densities) - len(emptiest)} more" if len(densities) > len(emptiest) else ""
        print_warning(
            f"warning: layers that are nearly empty: {named}{more}; a lower sparsity or another network.init keeps more"
        )
    if not built.dense:
        print_message("no clips were held out, so the accuracy of the file is not known")
    for name, dense in built.dense.items():
        clips, before, after = dense["clips"], dense["accuracy"], built.compressed[name]["accuracy"]
        if clips < MIN_CLIPS:
            print_message(
                f"warning: {name}: {pluralize(clips, 'clip')} are few; one clip is {100 / clips:.1f} points of accuracy"
            )
        interval = binomtest(round(before * clips), clips).proportion_ci(method="wilson")
        if after < interval.low:
            print_warning(
                f"warning: {name}: compression lowers the accuracy from {100 * before:.1f} % [{100 * interval.low:.1f},"
                f" {100 * interval.high:.1f}] to {100 * after:.1f} %; try a lower --sparsity, a finer --dtype or"
                " more epochs (--set prune.epochs=N)"
            )
