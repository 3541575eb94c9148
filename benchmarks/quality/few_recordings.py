"""Compare three ways to train on few recordings: from random weights, from trained weights, and a frozen network.

    python -m benchmarks.quality.few_recordings --data ESC10 --out few --part 1/2 &
    python -m benchmarks.quality.few_recordings --data ESC10 --out few --part 2/2
    python -m benchmarks.quality.few_recordings --data ESC10 --out few --results benchmarks/results/few_recordings.json

The classes are divided into two halves. A source network is trained on the clips of one half outside of the test fold.
So it has seen no class and no clip of the other half, the target. For each number of clips per class, five draws of the
target's clips outside of the test fold are trained on: all weights from random ones, all weights from those of the
source (`--from`), and only the last layer (`--from`, frozen). All are tested on the target's clips of the test fold.
Then the halves are exchanged.

Each training is stored in a folder of its own in OUT. A second call continues where the first one was interrupted. Set
OMP_NUM_THREADS=1 if several parts run at once.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import is_finished, read_record
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.load import load_table
from scenelet.errors import BusyError, SceneletError, UsageError
from scenelet.evaluation.bootstrap import interval_text
from scenelet.training.dataset import load_dataset
from scenelet.training.network import load_network
from scenelet.training.probabilities import clip_probabilities
from scenelet.training.train import train
from scenelet.utils.files import make_folder, replace_file

CLIPS_PER_CLASS = (5, 10, 20)
DRAWS = 5
ROUNDS = 2000  # of the bootstrap
METHODS: dict[str, bool | None] = {"from random weights": None, "from trained weights": False, "frozen": True}
"""Value of `transfer.freeze` of each method; None: without a source."""


@dataclass(frozen=True)
class Case:
    """One training on the target half."""

    half: int  # half of the classes that is the target
    count: int  # training clips of each class
    draw: int
    method: str

    @property
    def name(self) -> str:
        """Name of its folder and of its file of results."""
        return f"target{self.half}-{self.count}-{self.draw}-{self.method.replace(' ', '_')}"


def cases(halves: Sequence[int]) -> Iterator[Case]:
    """Yield all cases: those of the first half first, and few clips first, which take the least time."""
    for half in halves:
        for count in CLIPS_PER_CLASS:
            for draw in range(DRAWS):
                for method in METHODS:
                    yield Case(half, count, draw, method)


def half_labels(table: ClipTable, half: int) -> tuple[str, ...]:
    """Return every second class, so that similar names are in both halves."""
    return table.labels[half::2]


def half_table(table: ClipTable, half: int, fold: str, count: int | None = None, draw: int = 0) -> ClipTable:
    """Return the clips of one half of the classes, with a split.

    Args:
        table: all clips.
        half: 0 or 1.
        fold: the fold of the test clips.
        count: training clips of each class, drawn in whole groups, of which the last may be cut; None: all.
        draw: seed of the draw.
    """
    rng = np.random.default_rng([draw, half])
    clips: list[Clip] = []
    for label in half_labels(table, half):
        own = [clip for clip in table.clips if clip.label == label]
        clips += [replace(clip, split="test", fold=None) for clip in own if clip.fold == fold]
        rest = [clip for clip in own if clip.fold != fold]
        groups = sorted({clip.group for clip in rest})
        rank = {groups[index]: place for place, index in enumerate(rng.permutation(len(groups)))}
        chosen = sorted(rest, key=lambda clip: (rank[clip.group], clip.name))[:count]
        clips += [replace(clip, split="train", fold=None) for clip in chosen]
    return replace(table, clips=tuple(sorted(clips, key=lambda clip: clip.name)))


def train_source(table: ClipTable, half: int, fold: str, config: RunConfig, out: Path) -> Path:
    """Train the source of a target half on the other half, or find it finished. Another process may be training it."""
    folder = out / f"source{1 - half}"
    if not is_finished(folder):
        train(half_table(table, 1 - half, fold), folder, config, resume=True, description=folder.name)
    return folder


def run_case(case: Case, table: ClipTable, fold: str, config: RunConfig, out: Path) -> None:
    """Train and test a case, and store the hits of its test clips."""
    clips = half_table(table, case.half, fold, case.count, case.draw)
    freeze = METHODS[case.method]
    own = config.model_copy(update={"seed": case.draw})
    source = None
    if freeze is not None:
        source = train_source(table, case.half, fold, config, out)
        own = own.model_copy(update={"transfer": own.transfer.model_copy(update={"freeze": freeze})})
    folder = out / case.name
    metrics = train(clips, folder, own, source=source, resume=True, description=case.name)
    dataset = load_dataset(clips, own)
    assert dataset.test is not None
    probabilities = clip_probabilities(load_network(folder, read_record(folder)), dataset.test.features)
    result = {
        "clips": dataset.test.names,
        "groups": [clip.group for clip in dataset.split.test],
        "targets": dataset.test.targets.tolist(),
        "answers": probabilities.argmax(1).tolist(),
        "log_loss": metrics["test"]["log_loss"],
        "minutes": metrics["minutes"],
    }
    replace_file(out / f"{case.name}.json", json.dumps(result) + "\n")


def run_part(part: str, table: ClipTable, fold: str, config: RunConfig, out: Path, halves: Sequence[int]) -> None:
    """Run the cases of one part, e.g. the first of two: "1/2". Those of a source that is being trained come later."""
    number, _, parts = part.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise UsageError(f"--part {part}: write it as 1/2")
    waiting = [
        case for index, case in enumerate(cases(halves)) if index // len(METHODS) % int(parts) == int(number) - 1
    ]
    waiting = [case for case in waiting if not (out / f"{case.name}.json").exists()]
    while waiting:
        later = []
        for case in waiting:
            try:
                run_case(case, table, fold, config, out)
            except BusyError:
                later.append(case)
        if len(later) == len(waiting):
            raise UsageError(f"{out}: another process trains the source; call this again when it is trained")
        waiting = later


def summarize(out: Path, halves: Sequence[int]) -> dict[str, Any]:
    """Return the macro accuracy of each method, and the difference to the first one, with 95 % intervals.

    Only draws of which all methods are finished count, so that methods are compared on the same clips.
    """
    rows = []
    for count in CLIPS_PER_CLASS:
        done = [
            results
            for half in halves
            for draw in range(DRAWS)
            if (results := _read_draw(out, half, count, draw)) is not None
        ]
        for method in METHODS if done else ():
            hits = [results[method] for results in done]
            row = {
                "clips_per_class": count,
                "method": method,
                "macro_accuracy": interval(hits),
                "by_draw": {draw.name: _macro(draw.hits, draw.targets) for draw in hits},
                "log_loss": float(np.mean([draw.log_loss for draw in hits])),
                "minutes": float(np.mean([draw.minutes for draw in hits])),
            }
            first = next(iter(METHODS))
            if method != first:
                gains = [
                    replace(own, hits=own.hits - results[first].hits) for own, results in zip(hits, done, strict=True)
                ]
                row["difference"] = interval(gains)
            rows.append(row)
    return {"rows": rows}


@dataclass(frozen=True)
class DrawResult:
    """Hits of one training on the test clips."""

    name: str
    half: int
    hits: NDArray[np.float64]
    targets: NDArray[np.int64]
    groups: tuple[str, ...]
    log_loss: float
    minutes: float


def _read_draw(out: Path, half: int, count: int, draw: int) -> dict[str, DrawResult] | None:
    """Return the results of each method on one draw, or None if some are missing."""
    results = {}
    for method in METHODS:
        path = out / f"{Case(half, count, draw, method).name}.json"
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        targets = np.array(found["targets"])
        hits = (np.array(found["answers"]) == targets).astype(np.float64)
        about = found["log_loss"], found["minutes"]
        results[method] = DrawResult(f"target {half}, draw {draw}", half, hits, targets, tuple(found["groups"]), *about)
    return results


def interval(draws: Sequence[DrawResult]) -> dict[str, float]:
    """Return the mean over draws of the macro accuracy, and its percentile bootstrap interval.

    Each round draws training draws with replacement, and groups of test clips within each class.
    """
    rng = np.random.default_rng(0)
    rounds = np.array([_resampled(draws, rng) for _ in range(ROUNDS)])
    low, high = np.quantile(rounds, [0.025, 0.975])
    value = float(np.mean([_macro(draw.hits, draw.targets) for draw in draws]))
    return {"value": value, "low": float(low), "high": float(high)}


def _resampled(draws: Sequence[DrawResult], rng: np.random.Generator) -> float:
    values = []
    for half in sorted({draw.half for draw in draws}):
        own = [draw for draw in draws if draw.half == half]
        hits = np.mean([own[index].hits for index in rng.integers(len(own), size=len(own))], axis=0)
        targets, groups = own[0].targets, np.array(own[0].groups)
        for target in np.unique(targets):
            names = np.unique(groups[targets == target])
            drawn = rng.choice(names, len(names))
            values.append(np.mean(np.concatenate([hits[(groups == name) & (targets == target)] for name in drawn])))
    return float(np.mean(values))


def _macro(hits: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    return float(np.mean([hits[targets == target].mean() for target in np.unique(targets)]))


def print_summary(summary: dict[str, Any]) -> None:
    """Print the results as a Markdown table."""
    print("| clips per class | method | macro accuracy, % | difference | draws, lowest to highest | minutes |")
    print("|---|---|---|---|---|---|")
    for row in summary["rows"]:
        draws = sorted(100 * value for value in row["by_draw"].values())
        difference = interval_text(row["difference"], 1, 100, sign=True) if "difference" in row else ""
        print(
            f"| {row['clips_per_class']} | {row['method']} | {interval_text(row['macro_accuracy'], 1, 100)}"
            f" | {difference} | {draws[0]:.1f} to {draws[-1]:.1f} of {len(draws)} | {row['minutes']:.1f} |"
        )


def main() -> None:
    """Run a part of the trainings, or summarize all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="data set with folds and ten classes")
    parser.add_argument("--out", type=Path, required=True, help="folder of the trainings")
    parser.add_argument("--fold", default="1", help="fold of the test clips (default: 1)")
    parser.add_argument("--recipe", default="default", help="recipe of all trainings (default: default)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--target", type=int, choices=(0, 1), help="half of the classes (default: one after the other)")
    parser.add_argument("--part", default="1/1", help="part of the trainings to run, e.g. 1/2 (default: all)")
    parser.add_argument("--results", type=Path, help="summarize the finished trainings into this JSON file instead")
    options = parser.parse_args()
    halves = (0, 1) if options.target is None else (options.target,)
    try:
        if options.results is not None:
            settings = {"recipe": options.recipe, "changes": options.set, "fold": options.fold, "draws": DRAWS}
            summary = settings | summarize(options.out, halves)
            replace_file(options.results, json.dumps(summary, indent=1) + "\n")
            print_summary(summary)
            return
        make_folder(options.out)
        config = load_recipe(options.recipe, options.set)
        run_part(options.part, load_table(options.data), options.fold, config, options.out, halves)
    except SceneletError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
