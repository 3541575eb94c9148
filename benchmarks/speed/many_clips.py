"""Measure tables, `check`, the feature cache, batches and prediction of many clips of 1 s.

    python -m benchmarks.speed.many_clips --clips 2000 20000 200000 --out FOLDER [--json FILE] [--only STEP] [--keep]
        [--predict-up-to 20000]

It makes recordings in the layout of TAU 2022 Mobile (88 kB each, all different), with a table for each number of clips.
Each step runs in a new process. It prints Markdown: wall seconds, processor seconds of all processes, and the peak of
their memory without mapped files. The time per clip shows what does not grow linearly.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.speed.many_clips_steps import MODEL, STEPS
from benchmarks.speed.one_second_clips import AUDIO, recordings, write_recordings, write_tables
from scenelet.utils.console import print_message
from scenelet.utils.parallel import cpu_count

ORDER = ("table", "check", "cache", "cached", "statistics", "epoch", "predict")
NAMES = {
    "table": "read the table, find the files, split",
    "check": "`scenelet check --window 1`",
    "cache": "compute and cache log-mel",
    "cached": "open the finished cache",
    "statistics": "mean and deviation of the bands",
    "epoch": "an epoch's batches, mixed, one thread",
    "predict": "`scenelet predict --out`",
}
SAMPLE_SECONDS = 0.2
PACKAGE = [sys.executable, "-m"]


def main() -> None:
    """Make the recordings, measure, print the table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[2000, 20_000, 200_000])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", action="append", choices=ORDER)
    parser.add_argument("--predict-up-to", type=int, default=200_000, help="largest number of clips to predict")
    parser.add_argument("--keep", action="store_true", help="keep the recordings for the next run")
    options = parser.parse_args()
    most = max(options.clips)
    print_message(f"making {most:,} clips")
    write_recordings(options.out, most)
    found: list[dict[str, Any]] = []
    for clips in sorted(options.clips):
        root = make_root(options.out, clips)
        for step in options.only or ORDER:
            if step == "predict" and clips > options.predict_up_to:
                continue
            figures = {"clips": clips, "step": step, **measure(step, root)}
            print_message(json.dumps(figures))
            found.append(figures)
            if options.json:
                options.json.write_text(json.dumps({"cores": cpu_count(), "figures": found}, indent=1) + "\n")
        shutil.rmtree(root)
    if not options.keep:
        shutil.rmtree(options.out / AUDIO)
    print(markdown(found))


def make_root(folder: Path, clips: int) -> Path:
    """Write the tables of the first `clips` clips next to a link to the recordings, and return their folder."""
    root = folder / f"{clips}-clips"
    shutil.rmtree(root, ignore_errors=True)
    write_tables(root, clips)
    (root / AUDIO).symlink_to((folder / AUDIO).resolve(), target_is_directory=True)
    names = [recording.name(part) for recording in recordings(clips) for part in range(10)]
    (root / "clips.csv").write_text("\n".join(["path", *names]) + "\n")
    subprocess.run([*PACKAGE, "benchmarks.speed.many_clips_steps", MODEL, str(root)], check=True)
    return root


def command(step: str, root: Path) -> Sequence[str]:
    """Return the command of a step."""
    if step == "check":
        return [*PACKAGE, "scenelet", "check", str(root), "--window", "1"]
    if step == "predict":
        listed = [str(root / MODEL), str(root / "clips.csv")]
        return [*PACKAGE, "scenelet", "predict", *listed, "--out", str(root / "results")]
    return [*PACKAGE, "benchmarks.speed.many_clips_steps", step, str(root)]


def measure(step: str, root: Path) -> dict[str, Any]:
    """Run a step to its end and return its figures."""
    environment = {**os.environ, "SCENELET_CACHE": str(root / "cache")}
    started, before = time.perf_counter(), os.times()
    log = root / f"{step}.log"
    with log.open("w") as errors:
        pipe = subprocess.PIPE
        process = subprocess.Popen(command(step, root), stdout=pipe, stderr=errors, text=True, env=environment)
        peak = PeakMemory(process.pid)
        text, _ = process.communicate()
        peak.stop()
    seconds, after = time.perf_counter() - started, os.times()
    if process.returncode and step != "check":  # `check` ends with 1 if it finds errors
        raise SystemExit(f"{step} failed: {log.read_text()[-2000:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    figures = {"seconds": seconds, "cpu_seconds": cpu}
    if step in STEPS:
        figures = json.loads(text.splitlines()[-1])
    rounded = {key: round(value, 2) for key, value in figures.items()}
    files = {"check": "cache/statistics-*", "cache": "cache/*/*", "predict": "results/*"}
    written = sum(path.stat().st_size for path in root.glob(files[step])) if step in files else 0
    said = {"said": log.read_text().splitlines()[-1]} if step == "check" else {}
    return {**rounded, "main_mib": peak.main >> 20, "all_mib": peak.all >> 20, "written_mib": written >> 20, **said}


class PeakMemory(threading.Thread):
    """Thread that watches the memory of a process and of its children.

    Attributes:
        main: peak of the process, without mapped files, bytes.
        all: peak of the sum over all of them, bytes.
    """

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.process, self.main, self.all = psutil.Process(process), 0, 0
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        """Look every `SAMPLE_SECONDS`."""
        while not self._ended.wait(SAMPLE_SECONDS):
            try:
                main, *others = map(_own_bytes, [self.process, *self.process.children(recursive=True)])
            except psutil.Error:
                continue
            self.main, self.all = max(self.main, main), max(self.all, main + sum(others))

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self.join()


def _own_bytes(process: psutil.Process) -> int:
    try:
        memory = process.memory_info()
    except psutil.Error:  # it has ended
        return 0
    return int(memory.rss - memory.shared)


def markdown(found: Sequence[dict[str, Any]]) -> str:
    """Return the figures as a table."""
    lines = [
        "| step | clips | seconds | processor seconds | µs of processor per clip | MiB, all processes | MiB written |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for figures in sorted(found, key=lambda each: (ORDER.index(each["step"]), each["clips"])):
        per_clip = 1e6 * figures["cpu_seconds"] / figures["clips"]
        sizes = f"{per_clip:,.0f} | {figures['all_mib']:,} | {figures['written_mib'] or ''}"
        times = f"{figures['seconds']:,.1f} | {figures['cpu_seconds']:,.1f}"
        lines.append(f"| {NAMES[figures['step']]} | {figures['clips']:,} | {times} | {sizes} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
