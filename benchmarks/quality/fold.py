"""Command line of the benchmarks that test models on one fold and calibrate them on the others."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from scenelet.data.clips import Clip
from scenelet.data.load import load_table
from scenelet.errors import DataError, SceneletError
from scenelet.inference.classifier import Classifier, load

TableRows = Callable[[str, Classifier, Sequence[Clip], Sequence[Clip]], list[str]]
"""Function from a model's name, the model, the clips of the fold, and the others, to rows of a Markdown table."""


def print_table(description: str, header: str, table_rows: TableRows) -> None:
    """Read the command line, and print a table with the rows of each model.

    Args:
        description: what the benchmark does.
        header: the first line of the table.
        table_rows: the benchmark.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", type=Path, required=True, help="data set with folds")
    parser.add_argument("--fold", required=True, help="fold whose clips are tested; the others calibrate")
    options = parser.parse_args()
    try:
        clips = load_table(options.data).clips
        test = [clip for clip in clips if clip.fold == options.fold]
        if not test:
            known = " ".join(sorted({clip.fold for clip in clips if clip.fold is not None}))
            raise DataError(f"{options.data}: no clips in fold {options.fold!r}; there are {known or 'no folds'}")
        others = [clip for clip in clips if clip.fold != options.fold]
        print(header)
        print("|---" * (header.count("|") - 1) + "|")
        for name in options.models:
            print(*table_rows(Path(name).stem, load(name), test, others), sep="\n", flush=True)
    except SceneletError as error:
        sys.exit(f"error: {error}")
