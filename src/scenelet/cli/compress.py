"""`scenelet compress`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from scenelet.cli.options import Format, FormatOption, QuietOption, change_option, parse_bytes
from scenelet.utils.console import spinner
from scenelet.utils.text import pluralize

CHANGE_HELP = "Change a setting of fine-tuning: prune, mixing or loss, e.g. prune.epochs=20; may be repeated."


class WeightType(StrEnum):
    """Number formats of a model file's weights."""

    auto = "auto"
    fp16 = "fp16"
    fp32 = "fp32"
    int8 = "int8"
    int4 = "int4"


def compress(
    run: Annotated[Path, typer.Argument(help="Run folder of `scenelet train`, or of `train --each-device`.")],
    out: Annotated[Path, typer.Option(help="Model file to write, NAME.scn; for models by device, a folder.")],
    sparsity: Annotated[
        float | None, typer.Option(help="Fraction of the convolution weights to prune (default: the recipe's).")
    ] = None,
    max_bytes: Annotated[
        str | None,
        typer.Option(
            help="Maximum bytes on disk, e.g. 500kB (1 kB = 1000 B); networks, format and sparsity are chosen to fit."
        ),
    ] = None,
    dtype: Annotated[
        WeightType | None,
        typer.Option(help="Number format of the weights (default: the recipe's; with --max-bytes: auto, the best)."),
    ] = None,
    ramp: Annotated[
        float | None,
        typer.Option(help="Fraction of the fine-tuning over which the sparsity rises; 0: prune once."),
    ] = None,
    change: Annotated[list[str] | None, change_option(CHANGE_HELP)] = None,
    sensitivity: Annotated[
        bool,
        typer.Option("--sensitivity", help="Also write NAME.sensitivity.csv and .png: effect of pruning each layer."),
    ] = False,
    data: Annotated[Path | None, typer.Option(help="New path of the recordings, if they moved.")] = None,
    audio_dir: Annotated[Path | None, typer.Option(help="New folder of a CSV's recordings, if they moved.")] = None,
    format: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """Prune and fine-tune a trained run, and write the model file."""
    size = None if max_bytes is None else parse_bytes("--max-bytes", max_bytes)

    from scenelet.config.run_folder import read_record
    from scenelet.training.compression.settings import compress_settings, read_changes
    from scenelet.training.compression.targets import compression_targets
    from scenelet.training.preflight import load_recorded_table

    changes = read_changes(
        change or [], sparsity=sparsity, max_bytes=size, dtype=None if dtype is None else dtype.value, ramp=ramp
    )
    targets = compression_targets(run, out)
    records = {path: read_record(path) for path in targets}
    for record in records.values():
        compress_settings(record.config, changes)
    # runs of one training have the same recordings, which are looked up once
    recorded = dict.fromkeys(record.data for record in records.values())
    tables = {own: load_recorded_table(own, data, audio_dir) for own in recorded}
    with spinner("Loading PyTorch"):
        from scenelet.training.compression.compress import compress_runs

    of_run = {path: tables[record.data] for path, record in records.items()}
    results = compress_runs(targets, settings=changes, sensitivity=sensitivity, data=of_run)
    for file, result in results.items():
        if format is not Format.json:
            print_result(file, result)
    if format is Format.json:
        rows = [{"model": str(file), **result} for file, result in results.items()]
        print(json.dumps(rows[0] if [*targets] == [run] else rows, indent=2))


def print_result(out: Path, result: dict[str, Any]) -> None:
    """Print what `scenelet.training.compression.compress.compress` returned."""
    pruned = f"{100 * result['sparsity']:.1f} % of the convolution weights pruned"
    ensemble = f"{result['members']} networks, " if result["members"] > 1 else ""
    size = f"{result['bytes']:,} bytes"
    if files := result.get("files"):
        size = f"{', '.join(files)}, of at most {max(files.values()):,} bytes"
    print(f"{out}: {size}, {ensemble}weights in {result['dtype']}, {pruned}")
    for split, dense in result["dense"].items():
        after, clips = result["compressed"][split], dense["clips"]
        print(
            f"{split}: macro accuracy {100 * dense['macro_accuracy']:.1f} % before,"
            f" {100 * after['macro_accuracy']:.1f} % after, on {pluralize(clips, 'clip')};"
            f" one clip is {100 / clips:.1f} points on average"
        )
    if result["dense"]:
        print("measured on the cached features in fp16; probabilities of `predict` differ by less than 0.001")
    if calibration := result["calibration"]:
        before, after = calibration["before"], calibration["after"]
        print(
            f"calibrated on the {pluralize(calibration['clips'], 'clip')} of the {calibration['subset']} split:"
            f" temperature {calibration['temperature']:.2f}; log loss {before['log_loss']:.3f} before,"
            f" {after['log_loss']:.3f} after; calibration error {before['ece']:.3f} before, {after['ece']:.3f} after"
        )
    if threshold := result["threshold"]:
        from scenelet.inference.threshold import MIN_CLIPS

        correct = f"{100 * threshold['accuracy']:.1f} % of the answers above it were correct"
        clips = f"{threshold['clips']} clips of the {threshold['subset']} split"
        sure = round(threshold["coverage"] * threshold["clips"])
        few = f"; to prove that, {MIN_CLIPS} sure clips are needed, not {sure}" if sure < MIN_CLIPS else ""
        print(f"unsure below {100 * threshold['probability']:.1f} %: {correct}, on {clips}{few}")
    if result["known_sounds"]:
        from scenelet.training.compression.known_sounds import known_sounds_text

        print(known_sounds_text(result["known_sounds"]))
