"""`scenelet export`."""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scenelet.cli.options import Format, FormatOption, ModelArgument, QuietOption
from scenelet.errors import AudioError, OutputError, UsageError
from scenelet.utils.console import print_message, print_warning, spinner

if TYPE_CHECKING:
    from scenelet.export.calibration import Calibration
    from scenelet.inference.classifier import Classifier
    from scenelet.model.scene_model import SceneModel

FORMATS = {".onnx": "ONNX", ".tflite": "TensorFlow Lite", ".h": "a C header", ".md": "a model card"}
TOLERANCE = 1e-3
"""Maximum difference of a probability between an fp32 ONNX file and its model."""


class GraphInput(StrEnum):
    """Inputs of an ONNX file."""

    log_mel = "log-mel"
    waveform = "waveform"


def export(
    model: ModelArgument,
    out: Annotated[Path, typer.Option(help="NAME.onnx, NAME.tflite, NAME.h (C header) or NAME.md (model card).")],
    input: Annotated[
        GraphInput, typer.Option(help="ONNX: input of the network, log-mel features or one window of samples.")
    ] = GraphInput.log_mel,
    int8: Annotated[
        Path | None,
        typer.Option(help="ONNX and TensorFlow Lite: int8 activations, calibrated on this folder of recordings."),
    ] = None,
    format: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """Convert a model to ONNX, .tflite or C, or write its model card."""
    if out.suffix not in FORMATS:
        known = ", ".join(f"NAME{suffix} ({what})" for suffix, what in FORMATS.items())
        raise UsageError(f"{out}: the ending selects the format: {known}")
    if out.suffix != ".onnx" and input is not GraphInput.log_mel:
        raise UsageError(f"{out}: --input goes with ONNX files only; give --out NAME.onnx")
    if out.suffix not in (".onnx", ".tflite") and int8 is not None:
        raise UsageError(f"{out}: --int8 goes with ONNX and TensorFlow Lite; give --out NAME.onnx or NAME.tflite")
    if int8 is not None and input is not GraphInput.log_mel:
        raise UsageError("--int8 goes with --input log-mel: a front end in int8 would lose the quiet bands")

    from scenelet.inference.classifier import load
    from scenelet.model.pretrained import model_path
    from scenelet.utils.files import make_folder, replace_file

    classifier = load(model)
    make_folder(out.parent)
    if out.suffix in (".onnx", ".tflite"):
        more = _tflite(classifier, out, int8) if out.suffix == ".tflite" else _onnx(classifier, out, input, int8)
        if format is Format.json:
            print(json.dumps({"file": str(out), "bytes": out.stat().st_size, **more}, indent=2))
        else:
            for row in more["compared"]:
                print(_line(row))
        return
    if out.suffix == ".h":
        from scenelet.export.c_header import c_header, constant_bytes

        text = c_header(classifier.model, out.stem)
        notes = [f"its numbers take {constant_bytes(classifier.model):,} bytes in a program, pruned weights included"]
        if "masked_fp16" in classifier.model.encodings.values():
            notes.append("note: weights in fp16 take four bytes each there; compress with --dtype int8 for one")
    else:
        from scenelet.export.model_card import model_card

        text, notes = model_card(classifier.model, out.stem, model_path(model).stat().st_size), []
    replace_file(out, text)
    for line in (f"written: {out}, {out.stat().st_size:,} bytes", *notes):
        print_message(line)
    if format is Format.json:
        print(json.dumps({"file": str(out), "bytes": out.stat().st_size, "compared": []}, indent=2))


def _onnx(classifier: "Classifier", out: Path, graph_input: GraphInput, recordings: Path | None) -> dict[str, Any]:
    """Write an ONNX file; return its difference from the model file in each runtime."""
    from scenelet.export.onnx_file import compare_runtimes, onnx_bytes
    from scenelet.export.onnx_int8 import int8_bytes
    from scenelet.utils.files import replace_file

    model = classifier.model
    if recordings is None:
        exported, what = onnx_bytes(model, graph_input.value), "synthetic windows"
        with spinner("Comparing with the model file"):
            compared = compare_runtimes(exported, classifier, graph_input.value)
    else:
        calibration, what = _calibrate(model, recordings), f"windows of {recordings}"
        with spinner("Rounding, and comparing with the model file"):
            exported = int8_bytes(model, calibration.ranges)
            compared = compare_runtimes(exported, classifier, graph_input.value, calibration.compared)
    difference = max(
        (check.largest_difference for check in compared[:1] if check.largest_difference is not None), default=0.0
    )
    if not difference <= (TOLERANCE if recordings is None else 1.0):  # also refuses NaN
        raise OutputError(
            f"{out}: not written: in {compared[0].runtime} its probabilities differ from the model file's"
            f" by {difference:.3g};"
            " please report this with the model"
        )
    replace_file(out, exported)
    shape: tuple[int | str, ...] = ("batch", *model.input_shape)
    if graph_input is GraphInput.waveform:
        shape = _waveform_shape(model)
    name = "log_mel" if graph_input is GraphInput.log_mel else "waveform"
    print_message(f"written: {out}, {len(exported):,} bytes; input {name} ({', '.join(map(str, shape))})")
    return {"compared": [{**asdict(check), "on": what} for check in compared]}


def _tflite(classifier: "Classifier", out: Path, recordings: Path | None) -> dict[str, Any]:
    """Write a `.tflite` file; return its difference from the model file in each interpreter, and its arena."""
    from scenelet.export.tflite.check import check_tflite
    from scenelet.export.tflite.file import check_tflite_exportable, tflite_bytes
    from scenelet.utils.files import replace_file

    model = classifier.model
    check_tflite_exportable(model, recordings is not None)
    calibration = None if recordings is None else _calibrate(model, recordings)
    with spinner("Converting, and comparing with the model file"):
        exported = tflite_bytes(model, () if calibration is None else calibration.ranges)
        found = check_tflite(exported, classifier, () if calibration is None else calibration.compared)
    if found.error:
        raise OutputError(f"{out}: not written: {found.error}; please report this with the model")
    replace_file(out, exported)
    channels, *bands_and_frames = model.input_shape
    shape = ", ".join(map(str, (1, *bands_and_frames, channels)))
    print_message(f"written: {out}, {len(exported):,} bytes; input log_mel ({shape})")
    if found.arena_bytes is not None:
        print_message(f"tflite-micro needs an arena of {found.arena_bytes:,} bytes here, with pointers of 64 bits")
    what = "synthetic windows" if recordings is None else f"windows of {recordings}"
    return {"compared": [{**asdict(check), "on": what} for check in found.runtimes], "arena_bytes": found.arena_bytes}


def _line(one: dict[str, Any]) -> str:
    """Format the comparison in one runtime."""
    if one["largest_difference"] is None:
        return f"{one['runtime']}: cannot run it ({one['error']})"
    difference = f"probabilities within {one['largest_difference']:.3g} of the model file's"
    return f"{one['runtime']}: {difference}, {one['other_labels']} other labels, on {one['windows']} {one['on']}"


def _calibrate(model: "SceneModel", recordings: Path) -> "Calibration":
    """Compute activation ranges from the user's recordings; print how many were read and which were not."""
    from scenelet.cli.predict import recordings as find
    from scenelet.export.calibration import calibrate

    found = find(recordings)
    if not found:
        raise AudioError(f"{recordings}: holds no recordings (WAV, FLAC, Ogg, MP3, AIFF, ...); give another folder")
    with spinner("Calibrating"):
        calibration = calibrate(model, found)
    print_message(f"activation ranges from {len(calibration.ranges)} windows of {calibration.recordings} recordings")
    if calibration.failures:
        first = calibration.failures[0]
        print_warning(f"warning: {len(calibration.failures)} recordings were left out, the first: {first}")
    return calibration


def _waveform_shape(model: "SceneModel") -> tuple[int, int, int]:
    """Compute the input shape of a waveform graph; print the cost of its front end."""
    from scenelet.inference.onnx_frontend import frontend_macs
    from scenelet.model.costs import macs

    samples = model.window.samples(model.features.sample_rate)
    transforms, bands = (cost / 1e6 for cost in frontend_macs(model.features, samples))
    network = macs(model.nodes, model.array_shapes, model.input_shape) / 1e6
    print_message(
        f"multiply-accumulates per window: Fourier transforms about {transforms:,.2f} M, mel bands {bands:,.2f} M,"
        f" network {network:,.2f} M"
    )
    return 1, model.features.n_channels, samples
