"""Run commands on a full disk and in a read-only folder: check their errors, and that earlier results stay unchanged.

    python -m benchmarks.robustness.full_disk [--only train compress ...]

This needs Linux and root, because each trial mounts a small file system in memory (tmpfs). The benchmark first measures
how much each command writes. Then it runs the command with room for 0 to 95 % of that, in a folder that holds the
results of an earlier run. The command must end with exit code 1 and a one-line error, and the earlier results must stay
byte for byte. With more room, it must then finish as if undisturbed. The same is tried on a read-only file system.

It prints a Markdown table, and ends with exit code 1 if a check failed.
"""

import argparse
import contextlib
import csv
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

FRACTIONS = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.95)
PAGE_BYTES, LARGE_BYTES = 4096, 256 << 20
SCENELET = [sys.executable, "-m", "scenelet"]
FAST = ("--recipe", "demo", "--set", "schedule.epochs=2", "--set", "prune.epochs=1")
VARYING = ("checkpoints", "metrics.json", "curves.png", "run.json", "cache", "inputs.parquet", "report.json")
"""Files that hold dates, durations or versions; only their existence is compared."""


@dataclass(frozen=True)
class Work:
    """One command that writes.

    Attributes:
        command: command under test; `{}` stands for the small file system.
        before: command that writes the earlier results, which the new ones replace; empty: there are none.
        again: command that finishes the work when there is room; empty: the same command.
    """

    command: tuple[str, ...]
    before: tuple[str, ...] = ()
    again: tuple[str, ...] = ()


WORKS = {
    "train": Work(
        ("train", "data", "--out", "{}/run", *FAST),
        again=("train", "data", "--out", "{}/run", *FAST, "--resume"),
    ),
    "compress": Work(
        ("compress", "run", "--out", "{}/m.scn", "--sparsity", "0.5"),
        before=("compress", "run", "--out", "{}/m.scn", "--sparsity", "0.1"),
    ),
    "evaluate": Work(
        ("evaluate", "m.scn", "data", "--out", "{}/report", "--audio", "embed"),
        before=("evaluate", "esc10", "named", "--out", "{}/report"),
    ),
    "predict --out": Work(("predict", "m.scn", "list.csv", "--out", "{}/rows", "--shard-size", "3")),
    "extract": Work(("extract", "list.csv", "--out", "{}/log_mel", "--model", "m.scn", "--shard-size", "3")),
    "export onnx": Work(("export", "m.scn", "--out", "{}/m.onnx"), before=("export", "esc10", "--out", "{}/m.onnx")),
    "export card": Work(("export", "m.scn", "--out", "{}/m.md"), before=("export", "esc10", "--out", "{}/m.md")),
    "info --plot": Work(("info", ".", "--plot", "{}/sizes.png")),
}


