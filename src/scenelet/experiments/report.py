"""Files of a comparison: Markdown, JSON and CSV."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scenelet.errors import UsageError
from scenelet.evaluation.bootstrap import binomial_half_width, interval_text
from scenelet.experiments.choices_report import choices_markdown
from scenelet.experiments.comparison import SystemResult
from scenelet.experiments.device_metrics import device_table
from scenelet.experiments.results import trials_csv
from scenelet.utils.files import replace_files
from scenelet.utils.text import first_few, markdown_table, pluralize

MAX_SHOWN_CLASSES = 3  # their accuracies fit into a column
BEST_EPOCH = "best epoch on the test fold, %, not quotable"
BEST_EPOCH_NOTE = (
    "Best epoch on the test fold: the mean over trials of the highest macro accuracy of any epoch of the last training"
    " on the test clips. These clips choose the epoch, so the figure is too high. It only compares with results of the"
    " same protocol. Do not quote it as an accuracy."
)
CHECKPOINTS = {"last": "the last epoch", "validation": "the best epoch on validation"}


def check_same_results(folder: Path, name: str, title: str, data: str, settings: Mapping[str, Any]) -> None:
    """Check that the files of an earlier table with this name have the same title, data and settings.

    Args:
        folder, name: folder and name of the files.
        title: title of the table.
        data: description of the data.
        settings: name of each system -> its settings.

    Raises:
        UsageError: the files belong to another table, which must not be overwritten.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        return
    try:
        old = json.loads(path.read_bytes())
        old_title, old_data = old["title"], old["data"]
        old_settings = {row["name"]: row["settings"] for row in old["rows"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f"{path}: not a table of systems; move it away, or choose another --out") from None
    if old_title != title:
        raise UsageError(f"{path}: is another table ({old_title}); choose another --out, or rename the table")
    if old_data != data:
        raise UsageError(f"{path}: is about other data ({old_data}); choose another --out")
    for row in old_settings.keys() & settings.keys():
        old, new = old_settings[row], settings[row]
        if old != new:
            changed = next(key for key in sorted({*old, *new}) if old.get(key) != new.get(key))
            raise UsageError(
                f"{path}: is from another table, recipe or machine ({changed} of {row!r} was"
                f" {old.get(changed, 'the default')} and is {new.get(changed, 'the default')}); choose another --out"
            )


def write_comparison(folder: Path, compared: Mapping[str, Any], results: Sequence[SystemResult]) -> None:
    """Write `NAME.md`, `NAME.json` and `NAME-trials.csv`. If the JSON file exists, all come from the same write.

    Only the CSV changes if a trial is computed again, since it holds durations.

    Args:
        folder: the folder to write into; it exists.
        compared: the result of `scenelet.experiments.comparison.compare`.
        results: the trials of each system.

    Raises:
        OutputError: a file cannot be written.
    """
    trials = [(result.system.name, trial) for result in results for trial in result.trials]
    name = folder / compared["name"]
    replace_files(
        {
            Path(f"{name}-trials.csv"): trials_csv(trials),
            Path(f"{name}.md"): markdown(compared),
            Path(f"{name}.json"): json.dumps(compared, indent=2) + "\n",
        }
    )


def markdown(compared: Mapping[str, Any]) -> str:
    """Format the result of `scenelet.experiments.comparison.compare`: a title, a row per system, and notes."""
    with_paper = any(row["paper"] for row in compared["rows"])
    with_seeds = any(len(row.get("by_seed", ())) > 1 for row in compared["rows"])
    with_epochs = any(row.get("best_test_epoch") is not None for row in compared["rows"])
    columns = ["system", "macro accuracy here, % [95 %]", "against reference, points [95 %]", "p", "log loss [95 %]"]
    columns += ["parameters kept", "size, kB", "file, bytes"]
    columns += ["by seed, %"] if with_seeds else []
    columns += [BEST_EPOCH] if with_epochs else []
    columns += [f"{compared['paper_name']}: accuracy, %", "parameters", "size"] if with_paper else []
    mean = [compared["mean_row"]] if compared["mean_row"] else []
    own_columns = [
        *(_own_columns(row, compared["reference"]) for row in compared["rows"]),
        *(_mean_columns(row) for row in mean),
    ]
    # the ± is that of one row, not of their mean
    paper_clips = [*[compared["paper_clips"]] * len(compared["rows"]), *[None for _ in mean]]
    rows = [
        own
        + _training_columns(row, with_seeds, with_epochs)
        + (_paper_columns(row["paper"], clips) if with_paper else [])
        for own, row, clips in zip(own_columns, [*compared["rows"], *mean], paper_clips, strict=True)
    ]
    notes = [f"- {note}" for note in [*_notes(compared), *([BEST_EPOCH_NOTE] if with_epochs else [])]]
    choices = ["", *choices_markdown(compared)] if compared["choices"] else []
    devices = ["", *table] if (table := device_table(compared["rows"], compared["mean_row"])) else []
    lines = [f"## {compared['title']}", "", *markdown_table(columns, rows), "", *notes, *devices, *choices]
    return "\n".join(lines) + "\n"


def _own_columns(row: Mapping[str, Any], reference: str) -> list[str]:
    name = row["name"]
    if row["trials"] != row["trials_expected"]:
        name += f" ({row['trials']} of {pluralize(row['trials_expected'], 'trial')})"
    if "macro_accuracy" not in row:
        return [name, *[""] * 7]
    test = row["against_reference"]
    difference, p = ("reference", "") if row["name"] == reference else ("", "")
    if test is not None:
        difference, p = interval_text(test["difference"], 2, 100, sign=True), f"{test['p']:.4f}"
    return [
        name,
        _accuracy(row),
        difference,
        p,
        interval_text(row["log_loss"], 3),
        f"{row['parameters_kept']:,}",
        f"{row['bytes']['paper'] / 1000:,.2f}",
        f"{row['bytes']['disk']:,}",
    ]


def _mean_columns(row: Mapping[str, Any]) -> list[str]:
    """Format the mean over the rows, which has no sizes and no test."""
    if "macro_accuracy" not in row:
        return [row["name"], *[""] * 7]
    return [row["name"], _accuracy(row), "", "", interval_text(row["log_loss"], 3), "", "", ""]


def _accuracy(row: Mapping[str, Any]) -> str:
    accuracies = [f"{100 * own['value']:.1f}" for own in row["per_class"].values()]
    classes = f" ({', '.join(accuracies)})" if len(accuracies) <= MAX_SHOWN_CLASSES else ""
    return interval_text(row["macro_accuracy"], 2, 100) + classes


def _training_columns(row: Mapping[str, Any], with_seeds: bool, with_epochs: bool) -> list[str]:
    seeds = " ".join(f"{100 * seed['macro_accuracy']:.2f}" for seed in row.get("by_seed", ()))
    best = row.get("best_test_epoch")
    return [*([seeds] if with_seeds else []), *(["" if best is None else f"{100 * best:.2f}"] if with_epochs else [])]


def _paper_columns(paper: Mapping[str, Any] | None, clips: int | None) -> list[str]:
    if paper is None:
        return ["", "", ""]
    accuracy = f"{paper['accuracy']:.2f}".removesuffix("0")
    if clips is not None:
        accuracy += f" ± {100 * binomial_half_width(paper['accuracy'] / 100, clips):.2f}"
    if paper["per_class"]:
        accuracy += f" ({', '.join(f'{a:.1f}' for a in paper['per_class'])})"
    return [accuracy, paper["parameters"], paper["size"]]


def _notes(compared: Mapping[str, Any]) -> list[str]:
    measured = [row for row in compared["rows"] if "macro_accuracy" in row]
    notes = [f"Measured on {compared['data']}, with the recipe '{compared['recipe']}'."]
    if compared["synthetic"]:
        notes.append("The recordings are synthetic, so these results say nothing about real scenes.")
    if measured:
        notes += _notes_on_measurements(compared, measured)
    if compared["paper_clips"] and any(row["paper"] for row in compared["rows"]):
        name = compared["paper_name"]
        notes.append(
            f"The {name}'s columns were measured on {compared['paper_data']}. We added the ±, which is the binomial"
            f" 95 % interval of an accuracy on its {compared['paper_clips']:,} test clips."
            + (f" Most differences between the {name}'s rows are smaller." if _most_are_small(compared) else "")
        )
    return notes


def _most_are_small(compared: Mapping[str, Any]) -> bool:
    """Return whether most differences between the paper's accuracies are below the ± of both rows."""
    accuracies: list[float] = [row["paper"]["accuracy"] / 100 for row in compared["rows"] if row["paper"]]
    widths = [binomial_half_width(accuracy, compared["paper_clips"]) for accuracy in accuracies]
    are_small = [
        abs(one - other) < min(width, other_width)
        for (one, width), (other, other_width) in itertools.combinations(zip(accuracies, widths, strict=True), 2)
    ]
    return 2 * sum(are_small) > len(are_small)


def _notes_on_measurements(compared: Mapping[str, Any], measured: Sequence[Mapping[str, Any]]) -> list[str]:
    steps = sorted({count for row in measured for count in row["steps"]})
    trials = [trial for row in measured for trial in row["by_trial"]]
    seeds = sorted({trial["seed"] for trial in trials})
    held_out = sorted({trial["held_out"] for trial in trials} - {""})
    tested = f"tested on {' '.join(held_out)}, each held out" if held_out else "tested on the data's own test split"
    precision = " or ".join(sorted({row["settings"].get("precision", "auto") for row in measured}))
    epoch = " or ".join(CHECKPOINTS[checkpoint] for checkpoint in compared["checkpoint"])
    smallest = min(row["groups_of_smallest_class"] for row in measured)
    notes = [
        f"Each trial: {' or '.join(pluralize(n, 'optimizer step') for n in steps)}, in {precision}, weights of {epoch},"
        f" {tested},"
        f" {'seed' if len(seeds) == 1 else 'seeds'} {' '.join(map(str, seeds))}.",
        f"Intervals: percentile bootstrap over groups, class by class. The smallest class has"
        f" {pluralize(smallest, 'group')}. An interval of zero width means that all clips gave the same result; it does"
        " not mean certainty.",
        f"p: two-sided sign-flip test on groups against '{compared['reference']}', not corrected for multiple tests."
        " Test and interval answer different questions, so they can disagree in borderline cases. Neither covers the"
        " variation between trainings.",
    ]
    if compared["mean_row"]:
        notes.append(
            f"'{compared['mean_row']['name']}': each clip is averaged over the rows, so a draw of groups serves all of"
            " them. It needs a trial of each row, with the same classes and test clips."
        )
    notes += [
        f"Pruning left nearly nothing of {pluralize(len(row['empty_layers']), 'layer')} of '{row['name']}' in a trial"
        f" or more: {first_few(row['empty_layers'])}."
        for row in measured
        if row["empty_layers"]
    ]
    if any(row["distinct_clips"] < row["clips"] for row in measured):
        notes.append("Some folds are held out in several trials. Their clips count once per trial.")
    if len(compared["versions"]) > 1:
        notes.append("The trials were computed with different versions of the software; the JSON file lists them.")
    notes.append(
        "Size: kept weights and all parameters of norms, by the bytes of their format (fp32: 4; fp16, in pruned rows:"
        " 2; int8: 1). File: the largest of the trials' model files on disk. Uncompressed networks are in fp32."
    )
    notes.append(
        "Answers: from log-mel that the feature cache rounds to 16 bits. `scenelet evaluate` reads the recordings. Its"
        " probabilities differ by less than 0.001."
    )
    labels = list(measured[0]["per_class"])
    if len(labels) <= MAX_SHOWN_CLASSES:
        notes.append(f"In brackets after an accuracy: {', '.join(labels)}.")
    return notes
