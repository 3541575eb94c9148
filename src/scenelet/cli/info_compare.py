"""Comparison of the models in a folder, as `scenelet info FOLDER` prints it."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from scenelet.cli.info_rules import verdict
from scenelet.cli.options import Format
from scenelet.errors import ModelFileError, UsageError
from scenelet.utils.text import pluralize

if TYPE_CHECKING:
    from scenelet.model.rules import Rule
    from scenelet.model.summary import ModelSummary


def compare(folder: Path, format: Format, plot: Path | None, rule: "Rule | None" = None) -> None:
    """Print one row per model of a folder; models that cannot be read are named on stderr and skipped.

    With a rule, the exit status is 1 if a model exceeds its limits or cannot be read.
    """
    from scenelet.evaluation.size_plot import plot_sizes
    from scenelet.model.summary import summarize
    from scenelet.utils.console import print_message, print_warning, track
    from scenelet.utils.files import replace_file, walk_files

    if plot is not None and plot.suffix != ".png":
        raise UsageError(f"{plot}: a picture's name ends in .png")
    files = [file for file in walk_files(folder) if file.suffix == ".scn"]
    if not files:
        raise ModelFileError(f"{folder}: holds no model files (NAME.scn); give another folder")
    rows = []
    for file in track(files, "Reading", len(files)):
        try:
            rows.append(summarize(file, folder, rule))
        except ModelFileError as error:
            print_warning(f"left out: {error}")
    if not rows:
        raise ModelFileError(f"{folder}: none of its {len(files)} model files can be read; give another folder")
    if format is Format.json:
        by_rule = [{} if row.rule is None else {"rule": row.rule.to_json()} for row in rows]
        print(json.dumps([dataclasses.asdict(row) | more for row, more in zip(rows, by_rule, strict=True)], indent=2))
    else:
        _print_rows(rows, rule)
    if plot is not None:
        replace_file(plot, plot_sizes(rows))
        unknown = sum(row.accuracy is None for row in rows)
        without = f"; left out: {pluralize(unknown, 'model')} of unknown accuracy" if unknown else ""
        print_message(f"written: {plot}{without}")
    if rule is not None and (len(rows) < len(files) or any(row.rule and not row.rule.is_within for row in rows)):
        raise typer.Exit(1)


def _print_rows(rows: "list[ModelSummary]", rule: "Rule | None") -> None:
    """Print a table of models: sizes, costs and accuracy; with a rule, its count and what exceeds its limits."""
    width = max(len("model"), *(len(row.name) for row in rows))
    heads = f"{'2024 rule, kB':>13}  {'M MAC/s':>8}" if rule is None else f"{f'rule, {rule.unit}':>13}  {'M MACs':>8}"
    print(f"{'model':<{width}}  {'disk, kB':>9}  {heads}  {'accuracy, %':>11}")
    for row in rows:
        accuracy = "not known" if row.accuracy is None else f"{100 * row.accuracy:.2f}"
        notes = [f"({row.subset})"] if row.subset == "validation" else []
        counted, cost = f"{row.parameter_bytes / 1000:,.2f}", f"{row.macs_per_second / 1e6:,.2f}"
        if rule is not None and row.rule is not None:
            counted = rule.format_bytes(row.rule.bytes).split()[0]
            cost = "" if row.rule.macs is None else f"{row.rule.macs / 1e6:,.2f}"
            notes.append(verdict(row.rule))
        end = "  ".join(["", *notes])
        print(f"{row.name:<{width}}  {row.disk_bytes / 1000:9,.2f}  {counted:>13}  {cost:>8}  {accuracy:>11}{end}")
