"""An archive of short recordings, good ones and every kind of bad one, and the rows that a bulk job makes of it."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from pyarrow import dataset

RATE = 8000
BAD = {"cut": "missing", "text": "not a recording", "empty": "is empty", "folder": "not a file", "none": "no such file"}
"""Kind -> a word of what is said of it."""


class Archive(NamedTuple):
    """A manifest, the names in it in their order, and those that are bad -> a word of what is said of each."""

    manifest: Path
    names: list[str]
    bad: dict[str, str]


def make_archive(root: Path, good: int = 34) -> Archive:
    """Recordings of one to five windows of 0.2 s, one of them listed twice, and the bad ones among them."""
    (root / "clips").mkdir()
    rng = np.random.default_rng(3)
    names = []
    for index in range(good):
        names.append(f"clips/{index}, a.wav" if index == 5 else f"clips/{index}.wav")
        samples = 0.1 * rng.standard_normal((round(0.2 * (1 + index % 5) * RATE), 2))
        soundfile.write(root / names[-1], samples, RATE, subtype="PCM_16")
    names.insert(20, names[2])
    sound = (root / names[0]).read_bytes()
    (root / "clips/cut.wav").write_bytes(sound[: len(sound) // 2])
    (root / "clips/text.wav").write_text("no sound")
    (root / "clips/empty.wav").touch()
    (root / "clips/folder.wav").mkdir()
    bad = {f"clips/{name}.wav": word for name, word in BAD.items()}
    for place, name in enumerate(bad):
        names.insert(7 * place, name)
    write_manifest(root / "all.csv", names)
    return Archive(root / "all.csv", names, bad)


def write_manifest(path: Path, names: list[str]) -> None:
    """A CSV with another column before the paths."""
    path.write_text("\n".join(["site,path", *(f's,"{name}"' for name in names)]) + "\n")


def rows_of(folder: Path | str) -> dict[int, list[dict[str, Any]]]:
    """A job's rows by the index of their input, in the order of their windows."""
    grouped: dict[int, list[dict[str, Any]]] = {}
    for row in dataset.dataset(folder).to_table().to_pylist():
        grouped.setdefault(row["index"], []).append(row)
    return grouped


def parts_of(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of every part."""
    return {path.name: path.read_bytes() for path in folder.glob("part-*.parquet")}
