"""Time live prediction on one core, and compare its probabilities with those of the file.

    python -m benchmarks.speed.live RECORDINGS

An untrained network of the paper's size (`shared_resnet`, width 64; stereo, 22,050 Hz, 256 bands, windows of 10 s)
and the built-in model classify the recordings of a folder, joined to a minute, through
`scenelet.inference.stream.Stream`: a hop of 1 s, blocks of 0.1 s, one thread on one core. The Markdown table shows
the milliseconds per hop, from samples to probabilities, and the largest difference from the windows of the same
minute as a file.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.speed.inputs import MODEL, write_benchmark_model
from scenelet.audio import windows as audio
from scenelet.audio.io import EXTENSIONS, read
from scenelet.inference.classifier import Classifier, load
from scenelet.inference.stream import Stream

SECONDS, HOP, BLOCK = 60, 1.0, 0.1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recordings", type=Path)
    options = parser.parse_args()
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    with tempfile.TemporaryDirectory() as scratch:
        minute = Path(scratch) / "minute.wav"
        join(options.recordings, minute)
        write_benchmark_model(Path(scratch))
        print("| model | window, s | hops | ms a hop: median (95 %) | largest difference from the file |")
        print("|---|---|---|---|---|")
        for name, path in (("of the paper's size, untrained", str(Path(scratch) / MODEL)), ("esc10", "esc10")):
            measure(name, load(path, threads=1), minute)


def join(folder: Path, out: Path) -> None:
    """Join recordings of one sample rate to a minute or a little more."""
    found = sorted(f for f in folder.rglob("*") if f.suffix.lower() in EXTENSIONS)
    first, rate = read(found[0])
    parts, length = [first], first.shape[1]
    for file in found[1:]:
        if length >= SECONDS * rate:
            break
        samples, other = read(file)
        if other == rate and len(samples) == len(first):
            parts.append(samples)
            length += samples.shape[1]
    soundfile.write(out, np.concatenate(parts, axis=1).T, rate, subtype="FLOAT")


def measure(name: str, classifier: Classifier, minute: Path) -> None:
    """Print a row."""
    samples, rate = read(minute)
    size = round(BLOCK * rate)
    blocks = [samples[:, start : start + size] for start in range(0, samples.shape[1], size)]
    warm = Stream(classifier, rate, HOP)
    for block in blocks[:150]:
        list(warm.push(block))
    stream, live, took, spent = Stream(classifier, rate, HOP), [], [], 0.0
    for block in blocks:
        begin = time.perf_counter()
        moments = list(stream.push(block))
        spent += time.perf_counter() - begin
        if moments:
            live += moments
            took.append(1000 * spent)
            spent = 0.0
    live += stream.finish()
    features, window = classifier.model.features, classifier.model.window.model_copy(update={"hop_seconds": HOP})
    cuts = list(audio.windows(minute, features, window))
    assert len(cuts) == len(live)
    offline = np.stack([classifier.predict_window(cut).probabilities for cut in cuts])
    difference = np.abs(offline - np.stack([moment.probabilities for moment in live])).max()
    hops = took[1:]  # the first one has all that was heard before it
    row = f"{statistics.median(hops):.1f} ({np.quantile(hops, 0.95):.1f})"
    print(f"| {name} | {window.seconds:g} | {len(hops)} | {row} | {difference:.1e} |")


if __name__ == "__main__":
    main()
