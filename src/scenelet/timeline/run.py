"""Run or resume a timeline: find the events of each recording, then write tables, labels and the page."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scenelet.audio.io import blocks, info
from scenelet.errors import AudioError, escape_unprintable
from scenelet.inference.classifier import Classifier
from scenelet.inference.events import find_events
from scenelet.inference.runtimes import RuntimeName
from scenelet.inference.stream import Stream, make_smoother, smooth_predictions
from scenelet.model.file import decode_model, read_bytes
from scenelet.model.pretrained import model_path
from scenelet.timeline.page import PAGE, timeline_page
from scenelet.timeline.recording_time import recording_start
from scenelet.timeline.results import (
    RecordingEvents,
    TimelineSettings,
    check_folder,
    read_finished,
    start_folder,
    write_finished,
)
from scenelet.timeline.tables import LABELS, label_files, segments_csv
from scenelet.utils.console import print_message, print_warning, track
from scenelet.utils.files import make_folder, replace_files
from scenelet.utils.locks import file_lock
from scenelet.utils.parallel import cpu_count
from scenelet.utils.text import pluralize

SEGMENTS = "segments.csv"


@dataclass(frozen=True)
class Timeline:
    """Result of `make_timeline`.

    Attributes:
        recordings: the recordings that could be read, with their events, in the order of time.
        failed: number of recordings that could not be read.
    """

    recordings: tuple[RecordingEvents, ...]
    failed: int


def make_timeline(
    model: str,
    recordings: Sequence[Path],
    out: Path,
    *,
    hop_seconds: float | None = None,
    smooth_seconds: float = 2.0,
    margin: float = 0.1,
    threshold: float | None = None,
    min_seconds: float = 0.0,
    runtime: RuntimeName = "onnxruntime",
) -> Timeline:
    """Find the events in long recordings and write them to a folder.

    The folder gets `segments.csv`, labels for Audacity and Raven, and `timeline.html`. Each recording is stored when it
    is finished. To resume an interrupted run, call the function again with the same arguments.

    Args:
        model: path of a model file, or the name of a built-in model.
        recordings: paths of the recordings. One that is listed twice is read once.
        out: the folder.
        hop_seconds: as `scenelet.inference.stream.Stream`.
        smooth_seconds, margin, threshold: as `scenelet.inference.stream.make_smoother`.
        min_seconds: minimum length of an event; shorter ones are left out.
        runtime: library that runs the network.

    Raises:
        SceneletError: the model, a setting or the folder cannot be used. A recording that cannot be read is reported,
            and the others are processed.

    Examples:
        >>> timeline = make_timeline("esc10", [Path("garden.wav")], Path("events"))  # doctest: +SKIP
    """
    recordings = list({os.path.abspath(path): path for path in recordings}.values())
    data = read_bytes(model_path(model))
    classifier = Classifier(decode_model(data, model), runtime=runtime, callers=cpu_count())
    Stream(classifier, classifier.model.features.sample_rate, hop_seconds)  # checks the settings before the work
    make_smoother(classifier, threshold, smooth_seconds, margin)
    settings = TimelineSettings(
        model=hashlib.sha256(data).hexdigest(),
        hop_seconds=hop_seconds,
        smooth_seconds=smooth_seconds,
        margin=margin,
        threshold=threshold,
        runtime=runtime,
    )
    check_folder(out, settings)
    make_folder(out)
    with file_lock(out / ".lock", f"{out}: another timeline is being written to it; wait until it ends"):
        start_folder(out, settings)
        found = _process(classifier, recordings, out, settings)
        if found:
            found = [_without_short(result, min_seconds) for result in found]
            _write(classifier, Path(model).name, found, out)
    return Timeline(tuple(found), len(recordings) - len(found))


def _process(
    classifier: Classifier, recordings: Sequence[Path], out: Path, settings: TimelineSettings
) -> list[RecordingEvents]:
    """Find the events of all recordings, except those that are finished; return those of all that can be read."""
    finished = {path: stored for path in recordings if (stored := read_finished(out, path))}
    pending = [path for path in recordings if path not in finished]
    if finished and pending:
        print_message(f"{out}: {len(finished):,} of {pluralize(len(recordings), 'recording')} are done; resuming")
    results = (_find_events(classifier, path, settings) for path in pending)
    for path, result in zip(pending, track(results, "Listening", len(pending)), strict=True):
        if isinstance(result, AudioError):
            print_warning(f"error: {result}")
        else:
            write_finished(out, path, result)
            finished[path] = result
    return sorted(finished.values(), key=_order)


def _order(result: RecordingEvents) -> tuple[bool, str, str]:
    """Return a key that sorts recordings by their wall-clock time, and those without one by name at the end."""
    return result.start is None, result.start.replace(tzinfo=None).isoformat() if result.start else "", str(result.path)


def _find_events(classifier: Classifier, path: Path, settings: TimelineSettings) -> RecordingEvents | AudioError:
    """Find the events of a recording in constant memory; return the error if it cannot be read."""
    try:
        header = info(path)
        status = path.stat()
        stream = Stream(classifier, header.sample_rate, settings.hop_seconds, threads=classifier.callers)
        smoother = make_smoother(classifier, settings.threshold, settings.smooth_seconds, settings.margin)
        predictions = smooth_predictions(stream, smoother, (samples for samples, _ in blocks(path)))
        background = classifier.model.background
        events = tuple(find_events(predictions, stream.window_seconds, background, settings.smooth_seconds))
        return RecordingEvents(
            path=path,
            bytes=status.st_size,
            modified_ns=status.st_mtime_ns,
            seconds=stream.seconds,
            sample_rate=header.sample_rate,
            start=recording_start(path),
            events=events,
        )
    except AudioError as error:
        return error
    except OSError as error:
        return AudioError(f"{escape_unprintable(str(path))}: cannot be read ({error.strerror or error})")


def _without_short(result: RecordingEvents, min_seconds: float) -> RecordingEvents:
    """Leave out the events that are shorter than `min_seconds`."""
    kept = tuple(event for event in result.events if event.end - event.start >= min_seconds)
    return result.model_copy(update={"events": kept})


def _write(classifier: Classifier, model: str, found: Sequence[RecordingEvents], out: Path) -> None:
    """Write the tables, the labels and the page of all recordings, together."""
    make_folder(out / LABELS)
    files = {out / LABELS / name: text for name, text in label_files(found, classifier.model.features).items()}
    page, pictures = timeline_page(classifier.model, model, found, out / PAGE)
    files |= {out / name: text for name, text in pictures.items()}
    replace_files(files | {out / SEGMENTS: segments_csv(found), out / PAGE: page})
