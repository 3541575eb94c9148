"""Clips that are read back from their table unchanged, or refused."""

import os
from pathlib import Path

import pytest

from scenelet.data.clips import Clip
from scenelet.data.load import load_table
from scenelet.data.write_csv import CLIPS, write_clip_csv
from scenelet.errors import DataError


def test_write_clip_csv_is_read_back_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [Path("data/b/x, y.wav"), tmp_path / "data" / "a" / '"z".wav']
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "run").mkdir()
    root = write_clip_csv(tmp_path / "run", paths, ["sea, far", "rain"], ["1", "2"])
    assert root == tmp_path / "data"
    table = load_table(tmp_path / "run" / CLIPS, root)
    assert table.clips == (
        Clip(root / 'a/"z".wav', 'a/"z".wav', "rain", "2", split="train"),
        Clip(root / "b/x, y.wav", "b/x, y.wav", "sea, far", "1", split="train"),
    )
    write_clip_csv(tmp_path / "run", paths, ["sea", "rain"], None)
    assert [clip.group for clip in load_table(tmp_path / "run" / CLIPS, root).clips] == ['a/"z".wav', "b/x, y.wav"]


def test_write_clip_csv_names_files_by_their_folder(tmp_path: Path) -> None:
    """A table in that folder would use the same names, so cached features are found again."""
    assert write_clip_csv(tmp_path, [tmp_path / "audio" / "a.wav"], ["x"], None) == tmp_path / "audio"
    assert (tmp_path / CLIPS).read_text() == "filename,label,split\na.wav,x,train\n"


@pytest.mark.parametrize(
    ("path", "label", "group", "words"),
    [
        ("a.wav ", "x", "g", r"the filename 'a\.wav ' is not allowed in a table"),
        ("a\\b.wav", "x", "g", "the filename"),
        (os.fsdecode(b"\xff.wav"), "x", "g", "not UTF-8"),
        ("a.wav", " x", "g", "the label ' x' is not allowed"),
        ("a.wav", "", "g", "the label '' is not allowed"),
        ("a.wav", "x\ny", "g", "the label"),
        ("a.wav", "x", "", "the group '' is not allowed"),
    ],
)
def test_write_clip_csv_refuses_ambiguous_texts(path: str, label: str, group: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words) as caught:
        write_clip_csv(tmp_path, [Path("first.wav"), Path(path)], ["x", label], ["g", group])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / CLIPS).exists()
