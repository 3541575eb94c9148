"""Check that the occlusion map points to the band that separates the classes of synthetic clips, 2 to 4 kHz.

    python -m benchmarks.quality.occlusion --seed 0 --json occlusion.json

It trains a network on synthetic clips of two classes, compresses it, and computes the occlusion map of 100 unseen
clips with 18 bands. There are three kinds of clips. `level` clips are loud either from 2 to 2.8 kHz or from 2.8 to 4
kHz. `pattern` clips have a tone that sweeps from 2 to 4 kHz, either up or down. `absence` clips have noise from 2 to
4 kHz, or none. Sounds in other bands have the same distribution in both classes. The benchmark prints a Markdown
table, and needs the extra `[train]`.
"""

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from scenelet.config.recipes import load_recipe
from scenelet.inference.classifier import load
from scenelet.inference.occlusion import occlusion_map
from scenelet.training.compression.compress import compress
from scenelet.training.train import train
from scenelet.utils.files import replace_file

RATE, SECONDS = 16000, 2.0
LOW_HZ, HIGH_HZ = 2000.0, 4000.0
MIDDLE_HZ = (LOW_HZ * HIGH_HZ) ** 0.5
UNSEEN = 100
SETTINGS = ["features.sample_rate=16000", "window.seconds=2"]
BANDS = 18  # of 16 kHz's 128 mel bands; two of their edges lie near 2 and 4 kHz (2000 and 3930 Hz)
KINDS = ("level", "pattern", "absence")

Signal = NDArray[np.float64]


def noise(rng: np.random.Generator, keep: Callable[[Signal], NDArray[np.bool_]], tilt: float = 0.0) -> Signal:
    """Return noise with unit standard deviation in selected frequencies; its power falls by `tilt` dB per octave."""
    spectrum = np.fft.rfft(rng.standard_normal(int(RATE * SECONDS)))
    hz = np.fft.rfftfreq(int(RATE * SECONDS), 1 / RATE)
    spectrum *= keep(hz) * np.maximum(hz, 50.0) ** (-tilt / 6.02)
    signal = np.fft.irfft(spectrum)
    return signal / signal.std()


def swelling(rng: np.random.Generator, per_second: float) -> Signal:
    """Return an envelope between 0.1 and 1 that swells `per_second` times per second, with a random phase."""
    t = np.arange(int(RATE * SECONDS)) / RATE
    return 0.55 + 0.45 * np.sin(2 * np.pi * (per_second * t + rng.uniform()))


def sweeps(rng: np.random.Generator, low_hz: float, high_hz: float, rising: bool) -> Signal:
    """Return a tone that sweeps through a band two to four times per second, with a random start."""
    t = np.arange(int(RATE * SECONDS)) / RATE
    position = (rng.uniform(2, 4) * t + rng.uniform()) % 1
    hz = low_hz * (high_hz / low_hz) ** (position if rising else 1 - position)
    return np.sin(2 * np.pi * np.cumsum(hz) / RATE)


def gain(rng: np.random.Generator, low_db: float, high_db: float) -> float:
    """Draw a factor between two levels in dB."""
    return float(10 ** (rng.uniform(low_db, high_db) / 20))


def background(rng: np.random.Generator) -> Signal:
    """Return sound outside of the band that does not depend on the class: noise, tones and sweeps."""
    t = np.arange(int(RATE * SECONDS)) / RATE
    sound = noise(rng, lambda hz: (hz < LOW_HZ) | (hz > HIGH_HZ), rng.uniform(-3, 6))
    if rng.uniform() < 0.7:
        sound = sound * swelling(rng, rng.uniform(0.5, 12))
    for _ in range(rng.integers(1, 6)):
        hz = rng.uniform(100, 1900) if rng.uniform() < 0.5 else rng.uniform(4100, 7900)
        tone = np.sin(2 * np.pi * (hz * t + rng.uniform())) * swelling(rng, rng.uniform(0.5, 12))
        sound = sound + gain(rng, -20, 6) * tone
    for low_hz, high_hz in ((300, 1700), (4400, 7800)):
        if rng.uniform() < 0.5:
            sound = sound + gain(rng, -10, 2) * sweeps(rng, low_hz, high_hz, bool(rng.uniform() < 0.5))
    return sound * gain(rng, -6, 6)


