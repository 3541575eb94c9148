"""ESC-10 from a small copy of ESC-50 on this machine."""

import csv
import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.data_sets import fetch, file_names, never
from helpers.loopback_server import Answer, Loopback
from scenelet.data.download.esc10 import recording_fault
from scenelet.data.download.fetch import dataset_parts
from scenelet.data.download.fetch import fetch as fetch_parts
from scenelet.data.load import load_table
from scenelet.errors import DataError


@pytest.fixture(scope="module")
def wav() -> bytes:
    """5 s of silence."""
    data = io.BytesIO()
    soundfile.write(data, [0.0] * 220_500, 44_100, format="WAV", subtype="PCM_U8")
    return data.getvalue()


def esc50(changes: dict[str, dict[str, str]] | None = None) -> tuple[bytes, list[str]]:
    """The table of a small ESC-50, in which every second clip is in ESC-10, and the names of ESC-10."""
    rows = []
    for number in range(800):
        fold, target = number // 160 + 1, number % 20
        name = f"{fold}-{number // 40}-{chr(65 + number % 3)}{number}-{target}.wav"
        rows.append([name, str(fold), str(target), f"class {target}", str(target < 10), str(number // 40), "A"])
    columns = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    for row in rows:
        for column, value in (changes or {}).get(row[0], {}).items():
            row[columns.index(column)] = value
    return "\n".join(",".join(row) for row in [columns, *rows]).encode(), [row[0] for row in rows if row[4] == "True"]


def publish_esc50(server: Loopback, wav: bytes, changes: dict[str, dict[str, str]] | None = None) -> list[str]:
    table, names = esc50(changes)
    server.files.update({"meta/esc50.csv": table, **{f"audio/{name}": wav for name in names}})
    return names


def test_fetch_esc10_resumes_and_is_checked(
    server: Loopback, tmp_path: Path, wav: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    names = publish_esc50(server, wav)
    broken = max(names)  # files are downloaded by name
    server.always[f"audio/{broken}"] = Answer(body=wav[:100_000])
    with pytest.raises(DataError, match=rf"{broken}: wrong after two downloads"):
        fetch("esc10", tmp_path, mirror=server.url)
    assert not (tmp_path / "ESC-10/meta.csv").exists()
    assert file_names(tmp_path / "ESC-10") == sorted(f"audio/{name}" for name in names if name != broken)

    server.always.clear()
    server.log.clear()
    (root,) = fetch("esc10", tmp_path, mirror=server.url)
    assert server.log == [(f"audio/{broken}", None)]  # the others exist already
    assert "K. J. Piczak" in capsys.readouterr().err
    table = load_table(root)
    assert table.counts() == {f"class {target}": 40 for target in range(10)}
    assert table.folds == ("1", "2", "3", "4", "5")
    assert table.license == "Recordings under CC-BY 3.0"
    with (root / "meta.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert first == {
        "filename": "1-0-A0-0.wav",
        "label": "class 0",
        "fold": "1",
        "group": "0",
        "license": "CC-BY 3.0",
    }
    assert {path.name for path in tmp_path.iterdir()} <= {"ESC-10", ".fetch.lock"}

    server.log.clear()
    fetch_parts(dataset_parts("esc10", tmp_path, mirror=server.url), tmp_path, never)
    assert server.log == []
    (root / "audio" / names[0]).write_bytes(b"")
    with pytest.raises(DataError, match=rf"meta\.csv: not the published set \({names[0]}"):
        fetch("esc10", tmp_path, mirror=server.url)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"esc10": "False"}, "399 clips"),
        ({"category": "class 1"}, "40 clips in each of 10 classes"),
        ({"fold": "2"}, "80 clips in each of 5 folds"),
        ({"filename": "../1.wav"}, "not the name of a recording"),
        ({"filename": "1-0-B1-1.wav"}, "400 different ones"),
    ],
)
def test_fetch_esc10_wrong_table_is_refused(
    server: Loopback, tmp_path: Path, wav: bytes, change: dict[str, str], words: str
) -> None:
    publish_esc50(server, wav, {"1-0-A0-0.wav": change})
    with pytest.raises(DataError, match=rf"esc50\.csv: wrong after two downloads.*{words}"):
        fetch("esc10", tmp_path, mirror=server.url)
    assert {path for path, _ in server.log} == {"meta/esc50.csv"}
    assert file_names(tmp_path / "downloads") == []


def test_fetch_esc10_group_in_two_folds_is_refused(server: Loopback, tmp_path: Path, wav: bytes) -> None:
    publish_esc50(server, wav, {"1-0-A0-0.wav": {"src_file": "19"}})
    with pytest.raises(DataError, match="original recording 19 is in two folds"):
        fetch("esc10", tmp_path, mirror=server.url)


@pytest.mark.parametrize(
    ("frames", "rate", "channels"), [(220_499, 44_100, 1), (220_500, 48_000, 1), (220_500, 44_100, 2)]
)
def test_fetch_esc10_other_shape_is_refused(
    server: Loopback, tmp_path: Path, wav: bytes, frames: int, rate: int, channels: int
) -> None:
    names = publish_esc50(server, wav)
    other = io.BytesIO()
    soundfile.write(other, [[0.0] * channels] * frames, rate, format="WAV")
    server.always[f"audio/{names[0]}"] = Answer(body=other.getvalue())
    with pytest.raises(DataError, match=rf"{names[0]}: .*not 5 s of mono at 44\.1 kHz"):
        fetch("esc10", tmp_path, mirror=server.url)


def test_recording_fault_long_recording_needs_little_memory(tmp_path: Path) -> None:
    """A FLAC of a quarter of an hour of silence is a few kilobytes in size."""
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 44_100, 1) as file:
        for _ in range(4):
            file.write(np.zeros(10**7, np.int16))
    tracemalloc.start()
    try:
        assert "longer than 5 s" in recording_fault(path)
        assert tracemalloc.get_traced_memory()[1] < 1e7
    finally:
        tracemalloc.stop()


def test_fetch_mirror_that_redirects_elsewhere_is_refused(server: Loopback, tmp_path: Path) -> None:
    server.always["meta/esc50.csv"] = Answer(location="http://93.184.215.14/meta/esc50.csv")
    with pytest.raises(DataError, match=r"redirects to another host, 93\.184\.215\.14; check the address or --mirror"):
        fetch("esc10", tmp_path, mirror=server.url)
