"""List the commands that produce the numbers of docs/results.md, with their minutes, or run them.

    python tools/results.py                       the commands and their minutes, as measured before
    python tools/results.py ESC10 --out results   run the unfinished ones in that folder
    python tools/results.py ESC10 --out results --only "the best recipe"

ESC10 is a folder with `meta.csv` (filename,label,fold,group; and source,license for the model that comes with
scenelet) and `audio/`. Trainings run as one process per core with one thread each, which takes less time than one
process on all cores. When the script is interrupted and repeated, it resumes, and the minutes in `times.json` add up.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from scenelet.utils.console import print_message
from scenelet.utils.files import replace_file
from scenelet.utils.parallel import cpu_count

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "benchmarks" / "results" / "times.json"
SEARCH = {
    "1-front-ends": "--fold 1+2",
    "2-augmentations": "--fold 1+2",
    "3-training": "--fold 1+2",
    "4-choice": "--fold 1+2 --fold 3+4 --fold 5+1",
    "5-averages": "--fold 1+2 --fold 3+4 --fold 5+1",
    "6-further": "--fold 3+4",
    "7-frames": "--fold 1+2 --fold 3+4 --fold 5+1",
    "8-norm": "--fold 1+2",
    "9-networks": "--fold 1+2 --fold 3+4",
    "10-mixers": "--fold 1+2 --fold 3+4",
    "11-waveforms": "--fold 1+2 --fold 3+4",
    "12-teachers": "--fold 1+2 --fold 3+4",
    "13-ensembles": "--fold 1+2 --fold 3+4",
    "14-fine-tuning": "--fold 1+2 --fold 3+4",
}


@dataclass(frozen=True)
class Step:
    """Command, and whether several processes may share its work."""

    name: str
    command: str
    shared: bool = True


STEPS = (
    *(
        Step(
            f"the search, {table}",
            f"scenelet reproduce benchmarks/tables/search/{table}.toml {{data}} --out {{out}} {folds}",
        )
        for table, folds in SEARCH.items()
    ),
    Step("the best recipe", "scenelet reproduce default {data} --out {out}"),
    Step(
        "the best recipe, and what it was before",
        "scenelet reproduce benchmarks/tables/previous_best.toml {data} --out {out}",
    ),
    Step(
        "small files and a small network",
        "scenelet reproduce benchmarks/tables/sizes.toml {data} --out {out}",
    ),
    Step(
        "pruned at once or step by step", "scenelet reproduce benchmarks/tables/gradual_pruning.toml {data} --out {out}"
    ),
    Step("two small networks", "scenelet reproduce benchmarks/tables/bc_resnet.toml {data} --out {out} --fold 1"),
    Step(
        "other labels and made scenes", "python -m benchmarks.quality.transfer {data} --out {out}/other", shared=False
    ),
    Step(
        "the default against a single network, three classes",
        "scenelet reproduce benchmarks/tables/transfer.toml {out}/other/three.csv --audio-dir {data}/audio --fold 3"
        " --out {out}/other/three",
    ),
    *(
        Step(
            f"the default against a single network, made scenes {seed}",
            f"scenelet reproduce benchmarks/tables/transfer.toml {{out}}/other/scenes-{seed}"
            f" --out {{out}}/other/made-{seed}",
        )
        for seed in (0, 1)
    ),
    Step("the model that comes with scenelet", "python tools/release_model.py {data} --out {out}/ship", shared=False),
    Step("TensorFlow Lite files", "python -m benchmarks.quality.tflite esc10 --data {data} --fold 1", shared=False),
    Step("Table 3", "scenelet reproduce benchmarks/tables/kaiming_table3.toml {data} --out {out}"),
    Step("Table 4", "scenelet reproduce benchmarks/tables/kaiming_table4.toml {data} --out {out}"),
    Step("uneven classes", "scenelet reproduce imbalance {data} --out {out}"),
    Step("ablation", "scenelet reproduce ablation {data} --out {out} --fold 1"),
    Step(
        "made scenes",
        "python -m benchmarks.quality.synthetic_scenes --seeds 5 --network --json {out}/made_scenes.json",
        shared=False,
    ),
)


def run(step: Step, data: Path, out: Path) -> None:
    """Run a step's command.

    Raises:
        SystemExit: it failed.
    """
    command = step.command.format(data=shlex.quote(str(data)), out=shlex.quote(str(out)))
    first, *rest = shlex.split(command)
    words = [str(Path(sys.executable).with_name(first)), *rest]
    jobs = cpu_count() if step.shared else 1
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} if jobs > 1 else None
    print_message(f"{step.name}: {command}")
    processes = [subprocess.Popen(words, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(jobs)]
    codes = [process.wait() for process in processes]
    if any(codes):
        raise SystemExit(f"{step.name}: failed, see above; repeat the command to continue")


def listing(minutes: dict[str, float]) -> str:
    """Return a Markdown table with a line for each step."""
    lines = ["| what | command | minutes |", "|---|---|---|"]
    for step in STEPS:
        taken = f"{minutes[step.name]:,.1f}" if step.name in minutes else "not measured"
        lines.append(f"| {step.name} | `{step.command.format(data='ESC10', out='results')}` | {taken} |")
    return "\n".join(lines)


def main() -> None:
    """List the commands, or run them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="ESC-10; without it the commands are listed")
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--only", choices=[step.name for step in STEPS], action="append")
    options = parser.parse_args()
    if options.data is None:
        print(listing(json.loads(MEASURED.read_text())["minutes"] if MEASURED.exists() else {}))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    times = options.out / "times.json"
    data, out = options.data.resolve(), options.out.resolve()
    minutes: dict[str, float] = json.loads(times.read_text())["minutes"] if times.exists() else {}
    for step in STEPS:
        if options.only is None or step.name in options.only:
            started = time.perf_counter()
            try:
                run(step, data, out)
            finally:  # stopped too: the next call adds to it
                minutes[step.name] = minutes.get(step.name, 0.0) + (time.perf_counter() - started) / 60
                replace_file(times, json.dumps({"cores": cpu_count(), "minutes": minutes}, indent=2) + "\n")
    print(listing(minutes))


if __name__ == "__main__":
    main()
