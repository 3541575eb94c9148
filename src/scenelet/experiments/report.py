"""A comparison as Markdown, JSON and a plot."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scenelet.errors import UsageError
from scenelet.evaluation.bootstrap import binomial_half_width, interval_text
from scenelet.experiments.comparison import RowResult
from scenelet.experiments.results import trials_csv
from scenelet.utils.files import replace_file, replace_files

HERE, PAPER = "#1f6f8b", "#999999"
FEW_CLASSES = 4  # so many accuracies fit into a cell of a table


def check_same_results(folder: Path, name: str, title: str, data: str, settings: Mapping[str, Any]) -> None:
    """Check that a table of this name, where there is one, has the same title, data and settings (row -> its own).

    Raises:
        UsageError: it is of others, and would be written over.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        return
    try:
        there = json.loads(path.read_bytes())
        title_before, data_before = there["title"], there["data"]
        before = {row["name"]: row["settings"] for row in there["rows"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f"{path}: not a table of systems; move it away, or choose another --out") from None
    if title_before != title:
        raise UsageError(f"{path}: is another table ({title_before}); choose another --out, or rename the table")
    if data_before != data:
        raise UsageError(f"{path}: is of other data ({data_before}); choose another --out")
    if any(before[row] != settings[row] for row in before.keys() & settings.keys()):
        raise UsageError(
            f"{path}: is of another table or recipe of this name; choose another --out, or rename what you changed"
        )


def write_comparison(folder: Path, compared: Mapping[str, Any], rows: Sequence[RowResult]) -> None:
    """Write `NAME.md`, `NAME.json` and `NAME-cells.csv`; where the second is there, they are of one writing.

    Only the last holds what is not the same when a cell is computed again: the minutes that it took.
    """
    cells = [(row.row.name, cell) for row in rows for cell in row.cells]
    texts = {"-cells.csv": trials_csv(cells), ".md": markdown(compared), ".json": json.dumps(compared, indent=2) + "\n"}
    replace_files({folder / f"{compared['name']}{ending}": text for ending, text in texts.items()})


def write_plot(folder: Path, compared: Mapping[str, Any]) -> None:
    """Write `NAME.png`, whole or not at all."""
    replace_file(folder / f"{compared['name']}.png", _plot(compared))


def markdown(compared: Mapping[str, Any]) -> str:
    """Title, a row a system, and what the columns mean."""
    rows = compared["rows"]
    with_paper = any(row["paper"] for row in rows)
    heads = ["system", "macro accuracy here, % [95 %]", "against reference, points [95 %]", "p", "log loss [95 %]"]
    heads += ["parameters kept", "size, kB", "file, bytes"] + (
        ["paper: accuracy, %", "parameters", "size"] if with_paper else []
    )
    lines = [f"## {compared['title']}", "", _line(heads), _line(["---"] * len(heads))]
    for row in rows:
        paper = _paper_columns(row["paper"], compared["paper_clips"]) if with_paper else []
        lines.append(_line([*_own_columns(row, compared["reference"]), *paper]))
    lines += ["", *(f"- {note}" for note in _notes(compared))]
    if compared["choices"]:
        lines += ["", *_choices(compared["choices"])]
    return "\n".join(lines) + "\n"


def _choices(choices: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each fold's own validation chooses."""
    lines = [
        "Chosen for each fold by the folds that were held out together with it, from networks that had seen neither:",
        "",
        _line(["test fold", "validation clips", "highest there", "macro accuracy there, %", "log loss there"]),
        _line(["---"] * 5),
    ]
    for choice in choices:
        score = choice["scores"][choice["chosen"]]
        figures = [f"{100 * score['macro_accuracy']:.2f}", f"{score['log_loss']:.3f}"]
        lines.append(_line([choice["fold"], f"{choice['clips']:,}", choice["chosen"], *figures]))
    left_out = sorted({name for choice in choices for name in choice["left_out"]})
    return [*lines, "", f"Left out, since cells are missing: {'; '.join(left_out)}."] if left_out else lines


def _own_columns(row: Mapping[str, Any], reference: str) -> list[str]:
    name = row["name"] if row["cells"] == row["cells_expected"] else _unfinished(row)
    if "macro_accuracy" not in row:
        return [name, *[""] * 7]
    test = row["against_reference"]
    difference, p = ("reference", "") if row["name"] == reference else ("", "")
    if test is not None:
        difference, p = interval_text(test["difference"], 2, 100, sign=True), f"{test['p']:.4f}"
    shares = [100 * own["value"] for own in row["per_class"].values()]
    classes = f" ({', '.join(f'{share:.1f}' for share in shares)})" if len(shares) < FEW_CLASSES else ""
    return [
        name,
        interval_text(row["macro_accuracy"], 2, 100) + classes,
        difference,
        p,
        interval_text(row["log_loss"], 3),
        f"{row['parameters_kept']:,}",
        f"{row['bytes']['paper'] / 1000:,.2f}",
        f"{row['bytes']['disk']:,}",
    ]


def _unfinished(row: Mapping[str, Any]) -> str:
    return f"{row['name']} ({row['cells']} of {row['cells_expected']} cells)"


def _paper_columns(paper: Mapping[str, Any] | None, clips: int | None) -> list[str]:
    if paper is None:
        return ["", "", ""]
    accuracy = f"{paper['accuracy']:.1f}"
    if clips is not None:
        accuracy += f" ± {100 * binomial_half_width(paper['accuracy'] / 100, clips):.2f}"
    if paper["per_class"]:
        accuracy += f" ({', '.join(f'{a:.1f}' for a in paper['per_class'])})"
    return [accuracy, paper["parameters"], paper["size"]]


def _notes(compared: Mapping[str, Any]) -> list[str]:
    measured = [row for row in compared["rows"] if "macro_accuracy" in row]
    notes = [f"Measured on {compared['data']}, with the recipe '{compared['recipe']}'."]
    if compared["synthetic"]:
        notes.append("The recordings are made, so these figures say nothing about real places.")
    if measured:
        steps = sorted({count for row in measured for count in row["steps"]})
        seeds = sorted({cell["seed"] for row in measured for cell in row["by_cell"]})
        held_out = sorted({cell["held_out"] for row in measured for cell in row["by_cell"]} - {""})
        tested = f"tested on {' '.join(held_out)}, each held out" if held_out else "tested on the data's test side"
        epochs = {"last": "the last epoch", "validation": "the best epoch on validation"}
        epoch = " or ".join(epochs[how] for how in compared["select"])
        notes.append(f"Every cell: {' or '.join(f'{n:,}' for n in steps)} optimizer steps, {epoch}; {tested};")
        notes[-1] += f" {'seed' if len(seeds) == 1 else 'seeds'} {' '.join(map(str, seeds))}."
        smallest = min(row["groups_of_smallest_class"] for row in measured)
        notes.append(
            f"Intervals: percentile bootstrap over groups, class by class; the smallest class has {smallest} groups."
            f" p: two-sided sign-flip test on groups against '{compared['reference']}', not corrected for making"
            " several tests; it asks another question than the interval, and near the edge they can disagree. Neither"
            " has in it that a network trained once more would differ. An interval without width says that all clips"
            " came out alike, and not that it is certain."
        )
        if any(row["distinct_clips"] < row["clips"] for row in measured):
            notes.append("Folds are held out in several cells, so their clips are counted once for each.")
        if len(compared["versions"]) > 1:
            notes.append("The cells were made with different versions of the software, which the JSON file lists.")
        notes.append(
            "Size: kept weights and all norm parameters, by the bytes of their format (4; 2 where the row is pruned; 1"
            " for whole numbers). File: the largest of the cells' model files, on disk; whole networks are in fp32."
        )
        labels = list(measured[0]["per_class"])
        if len(labels) < FEW_CLASSES:
            notes.append(f"In brackets behind an accuracy: {', '.join(labels)}.")
    if compared["paper_clips"] and any(row["paper"] for row in compared["rows"]):
        notes.append(
            f"The paper's columns were measured on {compared['paper_data']}. The ± is not the paper's: it is the plain"
            f" binomial 95 % of an accuracy on its {compared['paper_clips']:,} test clips. Most differences between its"
            " rows are smaller."
        )
    return notes


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plot(compared: Mapping[str, Any]) -> bytes:
    """A point and its interval a row; beside it the paper's, on an axis of their own, since its data may be another."""
    from matplotlib.figure import Figure

    rows = list(reversed(compared["rows"]))
    with_paper = any(row["paper"] for row in rows)
    figure = Figure(figsize=(10 if with_paper else 7.5, 1.5 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots(1, 2 if with_paper else 1, sharey=True, squeeze=False)[0]
    for place, row in enumerate(rows):
        if "macro_accuracy" in row:
            axes[0].errorbar(*_bar(row["macro_accuracy"], place), fmt="o", color=HERE, capsize=3)
            dots = [100 * cell["macro_accuracy"] for cell in row["by_cell"]]
            if len(dots) > 1:
                axes[0].plot(dots, [place] * len(dots), ".", color=HERE, alpha=0.3)
        if row["paper"]:
            share = row["paper"]["accuracy"] / 100
            half = binomial_half_width(share, compared["paper_clips"]) if compared["paper_clips"] else 0.0
            interval = {"value": share, "low": share - half, "high": share + half}
            axes[1].errorbar(*_bar(interval, place), fmt="s", color=PAPER, capsize=3)
    figure.suptitle(f"{compared['title']}; recipe {compared['recipe']}", fontsize=10, wrap=True)
    axes[0].set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes[0].set(xlabel="macro accuracy, %", title="measured here (small dots: single cells)")
    if with_paper:
        axes[1].set(xlabel="accuracy, %", title=f"the paper, on {compared['paper_data']} (another scale)")
    for axis in axes:
        axis.set_ylim(-0.6, len(rows) - 0.4)
        axis.grid(axis="x", alpha=0.3)
    data = io.BytesIO()
    # without its version in it, the same figures give the same file
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()


def _bar(interval: Mapping[str, float], place: int) -> tuple[float, int, None, list[list[float]]]:
    """x, y, y error, x error of `errorbar`."""
    value = 100 * interval["value"]
    low, high = (value if interval[end] is None else 100 * interval[end] for end in ("low", "high"))
    return value, place, None, [[max(value - low, 0.0)], [max(high - value, 0.0)]]
