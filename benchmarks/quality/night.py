"""Make a night of real recordings with sounds at known times, and count what `scenelet timeline` finds in it.

    python -m benchmarks.quality.night MODEL.scn [MODEL.scn ...] --data ESC10 --fold 1 --background FOLDER --out NIGHT

It plays random parts of the background recordings one after the other, at random levels and with soft transitions. Each
clip of the fold is added once, at a random time and signal-to-noise ratio. The recordings last an hour each, and have
names as an AudioMoth gives them. An existing night in NIGHT/recordings is used again. With `--empty` and no model, it
makes background without clips, for `scenelet evaluate --background`.

It then runs `scenelet timeline` for each model, as a user would, and prints a Markdown table.

- found: an event of the clip's class overlaps its sound, which may be `COLLAR_SECONDS` longer at either end.
- wrong: only events of other classes do. missed: none does.
- false alarm: an event that overlaps no clip's sound. The interval of their rate is exact for a Poisson process.
"""

import argparse
import csv
import datetime
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from scenelet.audio.io import read
from scenelet.audio.windows import sound_span
from scenelet.data.clips import Clip
from scenelet.data.load import load_table
from scenelet.errors import DataError, SceneletError
from scenelet.evaluation.bootstrap import interval_text
from scenelet.evaluation.false_alarms import poisson_interval
from scenelet.utils.console import track

RATE = 44100
HOUR = 3600
START = datetime.datetime(2024, 5, 1, 21)
PART_SECONDS = 20, 90
"""Minimum and maximum length of a part of a background recording. Shorter recordings are repeated."""
FADE_SECONDS = 2.0
LEVEL_DB = -45, -30
"""Root mean square of the background, dB below full scale."""
SNR_DB = 0, 20
"""Level of a clip's sound above the background around it, dB."""
GAP_SECONDS = 60
"""Minimum time between the begins of two clips."""
COLLAR_SECONDS = 2.0
Signal = NDArray[np.float32]


class Truth(NamedTuple):
    """Sound of a clip in a recording: its file, begin and end in seconds, and class."""

    file: str
    start: float
    end: float
    label: str


class Counts(NamedTuple):
    """What was found of the clips, and events without a clip."""

    found: int
    wrong: int
    missed: int
    false_alarms: int


def load_mono(path: Path) -> Signal:
    """Return the samples of a recording as mono at `RATE`."""
    samples, rate = read(path)
    return np.asarray(soxr.resample(samples.mean(axis=0), rate, RATE), np.float32)


def level(signal: Signal) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64)))) or 1e-9


def background_hour(recordings: Sequence[Signal], rng: np.random.Generator) -> Signal:
    """Return an hour of random parts of the recordings with soft transitions."""
    fade = round(FADE_SECONDS * RATE)
    ramp = np.sin(np.linspace(0, np.pi / 2, fade, dtype=np.float32))
    hour, start = np.zeros(HOUR * RATE + fade, np.float32), 0
    while start < HOUR * RATE:
        recording = recordings[rng.integers(len(recordings))]
        length = round(rng.uniform(*PART_SECONDS) * RATE)
        first = rng.integers(len(recording))
        part = np.take(recording, np.arange(first, first + length), mode="wrap")
        part *= 10 ** (rng.uniform(*LEVEL_DB) / 20) / level(part)
        part[:fade] *= ramp
        part[-fade:] *= ramp[::-1]
        end = min(start + length, len(hour))
        hour[start:end] += part[: end - start]
        start += length - fade
    return hour[: HOUR * RATE]


