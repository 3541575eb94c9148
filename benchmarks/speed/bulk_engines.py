"""Test bulk prediction on real clips with the local engine and with Ray: faults, memory and broken files.

    python -m benchmarks.speed.bulk_engines ESC10 --clips 20000 [--only faults --only memory --only broken]

It cuts clips of 1 s from the recordings of ESC-10 and predicts them with the built-in model (`scenelet predict --out`).

- faults: it starts a cluster of two nodes on this machine (`ray.cluster_utils.Cluster`, one processor each). During the
  work it kills a worker, removes the second node, and kills and restarts the driver. Every part must equal that of the
  local engine, byte for byte.
- memory: it measures the peak memory of the largest worker, for a tenth of the clips and for all.
- broken: 5 % of the entries are truncated, text, empty, a folder, or missing.

It prints Markdown. For the speed, run `python -m benchmarks.speed --out DIR --only bulk`.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import soundfile
from pyarrow import dataset

from scenelet.utils.console import print_message

SCENELET = [sys.executable, "-m", "scenelet"]
PARTS = ("faults", "memory", "broken")
BROKEN = ("truncated", "text", "empty", "a folder", "missing")


def main() -> None:
    """Run the chosen measurements and print their results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("esc10", type=Path)
    parser.add_argument("--clips", type=int, default=20000)
    parser.add_argument("--only", action="append", choices=PARTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scenelet-bulk-") as scratch:
        folder = Path(scratch)
        print_message(f"cutting {options.clips:,} clips")
        cut(options.esc10, folder, options.clips)
        measures = {"faults": faults, "memory": memory, "broken": broken}
        for part in options.only or PARTS:
            print(f"\n## {part}\n", flush=True)
            measures[part](folder, options)


def cut(esc10: Path, folder: Path, count: int) -> None:
    """Write `clips/` and `clips.csv`: pieces of 1 s that begin about every 80 ms in the recordings."""
    (folder / "clips").mkdir()
    files = sorted((esc10 / "audio").iterdir())
    each = -(-count // len(files))
    names = []
    for file in files:
        samples, rate = soundfile.read(file, dtype="int16")
        for index in range(each):
            start = index * max(0, len(samples) - rate) // max(1, each - 1)
            name = f"clips/{file.stem}-{index:03d}.wav"
            soundfile.write(folder / name, samples[start : start + rate], rate, subtype="PCM_16")
            names.append(name)
    names.sort(key=lambda name: name.rpartition("-")[2])  # neighbors come from different recordings
    write_manifest(folder / "clips.csv", names[:count])
    write_manifest(folder / "some.csv", names[: count // 10])


def write_manifest(path: Path, names: Sequence[str]) -> None:
    """Write a CSV of paths."""
    path.write_text("\n".join(["path", *names]) + "\n")


def predict(folder: Path, manifest: str, out: str, *options: str, **environment: str) -> subprocess.Popen[str]:
    """Start `scenelet predict`."""
    command = [*SCENELET, "predict", "esc10", str(folder / manifest), "--out", str(folder / out), "--format", "json"]
    environ = {**os.environ, **environment}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, *options],
        stdout=pipe,
        stderr=None if os.environ.get("SHOW") else subprocess.DEVNULL,
        text=True,
        env=environ,
    )


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the end of a process and return its summary."""
    text, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"failed with {process.returncode}: {process.args}")
    summary: dict[str, Any] = json.loads(text)
    return summary


def parts(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every part, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*.parquet"))}


def faults(folder: Path, options: argparse.Namespace) -> None:
    """Kill a worker, remove a node, kill the driver."""
    from ray.cluster_utils import Cluster

    print_message("local engine")
    finished(predict(folder, "clips.csv", "local"))
    expected = parts(folder / "local")
    small = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    second = cluster.add_node(**small)
    arguments = ("clips.csv", "faults", "--engine", "ray")
    driver = predict(folder, *arguments, RAY_ADDRESS=cluster.address)
    started = time.monotonic()

    def done(share: float) -> None:
        while len(parts(folder / "faults")) < share * len(expected):
            if driver.poll() is not None:
                raise SystemExit(f"the driver ended too early, with {driver.returncode}")
            time.sleep(0.05)

    def note(what: str) -> None:
        count = len(parts(folder / "faults"))
        print(f"- {time.monotonic() - started:.0f} s, {count} of {len(expected)} parts: {what}", flush=True)

    done(0.15)
    ours = psutil.Process().children(recursive=True)
    worker = next(process for process in ours if "ray::task" in " ".join(process.cmdline()))
    worker.send_signal(signal.SIGKILL)
    note(f"killed a worker ({worker.pid})")
    done(0.35)
    cluster.remove_node(second, allow_graceful=False)
    note("removed a node")
    done(0.6)
    driver.kill()
    driver.wait()
    note("killed the driver")
    # both nodes have the same address: a driver may ask the dead one until the head node has noticed
    time.sleep(30)
    note("waited 30 s, and started the driver again")
    summary = finished(predict(folder, *arguments, RAY_ADDRESS=cluster.address))
    note(f"it is done: {summary['inputs']:,} inputs, {summary['errors']} errors")
    cluster.shutdown()
    found = parts(folder / "faults")
    same = found == expected
    rows = dataset.dataset(folder / "faults").to_table(columns=["index"]).column("index").to_pylist()
    times = Counter(Counter(rows).values())
    each = "; ".join(f"{count:,} inputs {n} times" for n, count in sorted(times.items()))
    print(f"- {each}; {len(set(range(options.clips)) - set(rows))} missing")
    print(f"- parts equal to the local engine's, byte for byte: {same}")
    if not same or times != {1: options.clips}:
        raise SystemExit("not the same")


def memory(folder: Path, options: argparse.Namespace) -> None:
    """Measure the peak memory of a worker."""
    for engine in ("local", "ray"):
        for manifest, count in (("some.csv", options.clips // 10), ("clips.csv", options.clips)):
            out = f"memory-{engine}-{count}"
            summary = finished(predict(folder, manifest, out, "--engine", engine, "--shard-size", "250"))
            print(f"- {engine}, {count:,} files: {summary['peak_bytes'] / 1e6:.1f} MB, {summary['workers']} workers")


def broken(folder: Path, options: argparse.Namespace) -> None:
    """Predict a manifest in which 5 % of the entries are not recordings."""
    names = [row["path"] for row in csv.DictReader((folder / "clips.csv").open())]
    wrong: dict[str, str] = {}
    (folder / "broken").mkdir()
    for number, index in enumerate(range(0, len(names), 20)):
        kind, path = BROKEN[number % len(BROKEN)], folder / "broken" / f"{number}.wav"
        if kind == "truncated":
            path.write_bytes((folder / names[index]).read_bytes()[:30000])
        elif kind == "text":
            path.write_text("this is no sound\n" * 50)
        elif kind == "empty":
            path.touch()
        elif kind == "a folder":
            path.mkdir()
        names[index] = f"broken/{path.name}"
        wrong[names[index]] = kind
    write_manifest(folder / "broken.csv", names)
    for engine in ("local", "ray"):
        summary = finished(predict(folder, "broken.csv", f"broken-{engine}", "--engine", engine))
        table = dataset.dataset(folder / f"broken-{engine}").to_table(columns=["index", "input", "label", "error"])
        rows = table.to_pylist()
        bad = {row["input"] for row in rows if row["error"] is not None}
        right = (
            len(rows) == len(names)
            and bad == set(wrong)
            and all((r["error"] is None) != (r["label"] is None) for r in rows)
        )
        listed = len((folder / f"broken-{engine}" / "_job" / "errors.csv").read_text().splitlines()) - 1
        print(
            f"- {engine}: exit code 0, {summary['windows']:,} windows, {summary['errors']:,} errors,"
            f" {listed:,} in errors.csv;"
        )
        print(f"  exactly the {len(wrong):,} broken ones: {right}")
        if engine == "local":
            for kind in BROKEN:
                example = next(row for row in rows if wrong.get(row["input"]) == kind)
                print(f"  - {kind}: `{example['error'].replace(str(folder) + '/', '')}`")


if __name__ == "__main__":
    main()
