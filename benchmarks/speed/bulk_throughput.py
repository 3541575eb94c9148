"""Time `scenelet predict --out` on many short recordings, with Ray and the local engine, on one and all processors."""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import soundfile

from benchmarks.speed import inputs
from benchmarks.speed.timing import PAUSE, one_command
from scenelet.utils.console import print_message
from scenelet.utils.parallel import cpu_count

INPUTS, SECONDS = 60_000, 1
MODEL = "esc10"
ROUNDS = 3


def measure(folder: Path, rounds: int, count: int = INPUTS) -> dict[str, Any]:
    """Measure the wall seconds of complete commands in turn; `inputs.write_recordings` wrote `folder`.

    `around`: those of them before the first part is there, or after the last.
    """
    manifest = write_manifest(folder, count)
    ways = {"ray": ("ray", cpu_count()), "local": ("local", cpu_count()), "ray_alone": ("ray", 1)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    around: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(min(rounds, ROUNDS)):
        for way, (engine, workers) in ways.items():
            out = folder / "bulk"
            time.sleep(PAUSE)
            command = [str(Path(sys.executable).with_name("scenelet")), "predict", MODEL, str(manifest), "--quiet"]
            how = ["--out", str(out), "--engine", engine, "--workers", str(workers)]
            seconds[way].append(one_command([*command, *how])["seconds"])
            ends = [path.stat().st_mtime for path in out.glob("part-*")]
            around[way].append(seconds[way][-1] - (max(ends) - min(ends)))
            print_message(
                f"{engine}, {workers}: {seconds[way][-1]:.1f} s, of them {around[way][-1]:.1f} before and after"
            )
            shutil.rmtree(out)
    return {"model": MODEL, "inputs": count, "cores": cpu_count(), "seconds": seconds, "around": around}


def write_manifest(folder: Path, count: int) -> Path:
    """Write a second of each recording of the folder, and a manifest that lists them `count` times in all."""
    (folder / "seconds").mkdir(exist_ok=True)
    names = []
    for path in sorted((folder / inputs.FOLDER).iterdir()):
        samples, rate = soundfile.read(path, frames=SECONDS * inputs.RATE)
        names.append(f"seconds/{path.name}")
        soundfile.write(folder / names[-1], samples[:, 0], rate, subtype="PCM_16")
    manifest = folder / "bulk.csv"
    manifest.write_text("\n".join(["path", *(names[k % len(names)] for k in range(count))]) + "\n")
    return manifest
