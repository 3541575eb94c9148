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
from scenelet.model.device_files import GENERAL, SUFFIX
from scenelet.model.sizes import file_parts
from scenelet.nn import prune
from scenelet.nn.ensemble import member_count
from scenelet.training.compression.build_model import BuiltModel, build_model
from scenelet.training.compression.device_models import device_model_files
from scenelet.training.compression.sensitivity import layer_losses, sensitivity_files
from scenelet.training.compression.settings import compress_settings, read_changes
from scenelet.training.dataset import Dataset, load_dataset, without_device_maps
from scenelet.training.network import load_network
from scenelet.training.preflight import check_compress_arguments, load_recorded_table
from scenelet.utils.console import print_message, print_warning, progress_only
from scenelet.utils.files import Content, make_folder, replace_files
from scenelet.utils.text import pluralize

MAX_LAYERS_PRINTED = 3
MIN_CLIPS = 30  # with fewer held-out clips, the accuracy says little

Data = str | os.PathLike[str] | ClipTable | Dataset | None
"""Recordings of a run: path, table or loaded data set; None: as the run recorded them."""


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
    data: Data = None,
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
    changes = read_changes(settings, sparsity=sparsity, max_bytes=max_bytes, dtype=dtype, ramp=ramp)
    return compress_runs({Path(run): Path(out)}, settings=changes, sensitivity=sensitivity, data={Path(run): data})[
        Path(out)
    ]


def compress_runs(
    targets: Mapping[Path, Path], *, settings: Mapping[str, Any], sensitivity: bool, data: Mapping[Path, Data]
) -> dict[Path, dict[str, Any]]:
    """Compress runs whose model files belong together, and write all files after the last run.

    So an interruption leaves no folder with models of two trainings.

    Args:
        targets: run folder -> `out`, see `scenelet.training.compression.targets.compression_targets`.
        settings: see `scenelet.training.compression.settings.read_changes`.
        sensitivity: as `compress`.
        data: as `compress`, by run folder.

    Returns:
        What `compress` returns, by `out`.

    Raises:
        SceneletError: as `compress`. No file is touched then.
    """
    files, results = dict[Path, Content](), {}
    for run, out in targets.items():
        own, results[out] = _compress(run, out, settings, sensitivity, data[run])
        files |= own
    # replace_files hides the last file first, so a folder of models has a general one only if it is complete
    ordered = sorted(files, key=lambda path: path.name == f"{GENERAL}{SUFFIX}")
    for folder in {path.parent for path in files}:
        make_folder(folder)
    replace_files({path: files[path] for path in ordered})
    if extra := [str(path) for path in files if path.suffix != SUFFIX]:
        print_message(f"written: {', '.join(extra)}")
    return results


def _compress(
    run: Path, out: Path, changes: Mapping[str, Any], sensitivity: bool, data: Data
) -> tuple[dict[Path, Content], dict[str, Any]]:
    """Return the files of a compressed run, and what `compress` returns."""
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
    summary = {"members": member_count(network.network)} | _summary(built)
    models = {out: built.file}
    if is_folder:
        models = {out / f"{name}{SUFFIX}": file for name, file in device_model_files(built, dataset).items()}
        summary["files"] = {path.name: len(file) for path, file in models.items()}
    extra = sensitivity_files(out, layer_losses(load_network(run, record), dataset)) if sensitivity else {}
    return {**extra, **models}, summary


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
