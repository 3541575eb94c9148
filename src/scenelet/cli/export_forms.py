"""Forms of `scenelet export`: each function writes one, prints what it wrote, and returns it as JSON values."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scenelet.errors import AudioError, OutputError, escape_unprintable
from scenelet.utils.console import print_message, print_warning, spinner
from scenelet.utils.files import make_folder, replace_file
from scenelet.utils.text import pluralize

if TYPE_CHECKING:
    from scenelet.export.c.layouts import Layout
    from scenelet.export.calibration import Calibration
    from scenelet.inference.classifier import Classifier
    from scenelet.model.scene_model import SceneModel

TOLERANCE = 1e-3
"""Maximum difference of a probability between an fp32 ONNX file and its model."""


def export_onnx(
    classifier: "Classifier", out: Path, graph_input: Literal["log-mel", "waveform"], recordings: Path | None
) -> dict[str, Any]:
    """Write an ONNX file; return its difference from the model file in each runtime."""
    from scenelet.export.onnx_file import compare_runtimes, onnx_bytes
    from scenelet.export.onnx_int8 import int8_bytes

    model = classifier.model
    make_folder(out.parent)
    if recordings is None:
        exported, what = onnx_bytes(model, graph_input), "synthetic windows"
        with spinner("Comparing with the model file"):
            compared = compare_runtimes(exported, classifier, graph_input)
    else:
        calibration, what = _calibrate(model, recordings), f"windows of {recordings}"
        with spinner("Rounding, and comparing with the model file"):
            exported = int8_bytes(model, calibration.ranges)
            compared = compare_runtimes(exported, classifier, graph_input, calibration.compared)
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
    if graph_input == "waveform":
        shape = _waveform_shape(model)
    name = "log_mel" if graph_input == "log-mel" else "waveform"
    print_message(f"written: {out}, {len(exported):,} bytes; input {name} ({', '.join(map(str, shape))})")
    _print_missing_rule(classifier)
    return _file(out) | {"compared": [{**asdict(check), "on": what} for check in compared]}


def export_tflite(classifier: "Classifier", out: Path, recordings: Path | None) -> dict[str, Any]:
    """Write a `.tflite` file; return its difference from the model file in each interpreter, and its arena."""
    from scenelet.export.tflite.check import check_tflite
    from scenelet.export.tflite.file import check_tflite_exportable, tflite_bytes

    model = classifier.model
    make_folder(out.parent)
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
    _print_missing_rule(classifier)
    compared = [{**asdict(check), "on": what} for check in found.runtimes]
    return _file(out) | {"compared": compared, "arena_bytes": found.arena_bytes}


def export_program(
    classifier: "Classifier", model: str, folder: Path, layout: "Layout", recordings: Path | None
) -> dict[str, Any]:
    """Write a C program; return its memory, and in int8 its difference from the model file."""
    from scenelet.export.c.footprint import footprint
    from scenelet.export.c.project import write_project
    from scenelet.export.fused.fuse import fuse
    from scenelet.export.fused.int8_network import has_int8_form
    from scenelet.export.fused.quantize import compare_int8, quantize_model

    int8, compared = None, []
    if recordings is not None:
        calibration = _calibrate(classifier.model, recordings)
        with spinner("Rounding, and comparing with the model file"):
            int8 = quantize_model(classifier.model, calibration.ranges)
            check = compare_int8(int8, classifier, calibration.compared)
        compared = [{**asdict(check), "on": f"windows of {recordings}"}]
    kept = write_project(classifier.model, _name(model), folder, layout, int8)
    memory = footprint(classifier.model, int8 is not None)
    print_message(
        f"written: {folder}; flash {memory.constants:,} bytes and about {memory.code:,} of code,"
        f" RAM {memory.activations + memory.features:,} bytes"
    )
    for path in kept:
        print_message(f"note: {path} is unchanged, because it may have your pins; delete it to get the example again")
    _print_missing_rule(classifier)
    if int8 is None and has_int8_form(fuse(classifier.model)):
        print_message(
            "note: the network runs in float; with --int8 RECORDINGS its activations need a quarter of the RAM"
        )
    return {"folder": str(folder), **asdict(memory), "compared": compared}


def _print_missing_rule(classifier: "Classifier") -> None:
    from scenelet.export.limits import MISSING_RULE

    if classifier.model.known is not None:
        print_message(f"note: {MISSING_RULE}")


def export_page(classifier: "Classifier", model: str, folder: Path, package: Path | None) -> dict[str, Any]:
    """Write a page for a web host; return the bytes of its files."""
    from scenelet.export.web.onnxruntime_web import load_runtime
    from scenelet.export.web.site import write_site

    runtime = load_runtime(package)
    with spinner("Packing the model and the runtime"):
        files = write_site(classifier, _name(model), folder, runtime)
    sizes = {path.name: path.stat().st_size for path in files}
    loaded = sum(size for name, size in sizes.items() if not name.endswith(".txt"))
    print_message(f"written: {folder}, {len(files)} files; a browser loads {loaded:,} bytes")
    print_message(f"open {folder / 'index.html'} in a browser, or put the folder on any web host")
    return {"folder": str(folder), "bytes": sizes}


def export_card(classifier: "Classifier", model: str, out: Path) -> dict[str, Any]:
    """Write a model card."""
    from scenelet.export.model_card import model_card
    from scenelet.model.pretrained import model_path

    make_folder(out.parent)
    replace_file(out, model_card(classifier.model, out.stem, model_path(model).stat().st_size))
    print_message(f"written: {out}, {out.stat().st_size:,} bytes")
    return _file(out) | {"compared": []}


def comparison_line(one: dict[str, Any]) -> str:
    """Format the comparison in one runtime."""
    if one["largest_difference"] is None:
        return f"{one['runtime']}: cannot run it ({one['error']})"
    difference = f"probabilities within {one['largest_difference']:.3g} of the model file's"
    labels = pluralize(one["other_labels"], "other label")
    on = one["on"] if one["windows"] != 1 else one["on"].replace("windows", "window", 1)
    return f"{one['runtime']}: {difference}, {labels}, on {one['windows']} {on}"


def _file(out: Path) -> dict[str, Any]:
    return {"file": str(out), "bytes": out.stat().st_size}


def _name(model: str) -> str:
    """Return the name of a model for texts."""
    return escape_unprintable(Path(model).stem)


def _calibrate(model: "SceneModel", recordings: Path) -> "Calibration":
    """Compute activation ranges from the user's recordings; print how many were read and which were not."""
    from scenelet.cli.predict import recordings as find
    from scenelet.export.calibration import calibrate

    found = find(recordings)
    if not found:
        raise AudioError(f"{recordings}: holds no recordings (WAV, FLAC, Ogg, MP3, AIFF, ...); give another folder")
    with spinner("Calibrating"):
        calibration = calibrate(model, found)
    windows = pluralize(len(calibration.ranges), "window")
    print_message(f"activation ranges from {windows} of {pluralize(calibration.recordings, 'recording')}")
    if len(calibration.ranges) < len(model.labels):
        print_warning(
            f"warning: {windows} for {pluralize(len(model.labels), 'label')} may give wrong activation ranges;"
            " give recordings of every label"
        )
    if calibration.failures:
        left_out, first = pluralize(len(calibration.failures), "recording"), calibration.failures[0]
        print_warning(f"warning: left out {left_out} that cannot be read, the first: {first}")
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
