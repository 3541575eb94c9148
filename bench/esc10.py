"""ESC-10, one test fold, several seeds: train, compress, evaluate, and compare predict with evaluate.

    python bench/esc10.py ESC10 --out runs/esc10 --fold 1 --seeds 0 1 2

ESC10 is a folder with `meta.csv` (filename,label,fold,group) and `audio/`. Each seed is what these
commands do, and a seed that is finished is not run again:

    scenelet train ESC10 --recipe fast --fold 1 --seed S --out OUT/seedS
    scenelet compress OUT/seedS --out OUT/seedS.scn --sparsity 0.6
    scenelet evaluate OUT/seedS.scn ESC10 --fold 1 --out OUT/report-seedS
"""

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import scenelet
from scenelet.data.sources import load_table
from scenelet.files import replace_file
from scenelet.recipes import load_recipe
from scenelet.workflows.compress import compress
from scenelet.workflows.evaluate import evaluate
from scenelet.workflows.fit import fit


def run_seed(data: Path, out: Path, recipe: str, fold: str, seed: int, changes: list[str]) -> dict[str, Any]:
    """Everything for one seed; figures are accuracies on the test fold, minutes and bytes."""
    config = load_recipe(recipe, [*changes, f'split.fold="{fold}"', f"seed={seed}"])
    metrics = fit(data, out / f"seed{seed}", config, recipe=recipe, resume=(out / f"seed{seed}").exists())
    started = time.perf_counter()
    model = out / f"seed{seed}.scn"
    compressed = compress(out / f"seed{seed}", model, sparsity=0.6)
    minutes = (time.perf_counter() - started) / 60
    report = evaluate(str(model), data, out / f"report-seed{seed}", fold=fold)
    return {
        "seed": seed,
        "clips": report["clips"],
        "dense": metrics["test"]["accuracy"],
        "scn": report["accuracy"],
        "dense log loss": metrics["test"]["log_loss"],
        "scn log loss": report["log_loss"],
        "training minutes": metrics["minutes"],
        "compression minutes": minutes,
        "bytes": compressed["bytes"],
        "labels alike": labels_alike(model, data, out / f"report-seed{seed}"),
    }


def labels_alike(model: Path, data: Path, report: Path) -> int:
    """For how many clips `predict` gives the label that `evaluate` wrote down."""
    classifier = scenelet.load(model)
    paths = {clip.name: clip.path for clip in load_table(data).clips}
    rows = list(csv.DictReader((report / "predictions.csv").read_text().splitlines()))
    return sum(classifier.predict(paths[row["filename"]]).label == row["predicted"] for row in rows)


def markdown(rows: list[dict[str, Any]]) -> str:
    """A line a seed, and the means."""
    head = "| seed | dense, % | `.scn`, % | training, min | compression, min | bytes | same label |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for row in rows:
        shares = f"{100 * row['dense']:.2f} | {100 * row['scn']:.2f}"
        minutes = f"{row['training minutes']:.1f} | {row['compression minutes']:.1f}"
        alike = f"{row['labels alike']} of {row['clips']}"
        lines.append(f"| {row['seed']} | {shares} | {minutes} | {row['bytes']:,} | {alike} |")
    means = [f"{100 * sum(row[key] for row in rows) / len(rows):.2f}" for key in ("dense", "scn")]
    lines.append(f"| mean | {means[0]} | {means[1]} | | | | |")
    return "\n".join(lines)


def main() -> None:
    """Run the seeds that are missing and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--fold", default="1")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    settings = [options.recipe, options.fold, options.changes]
    rows = []
    for seed in options.seeds:
        result = options.out / f"seed{seed}.json"
        if not result.exists():
            row = run_seed(options.data, options.out, options.recipe, options.fold, seed, options.changes)
            row["settings"] = settings
            replace_file(result, json.dumps(row, indent=2) + "\n")
        rows.append(json.loads(result.read_text()))
        if rows[-1]["settings"] != settings:
            parser.error(f"{result} was made with other settings; choose another --out")
        print(markdown(rows), flush=True)


if __name__ == "__main__":
    main()
