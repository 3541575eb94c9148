"""`scenelet listen`."""

import contextlib
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenelet.cli.options import (
    Format,
    HopOption,
    MarginOption,
    ModelArgument,
    QuietOption,
    Runtime,
    RuntimeOption,
    SmoothingOption,
    ThresholdOption,
)
from scenelet.errors import UsageError
from scenelet.utils.console import print_message, print_warning, shows_progress, stderr
from scenelet.utils.text import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from scenelet.audio.capture import LiveAudio
    from scenelet.inference.stream import SmoothedPrediction

BAR_WIDTH = 30
"""Length of a bar at probability 1, in characters."""


class SampleFormat(StrEnum):
    """Number formats of raw samples, as in `scenelet.audio.pcm.SampleFormat`."""

    s16 = "s16"
    s24 = "s24"
    s32 = "s32"
    f32 = "f32"


def listen(
    model: ModelArgument,
    source: Annotated[str | None, typer.Argument(help="Recording, or - for a pipe (default: the microphone).")] = None,
    hop: HopOption = None,
    smoothing: SmoothingOption = 2.0,
    margin: MarginOption = 0.1,
    threshold: ThresholdOption = None,
    format: Annotated[Format, typer.Option(help="Live view, or one JSON line per prediction.")] = Format.table,
    real_time: Annotated[bool, typer.Option("--real-time", help="Read a recording no faster than it plays.")] = False,
    sample_rate: Annotated[int | None, typer.Option(help="Sample rate of raw samples or the sound card, Hz.")] = None,
    channels: Annotated[
        int | None,
        typer.Option(
            min=1, max=2, help="Channels of raw samples (default: 1) or the sound card (default: the model's)."
        ),
    ] = None,
    sample_format: Annotated[
        SampleFormat | None, typer.Option(help="Number format of raw samples, little-endian (default: s16).")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Sound card: its number or a part of its name.")] = None,
    runtime: RuntimeOption = Runtime.onnxruntime,
    quiet: QuietOption = False,
) -> None:
    """Classify live sound from the microphone, a recording or a pipe."""
    from scenelet.audio.capture import pace_in_real_time
    from scenelet.inference.classifier import load
    from scenelet.inference.stream import Stream, make_smoother, smooth_predictions

    classifier = load(model, runtime=runtime.value)
    smoother = make_smoother(classifier, threshold, smoothing, margin)
    features = classifier.model.features
    own = features.channels if isinstance(features.channels, int) else features.n_channels
    _refuse_unused(source, sample_rate, channels, sample_format, device, real_time)
    sound = _open(source, sample_rate, channels, (sample_format or SampleFormat.s16).value, device, own)

    with sound:
        stream = Stream(classifier, sound.sample_rate, hop)
        blocks = pace_in_real_time(sound).blocks if real_time else sound.blocks
        decisions = smooth_predictions(stream, smoother, blocks)
        print_message(f"listening; the first answer after {stream.window_seconds:g} s of sound, Ctrl-C stops")
        try:
            if format is Format.json:
                for decision in decisions:
                    print(json.dumps(_row(decision)), flush=True)
            elif source in (None, "-") or real_time:
                _show_live(decisions)
            else:
                _print_answers(decisions, stream.window_seconds, smoothing)
        except KeyboardInterrupt:
            print_message("stopped")


def _refuse_unused(
    source: str | None,
    sample_rate: int | None,
    channels: int | None,
    sample_format: SampleFormat | None,
    device: str | None,
    real_time: bool,
) -> None:
    """Refuse options that have no effect on the chosen source."""
    recording = source not in (None, "-")
    wav = source == "-" and sample_rate is None
    unused = {
        "--device": device is not None and source is not None,
        "--sample-rate": sample_rate is not None and recording,
        "--channels": channels is not None and (recording or wav),
        "--sample-format": sample_format is not None and (source != "-" or wav),
        "--real-time": real_time and source is None,
    }
    for option, given in unused.items():
        if given:
            what = "the microphone" if source is None else "a WAV (no --sample-rate)" if wav else source
            raise UsageError(f"{option}: has no effect on {what}; leave it out")


def _open(
    source: str | None, sample_rate: int | None, channels: int | None, sample_format: str, device: str | None, own: int
) -> "LiveAudio":
    """Open the source. By default a sound card has the model's channels (`own`), and raw samples have one."""
    from scenelet.audio.capture import from_file, from_microphone, from_pipe, standard_input
    from scenelet.audio.pcm import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, SAMPLE_FORMATS, PcmFormat

    if sample_rate is not None and not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise UsageError(
            f"--sample-rate {sample_rate}: give the samples' rate in Hz, {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}"
        )
    if source is None:
        return from_microphone(
            device,
            channels or own,
            sample_rate,
            _print_loss,
        )
    if source != "-":
        return from_file(Path(source))
    chosen = next(known for known in SAMPLE_FORMATS if known == sample_format)
    return from_pipe(standard_input(), None if sample_rate is None else PcmFormat(sample_rate, channels or 1, chosen))


def _print_loss(seconds: float | None) -> None:
    amount = "some sound was" if seconds is None else f"{seconds:.1f} s of sound were"
    print_warning(f"warning: {amount} lost; the machine is too slow, give --hop a larger value")


def _row(decision: "SmoothedPrediction") -> dict[str, object]:
    """Convert a prediction for JSON."""
    return {
        "seconds": round(decision.seconds, 3),
        "label": decision.label,
        "unsure": decision.label is None,
        "confidence": decision.confidence,
        "changed": decision.changed,
        "probabilities": decision.probabilities,
    }


def _print_answers(decisions: "Iterator[SmoothedPrediction]", window_seconds: float, smoothing: float) -> None:
    """Print begin, end, answer and highest probability of each part of a recording with one answer."""
    from scenelet.inference.events import find_answers

    for start, end, label, probability in find_answers(decisions, window_seconds, smoothing):
        print(f"{clock(start)}-{clock(end)}  {label or 'unsure'}  {100 * probability:.1f} %", flush=True)


def _show_live(decisions: "Iterator[SmoothedPrediction]") -> None:
    """Show a live view on a terminal, and print a line to stdout when the answer changes."""
    from rich.console import Console
    from rich.live import Live

    out = Console(highlight=False)
    # if both go to the same terminal, the same console must draw both, or they overwrite each other
    drawn_by = out if out.is_terminal else stderr()
    view = Live(console=drawn_by, transient=True, refresh_per_second=8) if shows_progress() else None
    with view or contextlib.nullcontext():
        for decision in decisions:
            if decision.changed:
                text = "unsure" if decision.label is None else decision.label
                out.print(f"{clock(decision.seconds)}  {text}  {100 * decision.confidence:.1f} %", markup=False)
            if view is not None:
                view.update(_view(decision))


def _view(decision: "SmoothedPrediction") -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    title = "unsure" if decision.label is None else decision.label
    rows = Table(box=None, show_header=False, title=f"{clock(decision.seconds)}  {title}", title_justify="left")
    for label, probability in sorted(decision.probabilities.items(), key=lambda item: -item[1]):
        bar = "\u2588" * round(BAR_WIDTH * probability)
        rows.add_row(Text(label), Text(f"{bar:<{BAR_WIDTH}}"), f"{100 * probability:5.1f} %")
    return rows
