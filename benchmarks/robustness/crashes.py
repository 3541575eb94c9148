"""Kill commands at random moments, repeat them, and compare their results with those of undisturbed commands.

    python -m benchmarks.robustness.crashes WORKDIR --kills 200 --pairs 20 --seed 0 --out benchmarks/results/crashes.csv

There are five kinds of work (`crash_commands.py`). Each of them first runs undisturbed, which gives its duration, its
number of file operations, and its results. Each trial then starts the work from the beginning, kills it one to three
times, and runs it to the end. All kills are SIGKILL:

- time: kill the process at a random time; its workers must end by themselves;
- file: the process kills itself before a random file operation (open to write, rename, remove, ...);
- write: kill the process when one of the first changes of its files is seen from outside;
- group: kill the process and all its workers at a random time;
- worker: kill one worker, either as soon as it has started or at a random time; the process must report it and end.

After every kill, files under their final names must be complete. At the end, all results must be equal, byte for byte.

A pair runs the same command twice, at the same time or with the second one started at a random time during the first.
At least one of them must succeed. After the command has run once more, all results must be equal too.

The benchmark prints one line for each kill, and a Markdown table.
"""

import argparse
import shutil
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import scenelet
from benchmarks.robustness import crash_commands
from benchmarks.robustness.crash_kills import COMMAND_TIMEOUT_SECONDS, Kill, Workplace, child, kill
from scenelet.utils.files import csv_text, make_folder, replace_file


@dataclass(frozen=True)
class Reference:
    """Duration in seconds, file operations and results of undisturbed work."""

    seconds: float
    operations: int
    digests: crash_commands.Digests

    def count_differences(self, found: crash_commands.Digests) -> int:
        """Return the number of files that differ or are missing on one side."""
        return sum(found.get(path) != self.digests.get(path) for path in {*found, *self.digests})


def undisturbed(workplace: Workplace, work: crash_commands.Work) -> Reference:
    """Run the work twice, to time it and to count its file operations. The results must be equal."""
    found = []
    for at in (-1, 0):
        begin(workplace)
        seconds = workplace.to_the_end(work.command, at)
        found.append((seconds, crash_commands.digests(work, workplace.out)))
    (seconds, first), (_, second) = found
    if not first or first != second:
        raise SystemExit(f"{work.name}: undisturbed work does not give the same twice: {first} {second}")
    return Reference(seconds, int(workplace.progress.read_text().split()[0]), first)


def begin(workplace: Workplace) -> None:
    """Empty the output folder."""
    shutil.rmtree(workplace.out, ignore_errors=True)
    workplace.out.mkdir(parents=True)


def trial(workplace: Workplace, work: crash_commands.Work, reference: Reference, number: int, rng: Any) -> list[Kill]:
    """Kill the work one to three times, then run it to the end."""
    begin(workplace)
    kills: list[Kill] = []
    words = work.command
    for _ in range(int(rng.integers(1, 4))):
        how = str(rng.choice(["time", "file", "write", "group", *(["worker"] if work.workers else [])]))
        one = kill(workplace, words, how, float(rng.random()), reference.seconds, reference.operations)
        if not one.point:
            break
        one.work, one.trial, one.number = work.name, number, len(kills) + 1
        there = crash_commands.digests(work, workplace.out)
        one.incomplete = sum(
            reference.digests.get(p) != d for p, d in there.items() if not crash_commands.may_be_incomplete(work, p)
        )
        kills.append(one)
        words = work.command + work.again
    if kills:
        workplace.to_the_end(words)
        kills[-1].differences = compare(workplace, work, reference, f"differs-{number}")
    return kills


def pair(
    workplace: Workplace, work: crash_commands.Work, reference: Reference, number: int, rng: Any
) -> tuple[tuple[int, ...], int]:
    """Run the same command twice at a time; return both exit codes and the number of differences at the end."""
    begin(workplace)
    first = workplace.start(work.command)
    time.sleep(float(rng.random()) * reference.seconds * (number // len(workplace.works) % 2))
    second = workplace.start(work.command)
    codes = tuple(process.wait(COMMAND_TIMEOUT_SECONDS) for process in (first, second))
    workplace.to_the_end(work.command + work.again)
    return codes, compare(workplace, work, reference, f"pair-differs-{number}")


def compare(workplace: Workplace, work: crash_commands.Work, reference: Reference, name: str) -> int:
    """Return the number of files that differ from undisturbed work; if there are any, copy the output to `name`."""
    other = reference.count_differences(crash_commands.digests(work, workplace.out))
    if other:
        shutil.copytree(workplace.out, workplace.base / name, dirs_exist_ok=True)
    return other


def table(kills: list[Kill]) -> str:
    """Return the Markdown table of all kills."""
    head = ["work", "kills", "how", "trials", "incomplete files", "left running", "differences at the end"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name in dict.fromkeys(one.work for one in kills):
        own = [one for one in kills if one.work == name]
        how = ", ".join(f"{count} {what}" for what, count in sorted(Counter(one.how for one in own).items()))
        cells = [name, len(own), how, len({one.trial for one in own})]
        cells += [sum(getattr(one, what) for one in own) for what in ("incomplete", "left_running", "differences")]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    if sys.argv[1:2] == ["child"]:
        child(int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), sys.argv[5:])
        return
    import numpy as np

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", help="Run only this kind of work.")
    parser.add_argument("--out", type=Path, help="CSV file to write, with a row for each kill.")
    options = parser.parse_args()
    base = options.workdir.resolve()
    make_folder(base / "out")
    print(f"scenelet {scenelet.__version__}, seed {options.seed}")
    with crash_commands.serving(base / "archives") as url:
        workplace = Workplace(base, url)
        crash_commands.prepare(
            base, lambda words: print(f"prepared: {words[0]}, {workplace.to_the_end(tuple(words)):.1f} s")
        )
        chosen = [work for work in workplace.works if options.work in (None, work.name)]
        references = {work.name: undisturbed(workplace, work) for work in chosen}
        for name, one in references.items():
            print(f"{name}: {one.seconds:.1f} s, {one.operations} file operations, {len(one.digests)} results")
        rng = np.random.default_rng(options.seed)
        for number in range(options.pairs):
            work = chosen[number % len(chosen)]
            codes, other = pair(workplace, work, references[work.name], number, rng)
            print(f"pair {number}", work.name, f"exit codes {codes}", f"{other} differences", sep="\t", flush=True)
        kills, number = list[Kill](), 0
        while len(kills) < options.kills:
            work = chosen[number % len(chosen)]
            found = trial(workplace, work, references[work.name], number, rng)
            kills, number = kills + found, number + 1
            for one in found:
                print(*asdict(one).values(), sep="\t", flush=True)
            if options.out is not None:
                make_folder(options.out.parent)
                names = [field.name for field in fields(Kill)]
                replace_file(options.out, csv_text(names, [list(asdict(one).values()) for one in kills]))
    print(table(kills))


if __name__ == "__main__":
    main()
