"""ESC-10's ten labels as three: weather, voices, machines. For one question: does a recipe that was chosen on ten
classes carry over to others?

    python bench/regroup.py ESC10 --out esc10-3.csv

ESC10 is a folder with `meta.csv` (filename,label,fold,group) and `audio/`; the table is for `--audio-dir ESC10/audio`.
"""

import argparse
import csv
from pathlib import Path

from scenelet.files import csv_text, replace_file

GROUPS = {
    "nature": ("rain", "sea_waves", "crackling_fire"),
    "voice": ("crying_baby", "dog", "rooster", "sneezing"),
    "machine": ("chainsaw", "clock_tick", "helicopter"),
}


def regrouped(rows: list[dict[str, str]]) -> str:
    """Rows of `meta.csv` -> the same clips, folds and groups with three labels, as CSV."""
    label_of = {old: new for new, olds in GROUPS.items() for old in olds}
    clips = ([row["filename"], label_of[row["label"]], row["fold"], row["group"]] for row in rows)
    return csv_text(["filename", "label", "fold", "group"], clips)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with (options.data / "meta.csv").open(newline="", encoding="utf-8") as file:
        replace_file(options.out, regrouped(list(csv.DictReader(file))))


if __name__ == "__main__":
    main()
