"""Archive of short recordings, valid ones and every kind of invalid one, and the rows of its bulk jobs."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from pyarrow import dataset

SAMPLE_RATE = 8000
INVALID = {
    "cut": "missing",
    "text": "not a recording",
    "empty": "is empty",
    "folder": "not a file",
    "none": "no such file",
}
"""Kind of invalid recording, and words of its error."""


class Archive(NamedTuple):
    """Manifest, the names in it in their order, and words of the error for each invalid name."""

    manifest: Path
    names: list[str]
    invalid: dict[str, str]

    @property
    def valid_names(self) -> list[str]:
        """Names of the recordings that can be read."""
        return [name for name in self.names if name not in self.invalid]


def make_archive(root: Path, valid: int = 34) -> Archive:
    """Write recordings of one to five windows of 0.2 s, one of them listed twice, and invalid ones among them."""
    (root / "clips").mkdir()
    rng = np.random.default_rng(3)
    names = []
    for index in range(valid):
        names.append(f"clips/{index}, a.wav" if index == 5 else f"clips/{index}.wav")
        samples = 0.1 * rng.standard_normal((round(0.2 * (1 + index % 5) * SAMPLE_RATE), 2))
        soundfile.write(root / names[-1], samples, SAMPLE_RATE, subtype="PCM_16")
    names.insert(20, names[2])
    data = (root / names[0]).read_bytes()
    (root / "clips/cut.wav").write_bytes(data[: len(data) // 2])
    (root / "clips/text.wav").write_text("no sound")
    (root / "clips/empty.wav").touch()
    (root / "clips/folder.wav").mkdir()
    invalid = {f"clips/{name}.wav": words for name, words in INVALID.items()}
    for number, name in enumerate(invalid):
        names.insert(7 * number, name)
    write_manifest(root / "all.csv", names)
    return Archive(root / "all.csv", names, invalid)


def write_manifest(path: Path, names: list[str]) -> None:
    """Write a CSV with another column before the paths."""
    path.write_text("\n".join(["site,path", *(f's,"{name}"' for name in names)]) + "\n")


def rows_by_input(folder: Path | str) -> dict[int, list[dict[str, Any]]]:
    """Return a job's rows by the index of their input, in the order of their windows."""
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in dataset.dataset(folder).to_table().to_pylist():
        rows.setdefault(row["index"], []).append(row)
    return rows


def part_bytes(folder: Path) -> dict[str, bytes]:
    """Return the content of every part by its name."""
    return {path.name: path.read_bytes() for path in folder.glob("part-*.parquet")}
