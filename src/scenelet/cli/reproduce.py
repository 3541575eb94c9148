"""`scenelet reproduce`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from scenelet.cli.options import Format
from scenelet.utils.console import print_message, spinner


def reproduce(
    table: Annotated[
        str,
        typer.Argument(
            help="table2, table3, table4, ablation, imbalance, default, sizes, or a table of your own (TOML)."
        ),
    ],
    data: Annotated[Path, typer.Argument(help="TAU root, class-per-folder tree, or CSV/TSV with filename,label.")],
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Recipe the rows build on: comparison, paper, or a recipe of your own (TOML); the table's by default."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each system on each fold.")] = 1,
    fold: Annotated[
        list[str] | None, typer.Option(help="Hold out this fold only, or several together: 1+2. May be repeated.")
    ] = None,
    cities: Annotated[bool, typer.Option("--cities", help="Hold out one city after the other, no folds.")] = False,
    reference: Annotated[str | None, typer.Option(help="Row to test the others against.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the table and its finished trials.")] = Path("reproduce"),
    audio_dir: Annotated[Path | None, typer.Option(help="Where a CSV's files lie.")] = None,
    tau_3_class: Annotated[bool, typer.Option("--tau-3-class", help="Map the ten TAU scenes to three.")] = False,
    format: Annotated[Format, typer.Option(help="What to print.")] = Format.table,
) -> None:
    """Compute a table of systems, beside the paper's.

    Stop it and run it again at will: it goes on where it was.
    """
    if table == "table2":
        _print_counts(data, audio_dir, tau_3_class, format)
        return
    from scenelet.experiments.plan import plan

    asked: dict[str, Any] = {
        "recipe": recipe,
        "folds": fold or (),
        "cities": cities,
        "reference": reference,
        "audio_dir": audio_dir,
        "tau_3_class": tau_3_class,
    }
    plan(table, data, **asked)
    with spinner("Loading PyTorch"):
        from scenelet.experiments.report import markdown
        from scenelet.experiments.reproduce import reproduce as run

    try:
        compared = run(table, data, out, seeds=seeds, **asked)
    except KeyboardInterrupt:
        print_message(f"what is finished is in {out}; the same command goes on from there")
        raise
    print(json.dumps(compared, indent=2) if format is Format.json else markdown(compared))
    print_message(
        f"written: {', '.join(str(out / compared['name']) + end for end in ('.md', '.json', '-trials.csv', '.png'))}"
    )


def _print_counts(data: Path, audio_dir: Path | None, tau_3_class: bool, format: Format) -> None:
    """Table 2 needs no training and no recordings; it is printed and not written."""
    from scenelet.data.load import load_table
    from scenelet.experiments.class_counts import class_counts, counts_markdown

    counts = class_counts(load_table(data, audio_dir, tau_3_class, require_audio=False))
    print(json.dumps(counts, indent=2) if format is Format.json else counts_markdown(counts))
