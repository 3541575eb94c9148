"""`scenelet timeline`."""

from pathlib import Path
from typing import Annotated

import typer

from scenelet.cli.options import (
    HopOption,
    MarginOption,
    ModelArgument,
    QuietOption,
    Runtime,
    RuntimeOption,
    SmoothingOption,
    ThresholdOption,
)
from scenelet.cli.predict import find_all
from scenelet.errors import UsageError
from scenelet.utils.console import print_message
from scenelet.utils.text import pluralize


def timeline(
    model: ModelArgument,
    paths: Annotated[list[Path], typer.Argument(help="Recordings or folders of recordings.")],
    out: Annotated[Path, typer.Option(help="Folder for the events: tables, labels and a page.")],
    hop: HopOption = None,
    smoothing: SmoothingOption = 2.0,
    margin: MarginOption = 0.1,
    threshold: ThresholdOption = None,
    min_seconds: Annotated[float, typer.Option(min=0, help="Leave out events that are shorter.")] = 0.0,
    runtime: RuntimeOption = Runtime.onnxruntime,
    quiet: QuietOption = False,
) -> None:
    """Find events in long recordings: tables, labels and a page.

    If the command is interrupted, repeat it: finished recordings are not read again. The exit code is 1 if a recording
    cannot be read.
    """
    from scenelet.timeline.page import PAGE
    from scenelet.timeline.run import SEGMENTS, make_timeline
    from scenelet.timeline.tables import LABELS

    if Path("-") in paths:
        raise UsageError(f"-: timeline reads files; `scenelet listen {model} -` reads a pipe")
    files, failed = find_all(paths)
    made = make_timeline(
        model,
        files,
        out,
        hop_seconds=hop,
        smooth_seconds=smoothing,
        margin=margin,
        threshold=threshold,
        min_seconds=min_seconds,
        runtime=runtime.value,
    )
    if made.recordings:
        events = sum(len(recording.events) for recording in made.recordings)
        found = f"{pluralize(events, 'event')} in {pluralize(len(made.recordings), 'recording')}"
        print_message(f"written: {out / PAGE}, {out / SEGMENTS} and {out / LABELS} ({found})")
    if failed or made.failed:
        raise typer.Exit(1)
