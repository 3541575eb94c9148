"""`scenelet listen`."""

import contextlib
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenelet.cli.options import MODEL_HELP, Format, Runtime
from scenelet.errors import UsageError
from scenelet.utils.console import print_message, print_warning, shows_progress, stderr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from scenelet.audio.capture import LiveAudio
    from scenelet.inference.stream import SmoothedPrediction

BAR = 30  # letters


class SampleFormat(StrEnum):
    """`scenelet.audio.pcm.SampleFormat`."""

    s16 = "s16"
    s24 = "s24"
    s32 = "s32"
    f32 = "f32"


def listen(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    source: Annotated[str | None, typer.Argument(help="Recording, or - for a pipe; none: the microphone.")] = None,
    hop: Annotated[float | None, typer.Option(help="Seconds from one answer to the next; 1, or a window.")] = None,
    smoothing: Annotated[float, typer.Option(help="Seconds that the probabilities are averaged over.")] = 2.0,
    margin: Annotated[float, typer.Option(help="How much more probable another label must be to be told.")] = 0.1,
    threshold: Annotated[
        float | None, typer.Option(help="Less probable answers are unsure; the model's own threshold by default.")
    ] = None,
    format: Annotated[Format, typer.Option(help="A live view, or a JSON line an answer.")] = Format.table,
    real_time: Annotated[bool, typer.Option("--real-time", help="Play a recording no faster than it sounds.")] = False,
    sample_rate: Annotated[int | None, typer.Option(help="Hz of raw samples in a pipe, or of the sound card.")] = None,
    channels: Annotated[
        int | None, typer.Option(min=1, max=2, help="Of raw samples, 1 by default, or of the sound card.")
    ] = None,
    sample_format: Annotated[
        SampleFormat | None, typer.Option(help="Of raw samples, little-endian; s16 by default.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Sound card: a number or part of a name.")] = None,
    runtime: Annotated[Runtime, typer.Option(help="What runs the network.")] = Runtime.onnxruntime,
) -> None:
    """Listen live: to the microphone, a recording or a pipe."""
    from scenelet.audio.capture import pace_in_real_time
    from scenelet.inference.classifier import load
    from scenelet.inference.stream import PredictionSmoother, Stream

    classifier = load(model, runtime=runtime.value)
    least = classifier.threshold if threshold is None else threshold
    decider = PredictionSmoother(classifier.labels, least, smoothing, margin)
    own = 1 if classifier.model.features.channels == "mono" else 2
    _refuse_unused(source, sample_rate, channels, sample_format, device, real_time)
    sound = _open(source, sample_rate, channels, (sample_format or SampleFormat.s16).value, device, own)
    stream = Stream(classifier, sound.sample_rate, hop)
    if real_time:
        sound = pace_in_real_time(sound)
    print_message(f"listening; the first answer after {stream.window_seconds:g} s of sound, Ctrl-C stops")

    def decisions() -> "Iterator[SmoothedPrediction]":
        for block in sound.blocks:
            yield from map(decider.update, stream.push(block))
        yield from map(decider.update, stream.finish())

    try:
        if format is Format.json:
            for decision in decisions():
                print(json.dumps(_row(decision)), flush=True)
        else:
            _show(decisions())
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
    """Refuse options that say nothing of the sound that is asked for."""
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
            raise UsageError(f"{option}: says nothing of {what}; leave it out")


def _open(
    source: str | None, sample_rate: int | None, channels: int | None, sample_format: str, device: str | None, own: int
) -> "LiveAudio":
    """The sound; of a card as many channels as the model's `own`, of raw samples one, unless told."""
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
            lambda seconds: print_warning(f"warning: {seconds:.1f} s of sound were lost"),
        )
    if source != "-":
        return from_file(Path(source))
    chosen = next(one for one in SAMPLE_FORMATS if one == sample_format)
    return from_pipe(standard_input(), None if sample_rate is None else PcmFormat(sample_rate, channels or 1, chosen))


def _row(decision: "SmoothedPrediction") -> dict[str, object]:
    """A JSON line."""
    return {
        "seconds": round(decision.seconds, 3),
        "label": decision.label,
        "unsure": decision.label is None,
        "confidence": decision.confidence,
        "changed": decision.changed,
        "probabilities": decision.probabilities,
    }


def _show(decisions: "Iterator[SmoothedPrediction]") -> None:
    """A live view on a terminal, and a line on stdout each time that the answer changes."""
    from rich.console import Console
    from rich.live import Live

    out = Console(highlight=False)
    # on one terminal both are drawn by one console, or they would overwrite each other
    drawn_by = out if out.is_terminal else stderr()
    view = Live(console=drawn_by, transient=True, refresh_per_second=8) if shows_progress() else None
    with view or contextlib.nullcontext():
        for decision in decisions:
            if decision.changed:
                text = "unsure" if decision.label is None else decision.label
                out.print(f"{_clock(decision.seconds)}  {text}  {100 * decision.confidence:.1f} %", markup=False)
            if view is not None:
                view.update(_view(decision))


def _view(decision: "SmoothedPrediction") -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    title = "unsure" if decision.label is None else decision.label
    rows = Table(box=None, show_header=False, title=f"{_clock(decision.seconds)}  {title}", title_justify="left")
    for label, share in sorted(decision.probabilities.items(), key=lambda item: -item[1]):
        bar = "\u2588" * round(BAR * share)
        rows.add_row(Text(label), Text(f"{bar:<{BAR}}"), f"{100 * share:5.1f} %")
    return rows


def _clock(seconds: float) -> str:
    """`75` -> `"1:15"`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