def main() -> int:
    """Run all trials and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=WORKS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        inputs = Path(scratch, "inputs")
        prepare(inputs)
        print("| command | writes, bytes | full disk, tries | read-only | what went wrong |\n|---|---|---|---|---|")
        wrong = 0
        for name, work in WORKS.items():
            if options.only is None or name in options.only:
                written, faults = run_trials(work, inputs)
                wrong += len(faults)
                listed = "; ".join(faults) or "nothing"
                print(f"| {name} | {written:,} | {len(FRACTIONS)} | 1 | {listed} |", flush=True)
    return 1 if wrong else 0


def prepare(folder: Path) -> None:
    """Write recordings of two classes, a list of them, a run and a model."""
    rng, times = np.random.default_rng(0), np.arange(3 * 16000) / 16000
    rows = []
    for label, hz in (("dog", 300), ("rain", 3000)):
        for number in range(6):
            path = folder / "data" / label / f"place{number}" / "a.wav"
            path.parent.mkdir(parents=True)
            noise = 0.02 * rng.standard_normal(len(times))
            soundfile.write(path, 0.3 * np.sin(2 * np.pi * hz * times) + noise, 16000)
            rows.append((path.relative_to(folder), label))
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path",), *((path,) for path, _ in rows)])
    (folder / "named").mkdir()
    with (folder / "named" / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("filename", "label"), *((folder / path, label) for path, label in rows)])
    for command in (("train", "data", "--out", "run", *FAST), ("compress", "run", "--out", "m.scn")):
        code, printed = run(command, folder, Path("."))
        if code:
            raise SystemExit(printed)


def run_trials(work: Work, inputs: Path) -> tuple[int, list[str]]:
    """Return the number of bytes that the command writes, and the faults that were found."""
    with small_disk(LARGE_BYTES) as disk:
        write_earlier_results(work, inputs, disk)
        old, start = contents(disk), used(disk)
        code, printed = run(work.command, inputs, disk)
        if code:
            return 0, [f"with room: {last_line(printed)}"]
        expected = contents(disk)
        written = sum((disk / name).stat().st_size for name in expected if expected[name] != old.get(name))
    faults = [
        fault
        for fraction in FRACTIONS
        for fault in full_disk_faults(work, inputs, fraction, start + int(fraction * written), expected)
    ]
    with small_disk(LARGE_BYTES) as disk:
        write_earlier_results(work, inputs, disk)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        faults += [f"read-only: {fault}" for fault in failure_faults(work, inputs, disk, old)]
    return written, faults


def full_disk_faults(
    work: Work, inputs: Path, fraction: float, size: int, expected: Mapping[str, str]
) -> Iterator[str]:
    """Yield the faults of a trial with room for `size` bytes, a fraction of what the command writes."""
    with small_disk(LARGE_BYTES) as disk:
        write_earlier_results(work, inputs, disk)
        old = contents(disk)
        resize(disk, max(PAGE_BYTES, used(disk), size // PAGE_BYTES * PAGE_BYTES))  # a size of 0 means no limit
        for fault in failure_faults(work, inputs, disk, old, expected):
            yield f"{fraction:.0%}: {fault}"
        resize(disk, LARGE_BYTES)
        code, printed = run(work.again or work.command, inputs, disk)
        if code:
            yield f"{fraction:.0%}, then with room: {last_line(printed)}"
        elif missed := differences(expected, contents(disk)):
            yield f"{fraction:.0%}, then with room: {missed}"


def failure_faults(
    work: Work, inputs: Path, disk: Path, old: Mapping[str, str], expected: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Yield the faults of a command that cannot write all; none if it could write the `expected` files."""
    code, printed = run(work.command, inputs, disk)
    if code == 0 and expected is not None and not differences(expected, contents(disk)):
        return
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    if code != 1 or len(errors) != 1 or "Traceback" in printed:
        yield f"ended with {code} and {last_line(printed)}"
    elif str(disk) not in errors[0]:
        yield f"does not name the folder: {errors[0]}"
    left = contents(disk)
    if changed := sorted(name for name in old if left.get(name) != old[name]):
        yield f"changed: {', '.join(changed[:3])}"
    if parts := [name for name in left if name.endswith(".part")]:
        yield f"left: {', '.join(parts[:3])}"


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Return the names of files that are missing, unexpected or different; empty if there are none."""
    names = {
        name for name in {*expected, *found} if "logs" not in Path(name).parts
    }  # each attempt has a folder of its own
    odd = [name for name in names if (name in expected) != (name in found)]
    odd += [name for name in names - set(odd) if is_reproducible(name) and expected[name] != found[name]]
    return ", ".join(sorted(odd)[:3])


def last_line(printed: str) -> str:
    """Return the last line of what a command printed."""
    return printed.splitlines()[-1] if printed else "no output"


def is_reproducible(name: str) -> bool:
    """Return True if a file has the same content in every run."""
    return not any(part in VARYING for part in Path(name).parts) and not name.endswith(".html")


def write_earlier_results(work: Work, inputs: Path, disk: Path) -> None:
    """Run the command that writes the earlier results."""
    if work.before:
        code, printed = run(work.before, inputs, disk)
        if code:
            raise SystemExit(printed)


def run(command: Sequence[str], folder: Path, disk: Path) -> tuple[int, str]:
    """Return the exit code and the output on stderr. The feature cache is also in the small file system."""
    # without compiled norms, which each file system would have to build again
    quick = {"OMP_NUM_THREADS": "1", "SCENELET_COMPILE": "0"}
    environment = {**os.environ, **quick, "SCENELET_CACHE": str(disk / "cache")}
    arguments = [part.replace("{}", str(disk)) for part in command]
    done = subprocess.run([*SCENELET, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr.strip() or done.stdout.strip()


@contextlib.contextmanager
def small_disk(size: int) -> Iterator[Path]:
    """Mount a file system of `size` bytes and yield its folder."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "scenelet", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def resize(disk: Path, size: int) -> None:
    """Change the size of a file system."""
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def used(disk: Path) -> int:
    """Return the number of used bytes of a file system."""
    state = os.statvfs(disk)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def contents(disk: Path) -> dict[str, str]:
    """Return the digest of every file, by name."""
    files = (path for path in disk.rglob("*") if path.is_file())
    return {str(path.relative_to(disk)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    sys.exit(main())
