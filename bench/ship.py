"""The model that comes with scenelet: trained on folds 2 to 5 of ESC-10, tested on fold 1, with its card.

    python bench/ship.py ESC10 --out runs/ship

ESC10 is a folder with `meta.csv` (filename,label,fold,group,source,license; the last two say whose each recording is,
and under which terms) and `audio/`. It is what these commands do:

    scenelet train ESC10 --recipe best --fold 1 --out OUT/run
    scenelet compress OUT/run --out OUT/esc10.scn --budget 500kB
    scenelet evaluate OUT/esc10.scn ESC10 --out OUT/report

and into src/scenelet/models/ go the model, `esc10.md`, its card, `esc10.predictions.csv`, its answer to every test
clip, `esc10.sources.csv`, whose recordings it learnt from, and a test clip to try it on.
"""

import argparse
import csv
from collections import Counter
from pathlib import Path
from typing import Any

from scenelet.data.sources import load_table
from scenelet.data.splits import make_split
from scenelet.describe import describe
from scenelet.files import csv_text, replace_file
from scenelet.intervals import interval_text
from scenelet.recipes import load_recipe
from scenelet.workflows.compress import compress
from scenelet.workflows.evaluate import evaluate
from scenelet.workflows.fit import fit

SOURCE_COLUMNS = ["filename", "source", "license"]
MODELS = Path(__file__).parent.parent / "src" / "scenelet" / "models"
NAME, RECIPE, FOLD, BUDGET = "esc10", "best", "1", 500_000
EXAMPLE = "1-100032-A.ogg"  # the first clip of fold 1 in the table that is CC0

CARD = """# esc10

Ten kinds of environmental sound: {labels}. One file of {bytes:,} bytes, made by scenelet's `{recipe}` recipe.

```console
$ scenelet predict esc10 recording.wav
```

| on the {clips} clips of fold 1 ({groups} original recordings), which it never heard | |
|---|---|
| macro accuracy, % [95 %] | {accuracy} |
| log loss [95 %] | {log_loss} |
| before pruning and fp16: macro accuracy, % | {dense:.2f} |

| class | clips | right | mistaken for |
|---|---|---|---|
{classes}

{kept:,} of {parameters:,} parameters kept; {macs:,} multiply-accumulates for {seconds:g} s of sound at {rate:,} Hz.
Every answer to a test clip is in `esc10.predictions.csv`; `scenelet evaluate esc10 ESC10` computes them again.

**What it is not.** It knows ten sounds and answers with one of them whatever it hears; its probabilities were not
calibrated on anything but its training. It learnt from {train} clips, so a clip of a kind that it has not met may well
be taken for another. The figures are of one training and one fold; `docs/results.md` has all five.

**Data and licence.** ESC-10, CC-BY 3.0 as a set: K. J. Piczak, "ESC: Dataset for Environmental Sound Classification",
ACM Multimedia 2015, https://doi.org/10.1145/2733373.2806390, cut from recordings that were shared on Freesound. Of the
{train} clips that it learnt from, {licences}; `esc10.sources.csv` names the author and
the licence of each, as these ask. The model file is under CC-BY 3.0 too. `esc10.example.ogg` is {example} of fold 1:
{example_source}, {example_licence}.
"""


def card(
    report: dict[str, Any],
    result: dict[str, Any],
    described: dict[str, Any],
    authors: list[dict[str, str]],
    example: dict[str, str],
) -> str:
    """The card of the model, from what was measured, and from whose recordings it learnt."""
    licences = Counter(row["license"] for row in authors).most_common()
    intervals = report["intervals"]
    rows = []
    for label, row in zip(report["labels"], report["confusion"], strict=True):
        wrong = [f"{other} {n}" for other, n in zip(report["labels"], row, strict=True) if n and other != label]
        right = row[report["labels"].index(label)]
        rows.append(f"| {label} | {sum(row)} | {right} | {', '.join(wrong)} |")
    return CARD.format(
        labels=", ".join(report["labels"]),
        bytes=described["bytes"]["disk"],
        recipe=RECIPE,
        clips=report["clips"],
        groups=report["groups"],
        accuracy=interval_text(intervals["macro_accuracy"], 2, 100),
        log_loss=interval_text(intervals["log_loss"], 3),
        dense=100 * result["dense"]["test"]["macro_accuracy"],
        classes="\n".join(rows),
        kept=described["parameters_kept"],
        parameters=described["parameters"],
        macs=described["macs"],
        seconds=described["window"]["seconds"],
        rate=described["features"]["sample_rate"],
        train=len(authors),
        licences=", ".join(f"{count} are {licence}" for licence, count in licences),
        example=example["filename"],
        example_source=example["source"],
        example_licence=example["license"],
    )


def sources(data: Path, names: set[str]) -> list[dict[str, str]]:
    """filename, source and license of the clips of these names."""
    with (data / "meta.csv").open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if not {"source", "license"} <= set(rows.fieldnames or ()):
            raise SystemExit(
                f"{data / 'meta.csv'}: has no columns source and license, which say whose the recordings are"
            )
        return [{key: row[key] for key in SOURCE_COLUMNS} for row in rows if row["filename"] in names]


def main() -> None:
    """Train, compress, evaluate, and write what is shipped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    config = load_recipe(RECIPE, [f'split.fold="{FOLD}"'])
    run, model = options.out / "run", options.out / f"{NAME}.scn"
    table = load_table(options.data)
    train = make_split(table, config.split).train
    authors = sources(options.data, {clip.name for clip in train})
    fit(options.data, run, config, recipe=RECIPE, resume=run.exists())
    result = compress(run, model, budget=BUDGET)
    report = evaluate(str(model), options.data, options.out / "report")
    (example,) = sources(options.data, {EXAMPLE})
    page = card(report, result, describe(model), authors, example)
    replace_file(MODELS / f"{NAME}.example.ogg", (options.data / "audio" / EXAMPLE).read_bytes())
    replace_file(MODELS / f"{NAME}.predictions.csv", (options.out / "report" / "predictions.csv").read_bytes())
    replace_file(MODELS / f"{NAME}.sources.csv", csv_text(SOURCE_COLUMNS, (list(row.values()) for row in authors)))
    replace_file(MODELS / f"{NAME}.md", page)
    replace_file(MODELS / f"{NAME}.scn", model.read_bytes())


if __name__ == "__main__":
    main()