def clip(rng: np.random.Generator, kind: str, label: str) -> Signal:
    """Return a clip of a class. Classes differ only from 2 to 4 kHz."""
    if kind == "pattern":
        band = gain(rng, -10, 2) * sweeps(rng, LOW_HZ, HIGH_HZ, rising=label == "a")
    elif kind == "absence":
        level = gain(rng, -8, 2) if label == "a" else gain(rng, -40, -30)
        band = level * noise(rng, lambda hz: (hz >= LOW_HZ) & (hz <= HIGH_HZ)) * swelling(rng, rng.uniform(0.5, 12))
    else:
        loud, quiet = gain(rng, -8, 2), gain(rng, -30, -20)
        lower, upper = (loud, quiet) if label == "a" else (quiet, loud)
        band = lower * noise(rng, lambda hz: (hz >= LOW_HZ) & (hz < MIDDLE_HZ)) * swelling(rng, rng.uniform(0.5, 12))
        band += upper * noise(rng, lambda hz: (hz >= MIDDLE_HZ) & (hz <= HIGH_HZ)) * swelling(rng, rng.uniform(0.5, 12))
    # if clips were scaled to their peaks, the background would depend on the level of the band
    return 0.03 * (background(rng) + band)


def make_clips(root: Path, kind: str, seed: int, training: int) -> None:
    """Write `clips.csv` and its recordings: training and unseen clips, half of each class."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    root.mkdir(parents=True)
    rows = ["filename,label,split,source"]
    for i in range(training + UNSEEN):
        label, split = "ab"[i % 2], "train" if i < training else "test"
        soundfile.write(root / f"{i:03}.flac", clip(rng, kind, label), RATE)
        rows.append(f"{i:03}.flac,{label},{split},made")
    (root / "clips.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def measure(kind: str, seed: int, training: int) -> dict[str, Any]:
    """Train on one kind, and count over the unseen clips where the map points."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "clips"
        make_clips(root, kind, seed, training)
        os.environ["SCENELET_CACHE"] = str(Path(folder) / "cache")
        config = load_recipe("demo", [*SETTINGS, f"seed={seed}"])
        train(root, Path(folder) / "run", config, recipe="demo")
        compressed = compress(Path(folder) / "run", Path(folder) / "m.scn")
        classifier = load(Path(folder) / "m.scn")
        centers: dict[str, Counter[int]] = {label: Counter() for label in classifier.labels}
        for i in range(training, training + UNSEEN):
            (log_mel,) = classifier.log_mel_windows(root / f"{i:03}.flac")
            answer = int(classifier.probabilities(log_mel[None])[0].argmax())
            found = occlusion_map(classifier, log_mel, answer, bands=BANDS, grid=False)
            largest = int(found.by_band.argmax())
            center = round(float(found.edges_hz[largest : largest + 2].mean()))
            centers[classifier.labels[answer]][center] += 1
    return {
        "kind": kind,
        "seed": seed,
        "training": training,
        "unseen": UNSEEN,
        "accuracy": compressed["compressed"]["test"]["accuracy"],
        "answers": {label: own.total() for label, own in centers.items()},
        "in_band": {
            label: sum(n for hz, n in own.items() if LOW_HZ <= hz <= HIGH_HZ) for label, own in centers.items()
        },
        "largest_at_hz": {label: {str(hz): own[hz] for hz in sorted(own)} for label, own in centers.items()},
    }


def main() -> None:
    """Measure, print the table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of clips and training")
    parser.add_argument("--training", type=int, default=600, help="clips to train on")
    parser.add_argument("--kind", choices=KINDS, action="append", help="all unless given")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    results = [measure(kind, options.seed, options.training) for kind in options.kind or KINDS]
    print(
        "| what tells | accuracy, % | points to 2 to 4 kHz | answers a | answers b |\n| --- | --- | --- | --- | --- |"
    )
    for row in results:
        found, answers = row["in_band"], row["answers"]
        of_labels = " | ".join(f"{found[label]} of {answers[label]}" for label in answers)
        accuracy = f"{100 * row['accuracy']:.1f}"
        print(f"| {row['kind']} | {accuracy} | {sum(found.values())} of {row['unseen']} | {of_labels} |")
    if options.json is not None:
        replace_file(options.json, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
