"""Folder trees: classes, splits and folds, and what is said about the rest."""

import errno
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from scenelet.audio.io import find_recordings
from scenelet.data.load import load_table
from scenelet.errors import DataError

Touch = Callable[..., Path]


class TestLoadClassFolders:
    def test_one_folder_per_class(self, tmp_path: Path, touch: Touch) -> None:
        touch("x/1.wav", "x/g/2.FLAC", "y/g/deep/3.ogg", "y/notes.txt", "y/._4.wav", ".git/5.wav", "docs/6.txt")
        table = load_table(tmp_path)
        assert [(clip.name, clip.label, clip.group) for clip in table.clips] == [
            ("x/1.wav", "x", "x/1.wav"),
            ("x/g/2.FLAC", "x", "g"),
            ("y/g/deep/3.ogg", "y", "g"),
        ]
        assert table.source == f"folder per class {tmp_path.name}"
        assert not table.has_split
        assert table.folds == ()

    @pytest.mark.parametrize(
        ("names", "words"),
        [
            (["notes.txt"], "holds no recordings and no table of clips"),
            (["a.wav", "b.wav"], r"2 recordings in no class folder \(a.wav, b.wav\)"),
            (["x/a.wav", "y/b.wav", "c.wav"], r"1 recording in no class folder"),
            (["x/a.wav", "x/b.wav"], "every clip has the label 'x'"),
            (["training/x.1.wav", "testing/y.1.wav"], "testing, training are subsets of a split, not classes, without"),
            (
                ["data/v1/x/a.wav", "data/v1/y/b.wav"],
                r"holds recordings only in data/v1, with the folders x, y; .* give",
            ),
            (["fold1/a.wav", "fold2/b.wav"], "its folders are folds, not classes, and 2 recordings in no class folder"),
            (["Dog/a.wav", "dog/b.wav"], r"the labels 'Dog' \(1 clip\) and 'dog' \(1 clip\) look alike"),
        ],
    )
    def test_folder_without_classes_is_refused(
        self, tmp_path: Path, touch: Touch, names: list[str], words: str
    ) -> None:
        touch(*names)
        with pytest.raises(DataError, match=words):
            load_table(tmp_path)

    def test_same_files_as_find_recordings(self, tmp_path: Path, touch: Touch) -> None:
        root = tmp_path / "root"
        names = ["x/a.wav", "x/two\nlines.FLAC", "x/.hidden.wav", ".git/b.wav", "y/deep/-c.ogg", "y/venv/pyvenv.cfg"]
        names += ["y/venv/d.wav", "y/Zürich 東京.mp3", "y/e.wav.txt"]
        touch(*(f"root/{name}" for name in names))
        touch("elsewhere/f.wav", "g.wav")
        (root / "linked").symlink_to(tmp_path / "elsewhere")
        (root / "linked again").symlink_to(tmp_path / "elsewhere")
        (root / "x" / "up").symlink_to(root)
        (root / "x" / "link.wav").symlink_to(tmp_path / "g.wav")
        (root / "x" / "dangling.wav").symlink_to(root / "absent")
        found = sorted(path.relative_to(root).as_posix() for path in find_recordings(root))
        assert [clip.name for clip in load_table(root).clips] == found
        assert found == [
            "linked/f.wav",
            "x/a.wav",
            "x/link.wav",
            "x/two\nlines.FLAC",
            "y/Zürich 東京.mp3",
            "y/deep/-c.ogg",
        ]

    def test_unreadable_folder_is_refused(self, tmp_path: Path, touch: Touch, monkeypatch: pytest.MonkeyPatch) -> None:
        touch("x/a.wav", "y/b.wav")
        scan = os.scandir

        def scan_or_fail(path: Path) -> object:  # root may read every folder
            if Path(path).name == "y":
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return scan(path)

        monkeypatch.setattr(os, "scandir", scan_or_fail)
        with pytest.raises(DataError, match=r"y: the folder cannot be read \(Permission denied\)"):
            load_table(tmp_path)

    def test_empty_folders_are_named(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("x/a.wav", "y/b.wav", "wind/notes.md", "__MACOSX/x/._a.wav")
        (root / "thunder").mkdir()
        assert load_table(root).labels == ("x", "y")
        assert "no recordings in the folders (thunder, wind)" in capsys.readouterr().err

    def test_labels_are_in_one_unicode_form(self, touch: Touch) -> None:
        names = unicodedata.normalize("NFC", "Käuzchen"), unicodedata.normalize("NFD", "Käuzchen")
        root = touch(f"{names[0]}/a.wav", f"{names[1]}/b.wav", "rain/c.wav")
        table = load_table(root)
        assert table.counts() == {names[0]: 2, "rain": 1}
        assert all(clip.path.is_file() for clip in table.clips)

    def test_label_files_of_segments_are_counted(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("x/a.wav", "y/b.wav", "y/c.txt")
        (root / "x" / "a.txt").write_text("0.5\t1.0\tbark\n")
        load_table(root)
        assert "1 file with labels of segments not used (x/a.txt)" in capsys.readouterr().err


class TestFoldersOfASplit:
    def test_folders_of_a_split_become_the_split(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("Train/x/a.wav", "Train/y/g/b.wav", "Val/x/c.wav", "Test/y/d.wav", "noise/n.wav", "e.wav")
        table = load_table(root)
        assert [(clip.name, clip.label, clip.group, clip.split) for clip in table.clips] == [
            ("Test/y/d.wav", "y", "Test/y/d.wav", "test"),
            ("Train/x/a.wav", "x", "Train/x/a.wav", "train"),
            ("Train/y/g/b.wav", "y", "g", "train"),
            ("Val/x/c.wav", "x", "Val/x/c.wav", "validation"),
        ]
        messages = capsys.readouterr().err
        assert f"1 recording of {root / 'noise'} not used, in no class folder of Test, Train, Val" in messages
        assert f"1 recording of {root} not used" in messages

    def test_training_folder_alone_is_split_at_random(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        table = load_table(touch("train/x/a.wav", "train/y/b.wav"))
        assert (table.labels, table.has_split) == (("x", "y"), False)
        assert "holds only train, so test clips are chosen at random" in capsys.readouterr().err

    def test_development_and_evaluation_are_training_and_test(self, touch: Touch) -> None:
        table = load_table(touch("dev/x/a.wav", "dev/y/b.wav", "eval/x/c.wav", "eval/y/d.wav"))
        assert [clip.split for clip in table.clips] == ["train", "train", "test", "test"]

    def test_class_named_train_stays_a_class(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("train/a.wav", "bus/b.wav")
        assert load_table(root).labels == ("bus", "train")
        assert f"{root / 'train'} is taken as a class" in capsys.readouterr().err

    def test_fold_folders_become_folds(self, touch: Touch) -> None:
        table = load_table(touch("fold1/x/a.wav", "fold1/y/b.wav", "Fold_2/x/c.wav", "Fold_2/y/d.wav"))
        assert (table.labels, table.folds) == (("x", "y"), ("1", "2"))
