"""Kills work at random moments, gives the same command again, and looks whether its end is that of undisturbed work.

    python benchmarks/robustness/crashes.py WORKDIR --kills 200 --pairs 20 --seed 0 --out benchmarks/results/crashes.csv

Five kinds of work (`crash_works.py`). Each is done once undisturbed, which says how long it takes, how many file
operations it needs and what its results are. Then, again and again, it is begun anew, killed one to three times and
given to the end. All kills are SIGKILL:

- time: the process, at a random moment of that time; its workers have to end by themselves;
- file: the process, from within, before a random one of its file operations (open to write, rename, remove, ...);
- write: the process, as soon as one of the first changes of its files is seen from outside;
- group: it and all its workers at once, at a random moment;
- worker: one of its workers, half of them as soon as it is there, the others at a random moment; the process has to
  say so and end by itself.

After every kill what lies under its own name has to be whole; in the end all has to be alike, byte for byte.

A pair is the same command twice, begun at once or the second at a random moment of the first: one of them ends well at
least, and after the command is given once more, all has to be alike too.
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
from benchmarks.robustness import crash_commands as rooms
from benchmarks.robustness.crash_kills import HANGS_SECONDS, Bench, Kill, child, kill
from scenelet.utils.files import csv_text, make_folder, replace_file


@dataclass(frozen=True)
class Reference:
    """Undisturbed work: its seconds, file operations and results."""

    seconds: float
    operations: int
    digests: rooms.Digests

    def other(self, there: rooms.Digests) -> int:
        """Files that are not the same, or on one side only."""
        return sum(there.get(path) != self.digests.get(path) for path in {*there, *self.digests})


def undisturbed(bench: Bench, work: rooms.Work) -> Reference:
    """Do it twice: once to see how long it takes, once to count file operations; the results must be alike."""
    found = []
    for at in (-1, 0):
        begin(bench)
        seconds = bench.to_the_end(work.command, at)
        found.append((seconds, rooms.digests(work, bench.out)))
    (seconds, first), (_, second) = found
    if not first or first != second:
        raise SystemExit(f"{work.name}: undisturbed work does not give the same twice: {first} {second}")
    return Reference(seconds, int(bench.told.read_text().split()[0]), first)


def begin(bench: Bench) -> None:
    """Nothing is there."""
    shutil.rmtree(bench.out, ignore_errors=True)
    bench.out.mkdir(parents=True)


def trial(bench: Bench, work: rooms.Work, reference: Reference, number: int, rng: Any) -> list[Kill]:
    """Work that is killed one to three times and then given to the end."""
    begin(bench)
    kills: list[Kill] = []
    words = work.command
    for _ in range(int(rng.integers(1, 4))):
        how = str(rng.choice(["time", "file", "write", "group", *(["worker"] if work.workers else [])]))
        one = kill(bench, words, how, float(rng.random()), reference.seconds, reference.operations)
        if not one.point:
            break
        one.work, one.trial, one.number = work.name, number, len(kills) + 1
        there = rooms.digests(work, bench.out)
        one.halves = sum(reference.digests.get(p) != d for p, d in there.items() if not rooms.grown(work, p))
        kills.append(one)
        words = work.command + work.again
    if kills:
        bench.to_the_end(words)
        kills[-1].differences = compare(bench, work, reference, f"differs-{number}")
    return kills


def pair(bench: Bench, work: rooms.Work, reference: Reference, number: int, rng: Any) -> tuple[tuple[int, ...], int]:
    """The same command twice at once; returns both exit codes and the differences in the end."""
    begin(bench)
    first = bench.start(work.command)
    time.sleep(float(rng.random()) * reference.seconds * (number // len(bench.works) % 2))
    second = bench.start(work.command)
    codes = tuple(process.wait(HANGS_SECONDS) for process in (first, second))
    bench.to_the_end(work.command + work.again)
    return codes, compare(bench, work, reference, f"pair-differs-{number}")


def compare(bench: Bench, work: rooms.Work, reference: Reference, name: str) -> int:
    """Files that are not those of undisturbed work; where there are some, all is kept as `name`."""
    other = reference.other(rooms.digests(work, bench.out))
    if other:
        shutil.copytree(bench.out, bench.base / name, dirs_exist_ok=True)
    return other


def table(kills: list[Kill]) -> str:
    """What was found, as Markdown."""
    head = ["work", "kills", "how", "trials", "half files", "left running", "differences in the end"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name in dict.fromkeys(one.work for one in kills):
        own = [one for one in kills if one.work == name]
        how = ", ".join(f"{count} {what}" for what, count in sorted(Counter(one.how for one in own).items()))
        cells = [name, len(own), how, len({one.trial for one in own})]
        cells += [sum(getattr(one, what) for one in own) for what in ("halves", "left_running", "differences")]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    """Kill, compare and write."""
    if sys.argv[1:2] == ["child"]:
        child(int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), sys.argv[5:])
        return
    import numpy as np

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", help="One kind of work alone.")
    parser.add_argument("--out", type=Path, help="A CSV with a row for each kill.")
    options = parser.parse_args()
    base = options.workdir.resolve()
    make_folder(base / "out")
    print(f"scenelet {scenelet.__version__}, seed {options.seed}")
    with rooms.serving(base / "archives") as url:
        bench = Bench(base, url)
        rooms.prepare(base, lambda words: print(f"made: {words[0]}, {bench.to_the_end(tuple(words)):.1f} s"))
        chosen = [work for work in bench.works if options.work in (None, work.name)]
        references = {work.name: undisturbed(bench, work) for work in chosen}
        for name, one in references.items():
            print(f"{name}: {one.seconds:.1f} s, {one.operations} file operations, {len(one.digests)} results")
        rng = np.random.default_rng(options.seed)
        for number in range(options.pairs):
            work = chosen[number % len(chosen)]
            codes, other = pair(bench, work, references[work.name], number, rng)
            print(f"pair {number}", work.name, f"exit codes {codes}", f"{other} differences", sep="\t", flush=True)
        kills, number = list[Kill](), 0
        while len(kills) < options.kills:
            work = chosen[number % len(chosen)]
            found = trial(bench, work, references[work.name], number, rng)
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
