"""Files of a teacher's logits: what is written is read, and each fault is one sentence."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenelet.errors import UsageError
from scenelet.training.logits_file import read_logits

NAMES, LABELS = ["a/1.wav", "b/2.wav", "c/3.wav"], ["rain", "Käuzchen"]
LOGITS = np.arange(6.0).reshape(3, 2)


def write(path: Path, **changes: Any) -> None:
    arrays = {"names": np.array(NAMES), "labels": np.array(LABELS), "logits": LOGITS} | changes
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_read_logits_in_the_order_of_clips_and_labels(dtype: type, tmp_path: Path) -> None:
    path = tmp_path / "logits.npz"
    write(path, logits=LOGITS.astype(dtype), labels=np.array(["rain", "Ka\u0308uzchen"]))  # as macOS writes it
    found = read_logits(path, ["c/3.wav", "a/1.wav"], ["d/4.wav"], ["Käuzchen", "rain"])
    assert found.dtype == np.float32
    assert found.tolist() == [[5, 4], [1, 0]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"names": None}, "has no array names; give an .npz file with the arrays"),
        ({"names": np.array(NAMES, object)}, r"cannot be read \(ValueError\)"),
        ({"names": np.array([1, 2, 3])}, "its names are not a list of text"),
        ({"labels": np.array([LABELS])}, "its labels are not a list of text"),
        ({"labels": np.array(["rain", "rain"])}, r"its labels are not those of the data \(see Käuzchen\)"),
        ({"labels": np.array(["rain", "sea"])}, r"its labels are not those of the data \(see Käuzchen, sea\)"),
        ({"logits": LOGITS.T}, r"float64 of the shape \(2, 3\), not floats of the shape \(3, 2\)"),
        ({"logits": LOGITS.astype(int)}, "its logits are int64 of the shape"),
        ({"logits": np.where(LOGITS == 3, np.nan, LOGITS)}, "its logits are not all finite"),
        ({"logits": LOGITS * 1e300}, "its logits are not all finite"),
        ({"names": np.array([*NAMES[:2], NAMES[0]])}, "lists a/1.wav twice; list each clip once"),
        ({"names": np.array([*NAMES[:2], "x"])}, r"has no logits of 1 training clip \(c/3\.wav\); add them"),
        ({"names": np.array([*NAMES[:2], "x"]), "labels": np.array(LABELS[::-1])}, "has no logits of 1 training clip"),
    ],
)
def test_read_logits_of_an_unsuitable_file_is_one_sentence(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "logits.npz"
    write(path, **changes)
    with pytest.raises(UsageError, match=words) as caught:
        read_logits(path, NAMES, [], LABELS)
    assert str(caught.value).startswith(f"--teacher {path}: ")
    assert "\n" not in str(caught.value)


def test_read_logits_of_held_out_clips_raises(tmp_path: Path) -> None:
    path = tmp_path / "logits.npz"
    write(path)
    with pytest.raises(
        UsageError, match=r"lists 1 clip held out here \(b/2\.wav\); if its teacher was trained on them"
    ):
        read_logits(path, ["a/1.wav", "c/3.wav"], ["b/2.wav"], LABELS)


def one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, LOGITS)


def cut(path: Path) -> None:
    write(path)
    path.write_bytes(path.read_bytes()[:-40])


def altered(path: Path) -> None:
    """Change a byte of the logits, which the CRC of the archive shows."""
    write(path)
    data = bytearray(path.read_bytes())
    data[data.index(LOGITS.tobytes()) + 9] ^= 1
    path.write_bytes(data)


def of_text(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("logits.npy", "no array")


@pytest.mark.parametrize(
    "damage", [Path.touch, one_array, cut, altered, of_text, Path.mkdir, lambda _: None], ids=lambda each: each.__name__
)
def test_read_logits_of_a_damaged_file_raises(damage: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "logits.npz"
    damage(path)
    with pytest.raises(UsageError, match=r"logits\.npz: (no such file|cannot be read|has no array)"):
        read_logits(path, NAMES, [], LABELS)
