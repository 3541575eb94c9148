"""`scenelet export`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from scenelet.cli.options import Format, FormatOption, ModelArgument, QuietOption
from scenelet.errors import UsageError

FORMATS = {".onnx": "ONNX", ".tflite": "TensorFlow Lite", ".md": "a model card"}


class Target(StrEnum):
    """Targets whose export is a folder of files."""

    c = "c"
    arduino = "arduino"
    esp_idf = "esp-idf"
    web = "web"


LAYOUTS: dict[Target, Literal["c", "arduino", "esp-idf"]] = {
    Target.c: "c",
    Target.arduino: "arduino",
    Target.esp_idf: "esp-idf",
}
"""Layouts of the targets that are C programs."""


class GraphInput(StrEnum):
    """Inputs of an ONNX file."""

    log_mel = "log-mel"
    waveform = "waveform"


def export(
    model: ModelArgument,
    out: Annotated[
        Path,
        typer.Option(help="NAME.onnx, NAME.tflite (TensorFlow Lite) or NAME.md (model card); with --to a folder."),
    ],
    to: Annotated[
        Target | None,
        typer.Option(
            help="Write a folder. c: a C99 program; arduino: a library; esp-idf: a project; web: a page that runs the"
            " model in a browser."
        ),
    ] = None,
    input: Annotated[
        GraphInput, typer.Option(help="ONNX: input of the network, log-mel features or one window of samples.")
    ] = GraphInput.log_mel,
    int8: Annotated[
        Path | None,
        typer.Option(help="ONNX, TensorFlow Lite, C: int8 activations, calibrated on this folder of recordings."),
    ] = None,
    onnxruntime_web: Annotated[
        Path | None,
        typer.Option(
            envvar="SCENELET_ONNXRUNTIME_WEB",
            help="web: package file of onnxruntime-web (default: npm downloads it once).",
        ),
    ] = None,
    format: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """Convert a model to ONNX, TensorFlow Lite, C or a web page."""
    _check_options(out, to, input, int8)

    from scenelet.cli import export_forms
    from scenelet.inference.classifier import load

    classifier = load(model)
    if to is Target.web:
        found = export_forms.export_page(classifier, model, out, onnxruntime_web)
    elif to is not None:
        found = export_forms.export_program(classifier, model, out, LAYOUTS[to], int8)
    elif out.suffix == ".onnx":
        found = export_forms.export_onnx(classifier, out, input.value, int8)
    elif out.suffix == ".tflite":
        found = export_forms.export_tflite(classifier, out, int8)
    else:
        found = export_forms.export_card(classifier, model, out)
    if format is Format.json:
        print(json.dumps(found, indent=2))
        return
    for row in found.get("compared", []):
        print(export_forms.comparison_line(row))


def _check_options(out: Path, to: Target | None, input: GraphInput, int8: Path | None) -> None:
    """Raise UsageError if options do not go together."""
    what = f"--to {to.value}" if to is not None else out.suffix
    if to is None and out.suffix not in FORMATS:
        known = ", ".join(f"NAME{suffix} ({form})" for suffix, form in FORMATS.items())
        raise UsageError(
            f"{out}: the ending selects the format: {known}; or give --to {', '.join(Target)} and a folder"
        )
    if to is None and out.is_dir():
        raise UsageError(f"{out}: is a folder; give the name of the file to write")
    if to is not None and (out.is_file() or out.suffix in FORMATS):
        raise UsageError(f"{out}: {what} writes a folder; give the name of a folder, e.g. --out {to.value}")
    if what != ".onnx" and input is not GraphInput.log_mel:
        raise UsageError(f"{out}: --input goes with ONNX files only; give --out NAME.onnx")
    if what in (".md", "--to web") and int8 is not None:
        raise UsageError(f"{out}: --int8 goes with ONNX, TensorFlow Lite and C; leave it out here")
    if int8 is not None and input is not GraphInput.log_mel:
        raise UsageError("--int8 goes with --input log-mel: a front end in int8 would lose the quiet bands")
