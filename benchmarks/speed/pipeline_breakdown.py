"""Time the stages of bulk prediction on one thread: reading and decoding, resampling, log-mel, the network.

    python -m benchmarks.speed.pipeline_breakdown ESC10 [--model esc10] [--rounds 5]

It joins recordings of ESC-10 to 10 minutes (44.1 kHz, mono), writes them in every format, and times each stage of a
worker with the files in the page cache. It prints Markdown tables with the medians per hour of sound, and totals for
1 M hours.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

import scenelet
from scenelet.audio.io import blocks
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows

MINUTES, FORMATS = 10, {"WAV, 16 bit": "wav", "FLAC": "flac", "Ogg Vorbis": "ogg", "MP3": "mp3"}
HOURS = 1_000_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("esc10", type=Path)
    parser.add_argument("--model", default="esc10")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    classifier = scenelet.load(options.model, threads=1)
    features, window = classifier.model.features, classifier.model.window
    log_mel = LogMel(features)

    def median(work: Callable[[], object]) -> float:
        """Seconds for an hour of sound."""
        taken = []
        for _ in range(options.rounds):
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
        return statistics.median(taken) * 60 / MINUTES

    print("| seconds per hour of sound | GB | read, decode | resample, cut | log-mel | network | all |")
    print("|---|---|---|---|---|---|---|")
    sums = []
    with tempfile.TemporaryDirectory(prefix="scenelet-stages-") as scratch:
        for name, suffix in FORMATS.items():
            path = Path(scratch, f"sound.{suffix}")
            write(options.esc10, path)

            def cut(path: Path = path) -> list[np.ndarray]:
                return list(windows(path, features, window))

            cuts = cut()
            mels = [log_mel(samples) for samples in cuts]
            reading = median(lambda path=path: [None for _ in blocks(path)])
            cutting = median(cut) - reading
            transforming = median(lambda cuts=cuts: [log_mel(samples) for samples in cuts])
            network = median(lambda mels=mels: classifier.probabilities(np.stack(mels)))
            total = median(lambda path=path: classifier.predict(path))
            gigabytes = path.stat().st_size * 60 / MINUTES / 1e9
            stages = " | ".join(f"{seconds:.2f}" for seconds in (reading, cutting, transforming, network, total))
            print(f"| {name} | {gigabytes:.3f} | {stages} |")
            hours, terabytes = HOURS * total / 3600, HOURS * gigabytes / 1000
            sums.append(f"| {name} | {hours:,.0f} | {terabytes:,.0f} | {1000 * gigabytes / total:,.0f} |")
    print(f"\n| {HOURS:,} hours | core-hours | TB | MB per second and core |\n|---|---|---|---|")
    print("\n".join(sums))


def write(esc10: Path, path: Path) -> None:
    """Ten minutes of ESC-10."""
    parts: list[np.ndarray] = []
    for file in sorted((esc10 / "audio").iterdir()):
        samples, rate = soundfile.read(file, dtype="float32")
        parts.append(samples)
        if sum(map(len, parts)) >= MINUTES * 60 * rate:
            break
    sound = np.concatenate(parts)[: MINUTES * 60 * rate]
    with soundfile.SoundFile(path, "w", rate, 1) as file:
        for start in range(0, len(sound), rate):  # libsndfile's Vorbis encoder takes a second at a time
            file.write(sound[start : start + rate])


if __name__ == "__main__":
    main()
