"""Write damaged and unusual recordings, and run the commands on each of them.

    python -m benchmarks.robustness.odd_audio OUT
    python -m benchmarks.robustness.odd_audio OUT --run esc10
    python -m benchmarks.robustness.odd_audio OUT --long esc10

The benchmark writes one recording of each kind (`tests/helpers/odd_cases.py`) to the folder `OUT/odd`, always with
the same bytes. With `--run`, `scenelet predict` and `listen` read each of them, and `check`, `features`, `predict
--out`, `evaluate` and `train` read all of them. Their messages are compared with those that the documentation
promises. Recordings that are truncated after every byte of their header, and recordings with one changed byte
(`tests/helpers/odd_recordings.py`), are read in this process, and some of them by `predict`. With `--long`, four
commands read twelve hours of silence, as WAV and as FLAC, and 4 GB of empty chunks, with and without a terminal. This
takes some minutes. The benchmark prints a line for each unexpected outcome, and a Markdown table of counts.
"""

import argparse
import csv
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.robustness.run_command import MAX_SILENCE_SECONDS, Counts, run
from helpers.odd_cases import cases, long_cases
from helpers.odd_recordings import READ, Case, altered, cuts
from scenelet.audio.io import blocks
from scenelet.errors import AudioError

SAMPLED = 997  # one in this many truncated or altered recordings is read by a command too
QUICK = ("--set", "schedule.epochs=1")


def main() -> None:
    """Write the recordings, run the commands and print the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", metavar="MODEL")
    parser.add_argument("--long", metavar="MODEL")
    options = parser.parse_args()
    counts = Counts()
    if options.long is not None:
        options.out.mkdir()
        long_ones(counts, options.long, options.out)
        counts.print()
        return
    folder = options.out / "odd"
    folder.mkdir(parents=True)
    listed = list(cases())
    for case in listed:
        case.make(folder / case.name)
    print(f"{folder}: {len(listed)} recordings", flush=True)
    if options.run is None:
        return
    in_process(counts, "truncated after a byte, read", options.out, cuts(), cut=True)
    in_process(counts, "a byte altered, read", options.out, altered())
    for name, data in sample(options.out, options.out / "sampled"):
        ended = run("predict", options.run, data)
        counts.add_run("truncated or altered, `predict`", name, ended.code in (0, 1), ended)
    for case in listed:
        single(counts, options.run, folder, case)
    together(counts, options.run, options.out, folder, listed)
    counts.print()


def in_process(counts: Counts, what: str, out: Path, made: Iterable[tuple[str, bytes]], cut: bool = False) -> None:
    """Read each recording in this process: it must give samples or our error; truncated ones (not MP3) an error."""
    for name, data in made:
        path = out / f"one{Path(name).suffix}"
        path.write_bytes(data)
        begin, bug = time.monotonic(), False
        try:
            message = f"{sum(block.shape[1] for block, _ in blocks(path)):,} samples"
            fine = not cut or path.suffix == ".mp3"
        except AudioError as error:
            message = str(error)
            fine = message.startswith(str(path)) and "\n" not in message
        except Exception as error:  # noqa: BLE001  # the benchmark looks for these
            message, fine, bug = repr(error), False, True
        counts.add(what, name, fine, message, bug, time.monotonic() - begin > MAX_SILENCE_SECONDS)
        path.unlink()


def sample(out: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield some of the truncated and changed recordings, written to files."""
    folder.mkdir()
    for number, (name, data) in enumerate((*cuts(), *altered())):
        if number % SAMPLED == 0:
            (folder / name).write_bytes(data)
            yield name, folder / name


def single(counts: Counts, model: str, folder: Path, case: Case) -> None:
    """Run `predict` and `listen` on one recording."""
    for command in ("predict", "listen"):
        ended = run(command, model, folder / case.name, *(["--format", "json"] if command == "predict" else []))
        good = ended.code == 0 and (command == "listen" or len(json.loads(ended.out)) == 1)
        bad = ended.code == 1 and ended.last.startswith("error: ") and case.says in ended.last
        fine = bad if case.says else good
        counts.add_run(f"one recording, `{command}`", case.name, fine, ended)


