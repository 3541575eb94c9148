"""Other data than that on which the recipe `best` was chosen: does it carry over?

    python bench/carry_over.py ESC10 --out other

ESC10 is a folder with `meta.csv` (filename,label,fold,group) and `audio/`. Written are `three.csv`, its clips with
three labels in place of ten (for `--audio-dir ESC10/audio`), and `scenes-0` and `scenes-1`, made scenes of two seeds.

    scenelet reproduce bench/carry_over.toml other/three.csv --audio-dir ESC10/audio --fold 2 --out other/three
    scenelet reproduce bench/carry_over.toml other/scenes-0 --out other/made-0

compare `best` with `fast`.
"""

import argparse
import csv
from pathlib import Path

from scenelet.data.scenes import make_scenes
from scenelet.files import csv_text, make_folder, replace_file

GROUPS = {
    "nature": ("rain", "sea_waves", "crackling_fire"),
    "voice": ("crying_baby", "dog", "rooster", "sneezing"),
    "machine": ("chainsaw", "clock_tick", "helicopter"),
}
SEEDS = (0, 1)


def regrouped(rows: list[dict[str, str]]) -> str:
    """Rows of `meta.csv` -> the same clips, folds and groups with three labels, as CSV."""
    label_of = {old: new for new, olds in GROUPS.items() for old in olds}
    clips = ([row["filename"], label_of[row["label"]], row["fold"], row["group"]] for row in rows)
    return csv_text(["filename", "label", "fold", "group"], clips)


def main() -> None:
    """Write the table and the scenes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    make_folder(options.out)
    with (options.data / "meta.csv").open(newline="", encoding="utf-8") as file:
        replace_file(options.out / "three.csv", regrouped(list(csv.DictReader(file))))
    for seed in SEEDS:
        make_scenes(options.out / f"scenes-{seed}", seed)


if __name__ == "__main__":
    main()
