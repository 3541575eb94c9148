"""Does the occlusion map point to what tells the classes apart? Made clips, where only 2 to 4 kHz does.

    python bench/occlusion.py --seed 0 --json occlusion.json

Trains a network on made clips of two classes, compresses it, and asks for 100 clips that it has not heard which
part of the bands speaks most for the answer. Two kinds of clips: `level`, where what sounds from 2 to 4 kHz is quiet or
loud, and `pattern`, where it swells slowly or quickly and is as loud. Needs what training needs.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from scenelet.classifier import load
from scenelet.files import replace_file
from scenelet.occlusion import occlusion_map
from scenelet.recipes import load_recipe
from scenelet.workflows.compress import compress
from scenelet.workflows.fit import fit

RATE, SECONDS = 16000, 2.0
LOW_HZ, HIGH_HZ = 2000.0, 4000.0
TRAINING, UNSEEN = 300, 100
SETTINGS = ["features.sample_rate=16000", "features.n_mels=64", "window.seconds=2"]

Signal = NDArray[np.float64]


def noise(rng: np.random.Generator, keep: Callable[[Signal], NDArray[np.bool_]], tilt: float = 0.0) -> Signal:
    """Noise of unit deviation in the frequencies (Hz) that are kept, its power falling by `tilt` dB an octave."""
    spectrum = np.fft.rfft(rng.standard_normal(int(RATE * SECONDS)))
    hz = np.fft.rfftfreq(int(RATE * SECONDS), 1 / RATE)
    spectrum *= keep(hz) * np.maximum(hz, 50.0) ** (-tilt / 6.02)
    signal = np.fft.irfft(spectrum)
    return signal / signal.std()


def swelling(rng: np.random.Generator, per_second: float) -> Signal:
    """An envelope between 0.1 and 1 that swells so often, at a random phase."""
    t = np.arange(int(RATE * SECONDS)) / RATE
    return 0.55 + 0.45 * np.sin(2 * np.pi * (per_second * t + rng.uniform()))


def outside(hz: Signal) -> NDArray[np.bool_]:
    """Everything but the band that tells."""
    return (hz < LOW_HZ) | (hz > HIGH_HZ)


def background(rng: np.random.Generator) -> Signal:
    """What says nothing of the class: noise outside the band, of any tilt, steady or swelling, and some tones."""
    t = np.arange(int(RATE * SECONDS)) / RATE
    sound = noise(rng, outside, rng.uniform(-3, 6))
    if rng.uniform() < 0.7:
        sound = sound * swelling(rng, rng.uniform(0.5, 12))
    for _ in range(rng.integers(1, 6)):
        hz = rng.uniform(100, 1900) if rng.uniform() < 0.5 else rng.uniform(4100, 7900)
        tone = np.sin(2 * np.pi * (hz * t + rng.uniform())) * swelling(rng, rng.uniform(0.5, 12))
        sound = sound + 10 ** (rng.uniform(-20, 6) / 20) * tone
    return sound * 10 ** (rng.uniform(-6, 6) / 20)


def clip(rng: np.random.Generator, kind: str, label: str) -> Signal:
    """A clip of a class; classes differ from 2 to 4 kHz and nowhere else."""
    band = noise(rng, lambda hz: ~outside(hz))
    if kind == "level":
        band *= swelling(rng, rng.uniform(0.5, 12)) * 10 ** (
            rng.uniform(*((-24, -14) if label == "a" else (-8, 2))) / 20
        )
    else:
        rate = rng.uniform(1, 2) if label == "a" else rng.uniform(6, 10)
        band *= swelling(rng, rate) * 10 ** (rng.uniform(-16, 2) / 20)
    # one gain for all: scaled to its peak, a clip's background would tell how loud the band is
    return 0.03 * (background(rng) + band)


def make_clips(root: Path, kind: str, seed: int) -> None:
    """`clips.csv` and its recordings: training and unseen clips, half of each class."""
    rng = np.random.default_rng([seed, ("level", "pattern").index(kind)])
    root.mkdir(parents=True)
    rows = ["filename,label,split,source"]
    for i in range(TRAINING + UNSEEN):
        label, split = "ab"[i % 2], "train" if i < TRAINING else "test"
        soundfile.write(root / f"{i:03}.flac", clip(rng, kind, label), RATE)
        rows.append(f"{i:03}.flac,{label},{split},made")
    (root / "clips.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def measure(kind: str, seed: int) -> dict[str, Any]:
    """Train on one kind, and count over the unseen clips where the map points."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "clips"
        make_clips(root, kind, seed)
        config = load_recipe("demo", [*SETTINGS, f"seed={seed}"])
        fit(root, Path(folder) / "run", config, recipe="demo", cache_dir=Path(folder) / "cache")
        compressed = compress(Path(folder) / "run", Path(folder) / "m.scn", cache_dir=Path(folder) / "cache")
        classifier = load(Path(folder) / "m.scn")
        centres: Counter[int] = Counter()
        for i in range(TRAINING, TRAINING + UNSEEN):
            (log_mel,) = classifier.log_mel_windows(root / f"{i:03}.flac")
            answer = int(classifier.probabilities(log_mel[None])[0].argmax())
            found = occlusion_map(classifier, log_mel, answer, grid=False)
            largest = int(found.by_band.argmax())
            centres[round(float(found.edges_hz[largest : largest + 2].mean()))] += 1
    return {
        "kind": kind,
        "seed": seed,
        "unseen": UNSEEN,
        "accuracy": compressed["compressed"]["test"]["accuracy"],
        "in_band": sum(count for hz, count in centres.items() if LOW_HZ <= hz <= HIGH_HZ),
        "largest_at_hz": {str(hz): centres[hz] for hz in sorted(centres)},
    }


def main() -> None:
    """Measure both kinds, print the table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of clips and training")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    results = [measure(kind, options.seed) for kind in ("level", "pattern")]
    print("| what tells | accuracy, % | points to 2 to 4 kHz | largest at, Hz: clips |\n| --- | --- | --- | --- |")
    for row in results:
        places = ", ".join(f"{hz}: {count}" for hz, count in row["largest_at_hz"].items())
        print(f"| {row['kind']} | {100 * row['accuracy']:.1f} | {row['in_band']} of {row['unseen']} | {places} |")
    if options.json is not None:
        replace_file(options.json, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
