"""A disk that is full and a folder that is read-only: is it said in a sentence, and is what was there untouched?

    python benchmarks/robustness/full_disk.py [--only train compress ...]

Linux, as root: every try gets a small file system in memory (tmpfs). Of each command it is measured first what it
writes; then it runs with room for 0 to 95 % of that, in a place that already has the results of another run. It must
end with 1 and one sentence, leave the old results byte for byte, and, given room, do its work as if undisturbed. Then
the same on a file system that can only be read. Prints a Markdown table, and ends with 1 where something was lost.
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

SHARES = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.95)
PAGE, ROOMY = 4096, 256 << 20
SCENELET = [sys.executable, "-m", "scenelet"]
FAST = ("--recipe", "demo", "--set", "schedule.epochs=2", "--set", "prune.epochs=1")
CHANGING = ("checkpoints", "metrics.json", "curves.png", "run.json", "cache", "inputs.parquet", "report.json")
"""What holds times of day, durations or versions, and so is compared by being there."""


@dataclass(frozen=True)
class Work:
    """A command that writes.

    Attributes:
        before: makes the old results, whose place the new ones take; empty: there are none.
        command: what is tried; `{}` is the small file system.
        again: how it goes on when there is room; empty: the same command.
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
    "features": Work(("features", "list.csv", "--out", "{}/log_mel", "--model", "m.scn", "--shard-size", "3")),
    "export onnx": Work(("export", "m.scn", "--out", "{}/m.onnx"), before=("export", "esc10", "--out", "{}/m.onnx")),
    "export card": Work(("export", "m.scn", "--out", "{}/m.md"), before=("export", "esc10", "--out", "{}/m.md")),
    "export header": Work(("export", "m.scn", "--out", "{}/m.h"), before=("export", "esc10", "--out", "{}/m.h")),
    "info --plot": Work(("info", ".", "--plot", "{}/sizes.png")),
}


def main() -> int:
    """Try everything and print."""
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
                written, faults = tried(work, inputs)
                wrong += len(faults)
                said = "; ".join(faults) or "nothing"
                print(f"| {name} | {written:,} | {len(SHARES)} | 1 | {said} |", flush=True)
    return 1 if wrong else 0


def prepare(folder: Path) -> None:
    """Recordings of two classes, a list of them, a run, a model."""
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
        code, said = run(command, folder, Path("."))
        if code:
            raise SystemExit(said)


def tried(work: Work, inputs: Path) -> tuple[int, list[str]]:
    """Bytes that the command writes in a roomy place, and what went wrong in small ones."""
    with small(ROOMY) as place:
        begin(work, inputs, place)
        old, start = contents(place), used(place)
        code, said = run(work.command, inputs, place)
        if code:
            return 0, [f"with room: {last(said)}"]
        expected = contents(place)
        written = sum((place / name).stat().st_size for name in expected if expected[name] != old.get(name))
    faults = [fault for share in SHARES for fault in full(work, inputs, share, start + int(share * written), expected)]
    with small(ROOMY) as place:
        begin(work, inputs, place)
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        faults += [f"read-only: {fault}" for fault in refused(work, inputs, place, old)]
    return written, faults


def full(work: Work, inputs: Path, share: float, size: int, expected: Mapping[str, str]) -> Iterator[str]:
    """What goes wrong where there is room for a share of what is written."""
    with small(ROOMY) as place:
        begin(work, inputs, place)
        old = contents(place)
        resize(place, max(PAGE, used(place), size // PAGE * PAGE))  # a size of 0 would be no limit
        for fault in refused(work, inputs, place, old, expected):
            yield f"{share:.0%}: {fault}"
        resize(place, ROOMY)
        code, said = run(work.again or work.command, inputs, place)
        if code:
            yield f"{share:.0%}, then with room: {last(said)}"
        elif missed := differences(expected, contents(place)):
            yield f"{share:.0%}, then with room: {missed}"


def refused(
    work: Work, inputs: Path, place: Path, old: Mapping[str, str], expected: Mapping[str, str] | None = None
) -> Iterator[str]:
    """What is wrong with how a command ends that cannot write; nothing, where it could write what is `expected`."""
    code, said = run(work.command, inputs, place)
    if code == 0 and expected is not None and not differences(expected, contents(place)):
        return
    sentences = [line for line in said.splitlines() if line.startswith("error: ")]
    if code != 1 or len(sentences) != 1 or "Traceback" in said:
        yield f"ended with {code} and {last(said)}"
    elif str(place) not in sentences[0]:
        yield f"does not name the place: {sentences[0]}"
    left = contents(place)
    if changed := sorted(name for name in old if left.get(name) != old[name]):
        yield f"changed: {', '.join(changed[:3])}"
    if parts := [name for name in left if name.endswith(".part")]:
        yield f"left: {', '.join(parts[:3])}"


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Names that are not there, are too much, or differ where they should not."""
    every = {name for name in {*expected, *found} if "logs" not in Path(name).parts}  # a folder an attempt
    odd = [name for name in every if (name in expected) != (name in found)]
    odd += [name for name in every - set(odd) if steady(name) and expected[name] != found[name]]
    return ", ".join(sorted(odd)[:3])


def last(said: str) -> str:
    """Its last line."""
    return said.splitlines()[-1] if said else "nothing said"


def steady(name: str) -> bool:
    """Whether a file holds the same in every run."""
    return not any(part in CHANGING for part in Path(name).parts) and not name.endswith(".html")


def begin(work: Work, inputs: Path, place: Path) -> None:
    """Make the old results."""
    if work.before:
        code, said = run(work.before, inputs, place)
        if code:
            raise SystemExit(said)


def run(command: Sequence[str], folder: Path, place: Path) -> tuple[int, str]:
    """Exit code and what was said to stderr; the feature cache is in the place too."""
    # without compiled norms, which each place would build anew
    quick = {"OMP_NUM_THREADS": "1", "SCENELET_COMPILE": "0"}
    environment = {**os.environ, **quick, "SCENELET_CACHE": str(place / "cache")}
    arguments = [part.replace("{}", str(place)) for part in command]
    done = subprocess.run([*SCENELET, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr.strip() or done.stdout.strip()


@contextlib.contextmanager
def small(size: int) -> Iterator[Path]:
    """A file system of so many bytes."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "scenelet", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def resize(place: Path, size: int) -> None:
    """Give it another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", place], check=True)


def used(place: Path) -> int:
    """Bytes that are taken."""
    state = os.statvfs(place)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def contents(place: Path) -> dict[str, str]:
    """Digest of every file, by its name."""
    files = (path for path in place.rglob("*") if path.is_file())
    return {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    sys.exit(main())