def draw_times(count: int, seconds: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return `count` sorted times that are at least `GAP_SECONDS` apart, and a gap before the end."""
    free = seconds - (count + 1) * GAP_SECONDS
    if free < 0:
        raise DataError(f"{count} clips need {(count + 1) * GAP_SECONDS} s; give more --hours")
    return np.sort(rng.uniform(0, free, count)) + GAP_SECONDS * np.arange(1, count + 1)


def make_night(clips: Sequence[Clip], background: Path, hours: int, seed: int, folder: Path) -> None:
    """Write the recordings and their `truth.csv` into a folder."""
    rng = np.random.default_rng(seed)
    recordings = [load_mono(path) for path in sorted(background.iterdir()) if path.is_file()]
    starts = draw_times(len(clips), hours * HOUR, rng)
    # no clip crosses the border of two recordings
    starts = np.where(starts % HOUR > HOUR - GAP_SECONDS / 2, starts - GAP_SECONDS / 2, starts)
    order = rng.permutation(len(clips))
    folder.mkdir(parents=True)
    truth = []
    for hour in track(range(hours), "Making the night", hours):
        name = f"{START + datetime.timedelta(hours=hour):%Y%m%d_%H%M%S}.WAV"
        signal = background_hour(recordings, rng)
        for index in np.flatnonzero(starts // HOUR == hour):
            clip = clips[order[index]]
            begin = starts[index] % HOUR
            sound = load_mono(clip.path)
            first, last = sound_span(sound[None], 40, 1)
            position = round(begin * RATE)
            around = level(signal[position : position + len(sound)])
            gain = around * 10 ** (rng.uniform(*SNR_DB) / 20) / level(sound[first:last])
            signal[position : position + last - first] += gain * sound[first:last]
            truth.append(Truth(name, begin, begin + (last - first) / RATE, clip.label))
        soundfile.write(folder / name, signal.clip(-1, 1), RATE, "PCM_16")
    with (folder / "truth.csv").open("w", newline="") as file:
        csv.writer(file).writerows([Truth._fields, *truth])


def read_events(path: Path, columns: Sequence[str]) -> list[Truth]:
    """Read file name, begin, end and label of each row of a CSV."""
    with path.open(newline="") as file:
        rows = [[row[column] for column in columns] for row in csv.DictReader(file)]
    return [Truth(Path(name).name, float(start), float(end), label) for name, start, end, label in rows]


def overlapping(event: Truth, others: Sequence[Truth]) -> Iterator[Truth]:
    """Yield the other events that overlap one, with `COLLAR_SECONDS` to spare."""
    for other in others:
        early, late = event.start - COLLAR_SECONDS, event.end + COLLAR_SECONDS
        if other.file == event.file and other.start < late and other.end > early:
            yield other


def count_events(truth: Sequence[Truth], events: Sequence[Truth]) -> Counts:
    """Compare the events of a timeline with the truth."""
    heard = [{event.label for event in overlapping(sound, events)} for sound in truth]
    found = sum(sound.label in labels for sound, labels in zip(truth, heard, strict=True))
    missed = sum(not labels for labels in heard)
    false_alarms = sum(not any(overlapping(event, truth)) for event in events)
    return Counts(found, len(truth) - found - missed, missed, false_alarms)


def run_timeline(model: str, recordings: Path, out: Path) -> tuple[float, float]:
    """Run the command; return its seconds and its maximum memory in MB."""
    command = [sys.executable, "-m", "scenelet", "timeline", model, str(recordings), "--out", str(out), "--quiet"]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise DataError(f"{' '.join(command)}: failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main() -> None:
    """Make the night, if it is missing, and print one row per model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--data", type=Path, required=True, help="data set with folds")
    parser.add_argument("--fold", required=True, help="fold whose clips are added")
    parser.add_argument("--background", type=Path, required=True, help="folder of recordings of none of the classes")
    parser.add_argument("--empty", action="store_true", help="add no clips")
    parser.add_argument("--hours", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    recordings = options.out / "recordings"
    try:
        if not recordings.exists():
            clips = [clip for clip in load_table(options.data).clips if clip.fold == options.fold and not options.empty]
            make_night(clips, options.background, options.hours, options.seed, recordings)
        truth = read_events(recordings / "truth.csv", Truth._fields)
        hours = len(list(recordings.glob("*.WAV")))
        if not options.models:
            return
        print("| model | clips | found | wrong | missed | false alarms per hour | s per hour | memory, MB |")
        print("|---|---|---|---|---|---|---|---|")
        for model in options.models:
            out = options.out / Path(model).stem
            seconds, memory = run_timeline(model, recordings, out)
            events = read_events(out / "segments.csv", ("file", "start_seconds", "end_seconds", "label"))
            counts = count_events(truth, events)
            rate = interval_text(asdict(poisson_interval(counts.false_alarms, hours)), 2)
            cells = f"{len(truth)} | {counts.found} | {counts.wrong} | {counts.missed} | {rate}"
            print(f"| {Path(model).stem} | {cells} | {seconds / hours:.1f} | {memory:.0f} |", flush=True)
    except SceneletError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
