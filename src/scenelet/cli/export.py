"""`scenelet export`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenelet.cli.formats import MODEL_HELP
from scenelet.console import say
from scenelet.errors import AudioError, UsageError

if TYPE_CHECKING:
    from scenelet.classifier import Classifier

FORMATS = {".onnx": "ONNX", ".h": "a C header", ".md": "a model card"}


class GraphInput(StrEnum):
    """What an ONNX file takes."""

    log_mel = "log-mel"
    waveform = "waveform"


def export(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    out: Annotated[Path, typer.Option(help="NAME.onnx, NAME.h (C header) or NAME.md (model card).")],
    input: Annotated[
        GraphInput, typer.Option(help="Of an ONNX file: log-mel, or one window of samples at the model's rate.")
    ] = GraphInput.log_mel,
    int8: Annotated[
        Path | None, typer.Option(help="Of an ONNX file: activations in int8, ranges from these recordings.")
    ] = None,
) -> None:
    """Write a model for other programs: ONNX, a C header with its weights, or a card."""
    if out.suffix not in FORMATS:
        known = ", ".join(f"NAME{suffix} ({what})" for suffix, what in FORMATS.items())
        raise UsageError(f"{out}: the ending says what is written: {known}")
    if out.suffix != ".onnx" and (int8 is not None or input is not GraphInput.log_mel):
        raise UsageError(f"{out}: --input and --int8 are of ONNX files; name one NAME.onnx")
    if int8 is not None and input is not GraphInput.log_mel:
        raise UsageError("--int8 goes with --input log-mel: a front end in int8 would lose the quiet bands")

    from scenelet.classifier import load, model_path
    from scenelet.files import replace_file

    classifier = load(model)
    if out.suffix == ".onnx":
        _onnx(classifier, out, input, int8)
        return
    if out.suffix == ".h":
        from scenelet.export.c_header import c_header

        text = c_header(classifier.model, out.stem)
    else:
        from scenelet.export.card import card

        text = card(classifier.model, out.stem, model_path(model).stat().st_size)
    replace_file(out, text)
    say(f"written: {out}, {len(text.encode()):,} bytes")


def _onnx(classifier: "Classifier", out: Path, graph_input: GraphInput, recordings: Path | None) -> None:
    """Write an ONNX file, and say how far it is from the model file."""
    from scenelet.cli.predict import recordings as find
    from scenelet.export.onnx_file import agreements, onnx_bytes
    from scenelet.files import replace_file
    from scenelet.front_graph import transform_macs

    held = classifier.model
    if recordings is None:
        exported = onnx_bytes(held, graph_input.value)
    else:
        from scenelet.export.int8_activations import calibration_windows, int8_bytes

        found = find(recordings)
        if not found:
            raise AudioError(f"{recordings}: holds no recordings (WAV, FLAC, Ogg, MP3); give another folder")
        exported = int8_bytes(held, calibration_windows(held, found))
    compared = agreements(exported, classifier, graph_input.value)
    replace_file(out, exported)
    shape: tuple[int | str, ...] = ("batch", *held.input_shape)
    if graph_input is GraphInput.waveform:
        samples = held.window.samples(held.features.sample_rate)
        shape = (1, held.features.n_channels, samples)
        cost = transform_macs(held.features, samples) / 1e6
        say(f"its Fourier transforms take about {cost:,.1f} M multiply-accumulates a window, beside the network's")
    name = "log_mel" if graph_input is GraphInput.log_mel else "waveform"
    say(f"written: {out}, {len(exported):,} bytes; input {name} ({', '.join(map(str, shape))})")
    for one in compared:
        if one.largest_difference is None:
            print(f"{one.runtime}: cannot run it ({one.refusal})")
        else:
            print(f"{one.runtime}: largest difference from the model file on made input: {one.largest_difference:.3g}")
