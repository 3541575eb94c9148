"""Run the commands on a collection of awkward recordings and data sets, and write a table of outcomes.

    python -m benchmarks.robustness.inputs COLLECTION --out outcomes.csv

`COLLECTION/files` holds recordings, and each folder or table in `COLLECTION/data` is a data set. `predict` reads each
recording, and bulk `predict --out` all of them. `check`, `train` (one epoch of the recipe `demo`), `predict` and bulk
`predict --out` read each data set. A command may take 60 s. The table has the exit code, the seconds and the last
message of each run. A run is marked

- `traceback`: it printed one;
- `hang`: it took longer than 60 s;
- `unsaid`: it used fewer recordings than the data set holds, and no message says that something was left out.

The benchmark prints the counts, and ends with 1 if a run is marked.
"""

import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

LIMIT_SECONDS = 60
SOUND = {
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".aif", ".aiff", ".au", ".caf", ".w64"),
    *(".m4a", ".aac", ".wma", ".wv", ".webm", ".spx"),
}
"""Extensions of files that a user takes for recordings."""
SAID = re.compile(
    r"passed over|skipped|left out|not used|no clips|without|listed|rows|ignored|is a folder|recordings? in no|unused",
    re.IGNORECASE,
)
"""Words of the messages that say that something was left out."""


@dataclass(frozen=True)
class Outcome:
    """One run of a command."""

    input: str
    command: str
    code: int | None
    seconds: float
    mark: str
    message: str


def main() -> None:
    """Run the commands on the collection and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--out", type=Path, default=Path("outcomes.csv"))
    parser.add_argument("--only", default="", help="only inputs whose name holds this text")
    options = parser.parse_args()
    outcomes = []
    with options.out.open("w", newline="") as file:
        table = csv.DictWriter(file, list(Outcome.__dataclass_fields__))
        table.writeheader()
        for outcome in run_all(options.collection, options.only):
            outcomes.append(outcome)
            table.writerow(asdict(outcome))
            file.flush()
            if outcome.mark:
                print(f"{outcome.mark}: {outcome.command} {outcome.input}: {outcome.message}", flush=True)
    counts = Counter((outcome.command, outcome.mark or f"exit code {outcome.code}") for outcome in outcomes)
    for (command, what), count in sorted(counts.items()):
        print(f"{command:<8} {what:<12} {count:>4}")
    sys.exit(any(outcome.mark for outcome in outcomes))


def run_all(collection: Path, only: str) -> Iterator[Outcome]:
    """Run the commands on every recording and data set, and yield the outcomes."""
    files = [path for path in sorted((collection / "files").iterdir()) if only in path.name]
    for path in files:
        yield run(path.name, "predict", None, "predict", "esc10", path)
    with tempfile.TemporaryDirectory() as folder:
        if files:
            yield run("files", "bulk", len(files), "predict", "esc10", collection / "files", "--out", f"{folder}/bulk")
        for number, path in enumerate(sorted((collection / "data").iterdir())):
            if only not in path.name:
                continue
            held = sum(found.suffix.lower() in SOUND and is_recording(found) for found in path.rglob("*"))
            out = f"{folder}/{number}"
            yield run(path.name, "check", held, "check", path)
            quick = ("--recipe", "demo", "--set", "schedule.epochs=1", "--out", f"{out}-run")
            yield run(path.name, "train", held, "train", path, *quick)
            yield run(path.name, "predict", held, "predict", "esc10", path, "--format", "json")
            yield run(path.name, "bulk", held, "predict", "esc10", path, "--out", f"{out}-bulk")


def is_recording(path: Path) -> bool:
    """Return False for the hidden files that systems leave beside recordings."""
    return path.is_file() and not any(part.startswith("._") or part == "__MACOSX" for part in path.parts)


def run(name: str, command: str, held: int | None, *arguments: object) -> Outcome:
    """Run a command on an input that holds a number of recordings; None: it does not matter."""
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "scenelet", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        out, err = process.communicate(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        return Outcome(name, command, None, LIMIT_SECONDS, "hang", last_line(err))
    seconds = round(time.monotonic() - begin, 1)
    mark = "traceback" if "Traceback" in out + err else ""
    if not mark and held is not None and process.returncode == 0:
        used = count_used(command, out, err)
        if used is not None and used < held and not SAID.search(err):
            mark = "unsaid"
    message = last_line(err) if process.returncode else last_line(out)
    return Outcome(name, command, process.returncode, seconds, mark, message)


def count_used(command: str, out: str, err: str) -> int | None:
    """Return the number of recordings that a command used, by what it printed; None if it printed no number."""
    if command == "predict":
        return len(json.loads(out)) if out.startswith("[") else None
    found = re.search(r"([\d,]+) (?:clips?|inputs?|recordings?)", f"{err}\n{out}")
    return int(found[1].replace(",", "")) if found else None


def last_line(text: str) -> str:
    """Return the last line that is not empty, with the folders of paths left out."""
    lines = [line for line in text.splitlines() if line.strip()]
    return re.sub(r"(?<![\w.])/(?:[^\s:,;'\"()]+/)+", ".../", lines[-1])[:300] if lines else ""


if __name__ == "__main__":
    main()
