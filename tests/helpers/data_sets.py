"""Small data sets: synthetic scenes with wrong labels, and copies of the public sets to publish on a local server."""

import csv
import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.loopback_server import Loopback
from scenelet.data.download import fetch as fetch_module
from scenelet.data.download.fetch import dataset_parts
from scenelet.data.download.fetch import fetch as fetch_parts
from scenelet.data.download.zenodo import Archive
from scenelet.data.synthetic.dataset import write_synthetic_dataset
from scenelet.data.tau_sets import TAU_2019

NAME = TAU_2019.name
SPLITS = {
    "park-paris-1-1-a": "train",
    "park-paris-1-2-a": "train",
    "bus-lyon-2-3-a": "train",
    "bus-lyon-2-4-a": "test",
    "park-milan-3-5-a": "test",
    "park-milan-3-6-a": None,
}
"""Recording of the small TAU set -> its split."""
FACTS = replace(TAU_2019, train={"park": 2, "bus": 1}, test={"park": 1, "bus": 1})


def mislabeled_scenes(root: Path) -> Path:
    """Write 36 synthetic scenes of three classes with two wrong labels. The name of a file holds its true label."""
    folder = write_synthetic_dataset(root / "scenes", 3, 1, 10, 2, 1.0, workers=1)
    rows = list(csv.DictReader((folder / "scenes.csv").read_text().splitlines()))
    labels = sorted({row["label"] for row in rows})
    for index in (4, 15):
        rows[index]["label"] = labels[(labels.index(rows[index]["label"]) + 1) % 3]
    columns = ("filename", "label", "group", "split")
    lines = [",".join(columns), *(",".join(row[column] for column in columns) for row in rows)]
    (folder / "scenes.csv").write_text("\n".join(lines) + "\n")
    return folder


def zip_bytes(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def tau_zips(prefix: str = "", splits: dict[str, str | None] = SPLITS) -> dict[str, bytes]:
    """A small TAU set as the archives in which it is published."""
    rows = []
    for stem in splits:
        scene, city, location, _, device = stem.split("-")
        rows.append(f"audio/{stem}.wav\t{scene}\t{city}-{location}\t{device}")
    meta = {"meta.csv": "\n".join(["filename\tscene_label\tidentifier\tsource_label", *rows])}
    for split in ("train", "test"):
        names = [f"audio/{stem}.wav" for stem, own_split in splits.items() if own_split == split]
        meta[f"evaluation_setup/fold1_{split}.csv"] = "\n".join(["filename", *names])
    halves = list(splits)[::2], list(splits)[1::2]
    contents: dict[str, dict[str, bytes]] = {
        f"{NAME}.doc.zip": {"README.md": b"read me"},
        f"{NAME}.meta.zip": {name: text.encode() for name, text in meta.items()},
        **{
            f"{NAME}.audio.{n}.zip": {f"audio/{stem}.wav": stem.encode() * 50 for stem in half}
            for n, half in enumerate(halves, 1)
        },
    }
    return {name: zip_bytes({prefix + path: data for path, data in files.items()}) for name, files in contents.items()}


def publish(server: Loopback, monkeypatch: pytest.MonkeyPatch, zips: dict[str, bytes]) -> None:
    """Put archives on the server, and their facts in place of the real ones."""
    server.files.update(zips)
    archives = [Archive(f"{server.url}/{n}", len(data), hashlib.md5(data).hexdigest()) for n, data in zips.items()]
    monkeypatch.setattr(
        fetch_module, "tau_archives", lambda name: tuple(each for each in archives if each.name.startswith(name))
    )
    monkeypatch.setitem(fetch_module.TAU_SETS, "tau2019", FACTS)


def fetch(
    name: str,
    out: Path,
    *,
    accept: bool = True,
    evaluation: bool = False,
    mirror: str | None = None,
    keep_archives: bool = False,
) -> list[Path]:
    """Fetch a data set; gives the folders."""
    parts = dataset_parts(name, out, evaluation, mirror, keep_archives)
    fetch_parts(parts, out, lambda: accept)
    return [part.root for part in parts]


def never() -> bool:
    raise AssertionError("there is nothing to accept")


def file_names(folder: Path) -> list[str]:
    """Every file below a folder, by its relative path."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
