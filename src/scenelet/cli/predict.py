"""`scenelet predict`."""

import csv
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenelet.cli.bulk_job import discard_stdout, get_single_source, print_summary, refuse_bulk_options
from scenelet.cli.options import (
    Engine,
    EngineOption,
    ModelsArgument,
    ProtocolOption,
    QuietOption,
    RetryErrorsOption,
    RowFormat,
    RowFormatOption,
    Runtime,
    ShardSizeOption,
    WorkersOption,
)
from scenelet.errors import UsageError, escape_unprintable
from scenelet.utils.console import print_message, print_warning, track
from scenelet.utils.csv_cells import safe_row
from scenelet.utils.text import pluralize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scenelet.inference.classifier import Classifier
    from scenelet.inference.prediction import Prediction

    Results = list[tuple[Path, Prediction]]


MANY_WINDOWS = 12
"""Number of windows above which a recording probably holds more than one kind of sound: a minute of 5 s windows."""


def predict(
    model: ModelsArgument,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Recordings or folders of recordings; with --out, one CSV, Parquet file or folder."
            " Without any, a built-in model's example."
        ),
    ] = None,
    format: RowFormatOption = RowFormat.table,
    runtime: Annotated[
        Runtime, typer.Option(help="Library that runs the network; openvino needs an extra, and is faster with bf16.")
    ] = Runtime.onnxruntime,
    device: Annotated[
        str | None,
        typer.Option(help="Recording device, to choose the model from a folder of models (default: the general one)."),
    ] = None,
    out: Annotated[str | None, typer.Option(help="Bulk: write Parquet files to this folder or URL.")] = None,
    engine: EngineOption = None,
    workers: WorkersOption = None,
    shard_size: ShardSizeOption = None,
    retry_errors: RetryErrorsOption = False,
    protocol: ProtocolOption = None,
    quiet: QuietOption = False,
) -> None:
    """Classify recordings.

    The exit code is 1 if a recording cannot be read. With --out, such recordings become rows with an error, and the
    exit code is 0.
    """
    paths = paths or [str(_example(model))]
    if out is not None:
        if device is not None:
            raise UsageError("--device chooses from a folder of models, and --out takes one model file; leave out one")
        from scenelet.bulk.run import predict as predict_many

        engine = engine or Engine.local
        with discard_stdout():
            summary = predict_many(
                model,
                get_single_source(paths),
                out,
                engine=engine.value,
                runtime=runtime.value,
                workers=workers,
                shard_size=shard_size,
                retry_errors=retry_errors,
                protocols=protocol or (),
            )
        print_summary(summary, out, format)
        return
    only_bulk = {"engine": engine, "workers": workers, "shard_size": shard_size, "protocol": protocol}
    refuse_bulk_options(paths, **only_bulk, retry_errors=retry_errors or None)
    from scenelet.errors import AudioError
    from scenelet.inference.device_models import load_for_device

    classifier = load_for_device(model, device, runtime.value)
    results: Results = []
    if "-" in paths:
        raise UsageError(f"-: predict reads files; `scenelet listen {model} -` reads a pipe")
    files, failed = find_all(map(Path, paths))
    predictions = classifier.predict_many(files, errors="return")
    for file, prediction in zip(files, track(predictions, "Predicting", len(files)), strict=True):
        if isinstance(prediction, AudioError):
            failed = True
            print_warning(f"error: {prediction}")
        else:
            results.append((file, prediction))
    printers = {RowFormat.table: print_table, RowFormat.json: print_json, RowFormat.csv: print_csv}
    printers[format](results, classifier)
    long = sum(len(prediction.windows) > MANY_WINDOWS for _, prediction in results)
    if long:
        print_message(
            f"note: {pluralize(long, 'recording')} of more than {MANY_WINDOWS} windows; one answer may not fit."
            f" `scenelet listen {model} FILE` prints when each answer begins and ends"
        )
    if failed:
        raise typer.Exit(1)


def _example(model: str) -> Path:
    from scenelet.model.pretrained import example

    path = example(model)
    if path is None:
        raise UsageError(f"predict {model}: give recordings or folders of recordings")
    print_message(f"no recordings given; predicting the example of {model}")
    return path


def recordings(path: Path) -> list[Path]:
    """List the recordings of a folder and its subfolders; a file is listed as it is."""
    from scenelet.audio.io import find_recordings

    return find_recordings(path) if os.path.isdir(path) else [path]


def find_all(paths: "Iterable[Path]") -> tuple[list[Path], bool]:
    """List the recordings of several paths, and print each folder without any.

    Returns:
        The recordings, and whether a folder has none.
    """
    files: list[Path] = []
    is_empty = False
    for path in paths:
        found = recordings(path)
        if not found:
            is_empty = True
            name = escape_unprintable(str(path))
            print_warning(f"error: {name}: holds no recordings (WAV, FLAC, Ogg, MP3, AIFF, ...); give another folder")
        files += found
    return files, is_empty


def print_json(results: "Results", classifier: "Classifier") -> None:
    """Print a list of `{file, label, unsure, probabilities, windows}`."""
    rows = [
        {
            "file": str(file),
            "label": prediction.label,
            "unsure": prediction.unsure,
            "probabilities": prediction.probabilities,
            "windows": len(prediction.windows),
        }
        for file, prediction in results
    ]
    print(json.dumps(rows, indent=2))


def print_csv(results: "Results", classifier: "Classifier") -> None:
    """Print `file,label,unsure,windows` and one column per label."""
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(safe_row(["file", "label", "unsure", "windows", *classifier.labels]))
    for file, prediction in results:
        probabilities = (f"{p:.6f}" for p in prediction.probabilities.values())
        unsure = str(prediction.unsure).lower()
        rows.writerow(safe_row([str(file), prediction.label, unsure, len(prediction.windows), *probabilities]))


def print_table(results: "Results", classifier: "Classifier") -> None:
    """Print one line per recording: the answer, which may be "unsure", and the three most probable labels."""
    names = [escape_unprintable(str(file)) for file, _ in results]
    answers = [_answer(prediction) for _, prediction in results]
    width, answer_width = max(map(len, names), default=0), max(map(len, answers), default=0)
    for name, answer, (_, prediction) in zip(names, answers, results, strict=True):
        top = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:3]
        shown = ", ".join(f"{label} {100 * p:.1f} %" for label, p in top) if _has_class(prediction) else ""
        print(f"{name:<{width}}  {answer:<{answer_width}}  {shown}".rstrip())


def _answer(prediction: "Prediction") -> str:
    return "unsure" if prediction.unsure and _has_class(prediction) else prediction.label


def _has_class(prediction: "Prediction") -> bool:
    """Return False if the recording is silent or too short."""
    return prediction.label in prediction.probabilities
