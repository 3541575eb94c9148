"""`scenelet reproduce`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scenelet.cli.completion import recipes, tables
from scenelet.cli.options import (
    DATA_HELP,
    AudioDirOption,
    Format,
    FormatOption,
    MultiLabel,
    MultiLabelOption,
    QuietOption,
    Tau3ClassOption,
)
from scenelet.errors import UsageError
from scenelet.utils.console import print_message, spinner

if TYPE_CHECKING:
    from scenelet.data.clips import ClipTable


def reproduce(
    table: Annotated[
        str,
        typer.Argument(
            help="Table: table2, table3, table4, ablation, imbalance, default, dcase2024, or a TOML file.",
            autocompletion=tables,
        ),
    ],
    data: Annotated[Path | None, typer.Argument(help=DATA_HELP, show_default=False)] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Base recipe of all rows, e.g. comparison or paper, or a TOML file (default: the table's).",
            autocompletion=recipes,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of random seeds per system and fold.")] = 1,
    fold: Annotated[
        list[str] | None, typer.Option(help="Hold out only this fold, or several together: 1+2; may be repeated.")
    ] = None,
    cities: Annotated[bool, typer.Option("--cities", help="Hold out each city in turn, in place of folds.")] = False,
    reference: Annotated[str | None, typer.Option(help="Row that the others are compared with.")] = None,
    test_curve: Annotated[
        bool,
        typer.Option("--test-curve", help="Record the test accuracy after each epoch of new trials; nothing uses it."),
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for the table and its finished trials.")] = Path("reproduce"),
    audio_dir: AudioDirOption = None,
    tau_3_class: Tau3ClassOption = False,
    multi_label: MultiLabelOption = MultiLabel.refuse,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Compare what would run with the paper, and train nothing; DATA is optional."),
    ] = False,
    format: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """Train and compare the systems of a table, as in the paper.

    An interrupted comparison resumes when the command is run again.
    """
    from scenelet.data.load import load_table
    from scenelet.experiments.systems import load_systems

    if table != "table2":
        load_systems(table)  # a misspelled table is refused before the recordings are looked for
    if data is None and (table == "table2" or not dry_run):
        raise UsageError("give the recordings after the table; only --dry-run does without them")
    clips = (
        None
        if data is None
        else load_table(data, audio_dir, tau_3_class, require_audio=table != "table2", multi_label=multi_label.value)
    )
    if dry_run and table != "table2":
        _print_dry_run(table, recipe, clips, format)
        return
    assert clips is not None
    if table == "table2":
        _print_counts(clips, format)
        return
    from scenelet.experiments.plan import plan

    options: dict[str, Any] = {
        "recipe": recipe,
        "folds": fold or (),
        "cities": cities,
        "reference": reference,
    }
    plan(table, clips, **options)
    with spinner("Loading PyTorch"):
        from scenelet.experiments.report import markdown
        from scenelet.experiments.reproduce import reproduce as run

    try:
        compared = run(table, clips, out, seeds=seeds, test_curve=test_curve, **options)
    except KeyboardInterrupt:
        print_message(f"finished trials are in {out}; the same command resumes from there")
        raise
    print(json.dumps(compared, indent=2) if format is Format.json else markdown(compared))
    print_message(
        f"written: {', '.join(str(out / compared['name']) + end for end in ('.md', '.json', '-trials.csv', '.png'))}"
    )


def _print_counts(clips: "ClipTable", format: Format) -> None:
    """Print table 2, which needs neither training nor recordings."""
    from scenelet.experiments.class_counts import class_counts, counts_markdown

    counts = class_counts(clips)
    print(json.dumps(counts, indent=2) if format is Format.json else counts_markdown(counts))


def _print_dry_run(name: str, recipe: str | None, clips: "ClipTable | None", format: Format) -> None:
    from scenelet.experiments.systems import load_systems

    systems = load_systems(name)
    recipe = recipe or systems.recipe
    configs = [systems.config(row, recipe) for row in systems.rows]
    with spinner("Loading PyTorch"):
        from scenelet.experiments.dry_run import describe_row, dry_run_text

    classes = systems.classes if clips is None else len(clips.labels)
    rows = [describe_row(systems, row, config, classes) for row, config in zip(systems.rows, configs, strict=True)]
    print(json.dumps(rows, indent=2) if format is Format.json else dry_run_text(systems, recipe, rows))