def together(counts: Counts, model: str, out: Path, folder: Path, listed: list[Case]) -> None:
    """Run the commands that take many recordings on all of them, as a folder and as a table."""
    ended = run("predict", model, folder, "--format", "json")
    found = {Path(row["file"]).name for row in json.loads(ended.out)}
    for case in listed:
        skipped = case.kind == "what is no file"
        named = skipped or case.says in ended.err
        counts.add("a folder, `predict`", case.name, named and (case.name in found) == (case.says == READ), ended.last)
    ended = run("predict", model, folder, "--out", out / "refused")
    refused = ended.code == 1 and "is not UTF-8" in ended.last
    counts.add(
        "a folder with a name that is not UTF-8, `predict --out`", "caf\xe9", refused, ended.last, ended.has_traceback
    )
    # a table strips blanks around a name, and is UTF-8
    tabled = [case for case in listed if case.name == case.name.strip() and case.name.isprintable()]
    there = [case for case in tabled if os.path.isfile(folder / case.name)]
    bulk = out / "bulk.csv"
    write(bulk, ["path"], [[f"odd/{case.name}"] for case in tabled])
    for what, command in {
        "a table, `predict --out`": ("predict", model, bulk, "--out", out / "predicted"),
        "a table, `features`": ("features", bulk, "--model", model, "--out", out / "features"),
    }.items():
        ended = run(*command, "--shard-size", "20")
        with (Path(command[-1]) / "_job" / "errors.csv").open(newline="") as file:
            errors = {row["input"].removeprefix("odd/"): row["error"] for row in csv.DictReader(file)}
        for case in tabled:
            fine = case.says in errors[case.name] if case.name in errors and case.says else case.name not in errors
            counts.add(what, case.name, fine and ended.code == 0, errors.get(case.name, "read"), ended.has_traceback)
    labelled(counts, model, out, folder, there)


def labelled(counts: Counts, model: str, out: Path, folder: Path, there: list[Case]) -> None:
    """Run `check`, `train` and `evaluate` on a table of labelled clips."""
    good = good_clips(out / "odd")
    table, rows = out / "clips.csv", [[f"odd/{case.name}", "dog"] for case in there]
    write(table, ["filename", "label"], [*good, *rows])
    ended = run("check", table, "--format", "json")
    findings = {name: each for each in json.loads(ended.out)["findings"] for name in each["clips"]}
    errors = {name: each["message"] for name, each in findings.items() if each["severity"] == "error"}
    for case in there:
        message = errors.get(f"odd/{case.name}")
        fine = message is None if case.says == READ else message is not None and case.says in message
        counts.add("a table, `check`", case.name, fine and ended.code == 1, message or "nothing", ended.has_traceback)
    bad = sum(case.says != READ for case in there)
    for what, command in {
        "a table with all, `train`": ("train", table, "--out", out / "run", *QUICK),
        "a table with all, `evaluate`": ("evaluate", model, table, "--split", "all"),
    }.items():
        ended = run(*command)
        fine = ended.code == 1 and f"error: {bad} of " in ended.last and "recordings cannot be read" in ended.last
        counts.add_run(what, "all", fine, ended)
    for case in [case for case in there if case.says][::6]:
        write(table, ["filename", "label"], [*good, [f"odd/{case.name}", "dog"]])
        ended = run("train", table, "--out", out / "run", *QUICK)
        fine = ended.code == 1 and case.says in ended.last and not (out / "run").exists()
        counts.add_run("one among valid recordings, `train`", case.name, fine, ended)


def long_ones(counts: Counts, model: str, out: Path) -> None:
    """Run four commands on recordings of twelve hours, with and without a terminal."""
    folder = out / "long"
    folder.mkdir()
    for label in ("dog", "rain"):
        good_clips(folder / label)
    print("\n| | s | first output after, s | peak memory, MB |\n|---|---|---|---|", flush=True)
    for number, case in enumerate(long_cases()):
        path = folder / "dog" / case.name
        case.make(path)
        for name, command in {
            "predict": ("predict", model, path),
            "check": ("check", folder),
            "features": ("features", path.parent, "--model", model, "--out", out / f"long-features-{number}"),
            "train": ("train", folder, "--out", out / f"long-run-{number}", *QUICK),
        }.items():
            for terminal in (False, True) if name in ("predict", "check") else (False,):
                ended = run(*command, terminal=terminal)
                where = "a terminal" if terminal else "a pipe"
                print(
                    f"| `{name}`, {case.name}, {where}, code {ended.code} | {ended.seconds:.0f} | {ended.first:.1f} |"
                    f" {ended.peak:,.0f} |",
                    flush=True,
                )
                counts.add_run("hours, four commands", f"{name} {case.name}", ended.code in (0, 1), ended)
        path.unlink()


def good_clips(folder: Path) -> list[list[str]]:
    """Write recordings of noise to the folder, and return their rows of a table with two classes."""
    folder.mkdir(exist_ok=True)
    rng, rows = np.random.default_rng(list(folder.name.encode())), []
    for number in range(12):
        name = f"good {number}.wav"
        soundfile.write(folder / name, rng.uniform(-0.5, 0.5, 8000), 8000)
        rows.append([f"{folder.name}/{name}", ("dog", "rain")[number % 2]])
    return rows


def write(path: Path, head: list[str], rows: list[list[str]]) -> None:
    """Write a table."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


if __name__ == "__main__":
    main()
