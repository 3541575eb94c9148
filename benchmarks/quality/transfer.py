"""Prepare data to test if the recipe `default`, chosen on ESC-10, carries over to other labels and recordings.

    python -m benchmarks.quality.transfer ESC10 --out other

ESC10 is a folder with `meta.csv` (filename,label,fold,group) and `audio/`. It writes `three.csv`, the clips
with three labels instead of ten (for `--audio-dir ESC10/audio`), and `scenes-0` and `scenes-1`, synthetic scenes of two
seeds. These commands then compare `default` with `single_network`, which was the default before:

    scenelet reproduce benchmarks/tables/transfer.toml other/three.csv --audio-dir ESC10/audio --fold 3 --out
    other/three scenelet reproduce benchmarks/tables/transfer.toml other/scenes-0 --out other/made-0 scenelet
    reproduce benchmarks/tables/transfer.toml other/scenes-1 --out other/made-1

Fold 3 influenced the choice of the recipe less than folds 1 and 2 (`docs/results.md`).
"""

import argparse
from pathlib import Path

from scenelet.data.delimited import read_rows
from scenelet.data.synthetic.dataset import write_synthetic_dataset
from scenelet.errors import DataError, SceneletError
from scenelet.utils.files import csv_text, make_folder, replace_file

GROUPS = {
    "nature": ("rain", "sea_waves", "crackling_fire"),
    "voice": ("crying_baby", "dog", "rooster", "sneezing"),
    "machine": ("chainsaw", "clock_tick", "helicopter"),
}
COLUMNS = ("filename", "label", "fold", "group")
SEEDS = (0, 1)


def regrouped(rows: list[dict[str, str]]) -> str:
    """Return the rows of `meta.csv` with three labels instead of ten, as CSV.

    Raises:
        DataError: a label that ESC-10 does not have.
    """
    label_of = {old: new for new, olds in GROUPS.items() for old in olds}
    others = sorted({row["label"] for row in rows} - set(label_of))
    if others:
        raise DataError(f"not ESC-10: its labels are {', '.join(sorted(label_of))}, and here is {', '.join(others)}")
    clips = ([row[k] if k != "label" else label_of[row[k]] for k in COLUMNS] for row in rows)
    return csv_text(COLUMNS, clips)


def main() -> None:
    """Write the table and the scenes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    try:
        rows = [row.values for row in read_rows(options.data / "meta.csv", COLUMNS)]
        make_folder(options.out)
        replace_file(options.out / "three.csv", regrouped(rows))
        for seed in SEEDS:
            write_synthetic_dataset(options.out / f"scenes-{seed}", seed)
    except SceneletError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
