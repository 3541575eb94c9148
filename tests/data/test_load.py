"""Layouts that `load_table` recognizes, and the error for each fault."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scenelet.audio.io import find_recordings
from scenelet.data.load import load_table
from scenelet.errors import DataError, UsageError

GOOD = "filename,label\na.wav,x\nb.wav,y\n"


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., Path]:
    """Write a table beside empty a.wav and b.wav."""
    _touch(tmp_path, "a.wav", "b.wav")

    def write(text: str | bytes, name: str = "clips.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


class TestLoadTableOfCsv:
    def test_columns_become_clip_attributes(self, csv: Callable[..., Path]) -> None:
        path = csv("filename,label,fold,group,split,city\nb.wav,y,2,g,TEST,paris\na.wav,x,1,,train,\n")
        table = load_table(path)
        a, b = table.clips
        assert (a.name, a.label, a.group, a.fold, a.split, a.city) == ("a.wav", "x", "a.wav", "1", "train", None)
        assert (b.name, b.label, b.group, b.fold, b.split, b.city) == ("b.wav", "y", "g", "2", "test", "paris")
        assert a.path == path.parent / "a.wav"
        assert table.root == path.parent
        assert not table.synthetic

    @pytest.mark.parametrize(
        "text",
        [
            GOOD,
            GOOD.replace("\n", "\r\n"),
            GOOD.replace(",", "\t"),
            GOOD.replace(",", ";"),
            "\ufeff" + GOOD,
            GOOD + "\n,\n\n",
            " Filename , LABEL \n a.wav , x \nb.wav,y",
            'filename,"label"\n"./a.wav",x\nb.wav,y\n',
        ],
        ids=["plain", "crlf", "tab", "semicolon", "bom", "empty end", "blanks", "quotes"],
    )
    def test_csv_dialects_give_the_same_clips(self, csv: Callable[..., Path], text: str) -> None:
        assert [(clip.name, clip.label) for clip in load_table(csv(text)).clips] == [("a.wav", "x"), ("b.wav", "y")]

    def test_order_of_rows_is_ignored(self, csv: Callable[..., Path]) -> None:
        first = load_table(csv(GOOD))
        assert load_table(csv("filename,label\nb.wav,y\na.wav,x\n")) == first

    def test_recordings_in_audio_next_to_the_table(self, tmp_path: Path) -> None:
        _touch(tmp_path, "audio/a.wav", "audio/b.wav")
        (tmp_path / "clips.csv").write_text(GOOD)
        table = load_table(tmp_path / "clips.csv")
        assert table.root == tmp_path / "audio"
        assert [clip.path for clip in table.clips] == [tmp_path / "audio" / "a.wav", tmp_path / "audio" / "b.wav"]

    def test_recordings_in_audio_dir(self, tmp_path: Path) -> None:
        _touch(tmp_path, "elsewhere/a.wav", "elsewhere/b.wav")
        (tmp_path / "clips.csv").write_text(GOOD)
        assert load_table(tmp_path / "clips.csv", tmp_path / "elsewhere").root == tmp_path / "elsewhere"

    def test_backslashes_separate_folders(self, tmp_path: Path) -> None:
        _touch(tmp_path, "s/a.wav", "s/b.wav")
        (tmp_path / "clips.csv").write_text("filename,label\ns\\a.wav,x\ns\\b.wav,y\n")
        assert [clip.name for clip in load_table(tmp_path / "clips.csv").clips] == ["s/a.wav", "s/b.wav"]

    @pytest.mark.parametrize(
        ("sources", "synthetic"),
        [(("synthetic (x)", "synthetic"), True), (("synthetic", "field"), False), (("", ""), False)],
    )
    def test_source_column_marks_synthetic_data(
        self, csv: Callable[..., Path], sources: tuple[str, str], synthetic: bool
    ) -> None:
        path = csv(f"filename,label,source\na.wav,x,{sources[0]}\nb.wav,y,{sources[1]}\n")
        assert load_table(path).synthetic is synthetic

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("file,label\na.wav,x\n", r"no column 'filename' in its first line; it has file, label"),
            ("a.wav,x\nb.wav,y\n", r"no column 'filename' or 'label'"),
            ("", r"no column .*; it has no columns"),
            ("filename,label,label\na.wav,x,x\n", r"names the column label twice"),
            ("filename,label\n", r"has a header but no rows"),
            ("filename,label\na.wav,x\n\nb.wav,y\n", r"clips.csv, line 3: the row is empty; delete it"),
            ("filename,label\na.wav,x,1\nb.wav,y\n", r"line 2: has 3 fields where the header has 2"),
            ("filename,label\n,x\nb.wav,y\n", r"line 2: the filename is empty"),
            ("filename,label\na.wav,x\nb.wav,\n", r"line 3: b.wav has no label"),
            (GOOD + "./a.wav,y\n", "a.wav: listed more than once; keep one row"),
            ("filename,label\na.wav,x\nb.wav,x\n", r"every clip has the label 'x'"),
            (
                "filename,label,split\na.wav,x,trian\nb.wav,y,test\n",
                r"line 2: unknown split 'trian'; it is train, validation, test or empty; did you mean 'train'",
            ),
            (GOOD.encode("utf-16"), r"not a UTF-8 text table"),
            ('filename,label\na.wav,"x\nb.wav,y\n', r"line 2: has 2 fields|no rows|every clip"),
        ],
    )
    def test_invalid_table_is_refused(self, csv: Callable[..., Path], text: str | bytes, words: str) -> None:
        path = csv(text)
        with pytest.raises(DataError, match=words) as caught:
            load_table(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_missing_files_are_counted_and_named(self, csv: Callable[..., Path]) -> None:
        path = csv(GOOD + "".join(f"c{i}.wav,x\n" for i in range(5)))
        words = r"5 of 7 files do not exist \(c0.wav, c1.wav, c2.wav and 2 more\); looked in .* give --audio-dir"
        with pytest.raises(DataError, match=words):
            load_table(path)
        assert len(load_table(path, require_audio=False).clips) == 7

    def test_field_over_the_size_limit_is_refused(self, csv: Callable[..., Path]) -> None:
        with pytest.raises(DataError, match="line 2: is not a readable table"):
            load_table(csv("filename,label\n" + "a" * 200_000 + ",x\n"))


class TestLoadTableOfFolder:
    def test_one_table_in_the_folder_is_used(self, csv: Callable[..., Path]) -> None:
        path = csv(GOOD)
        csv("something,else\n1,2\n", "other.csv")
        assert load_table(path.parent).source == "CSV clips.csv"

    def test_two_tables_in_the_folder_are_refused(self, csv: Callable[..., Path]) -> None:
        csv(GOOD)
        path = csv(GOOD.replace(",", "\t"), "more.tsv")
        with pytest.raises(DataError, match=r"holds 2 tables of clips \(clips.csv, more.tsv\)"):
            load_table(path.parent)
        assert load_table(path).source == "TSV more.tsv"

    def test_one_folder_per_class(self, tmp_path: Path) -> None:
        _touch(
            tmp_path, "x/1.wav", "x/g/2.FLAC", "y/g/deep/3.ogg", "y/notes.txt", "y/._4.wav", ".git/5.wav", "docs/6.txt"
        )
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
            (["train/x/a.wav", "test/x/b.wav"], "its folders test, train are subsets of a split, not classes"),
        ],
    )
    def test_folder_without_classes_is_refused(self, tmp_path: Path, names: list[str], words: str) -> None:
        _touch(tmp_path, *names)
        with pytest.raises(DataError, match=words):
            load_table(tmp_path)

    def test_columns_of_an_unsuitable_table_are_named(self, tmp_path: Path) -> None:
        (tmp_path / "meta.csv").write_text("file,class\n")
        with pytest.raises(DataError, match=r"meta.csv has the columns file, class"):
            load_table(tmp_path)

    def test_same_files_as_find_recordings(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        names = ["x/a.wav", "x/two\nlines.FLAC", "x/.hidden.wav", ".git/b.wav", "y/deep/-c.ogg", "y/venv/pyvenv.cfg"]
        _touch(root, *names, "y/venv/d.wav", "y/Zürich 東京.mp3", "y/e.wav.txt")
        _touch(tmp_path, "elsewhere/f.wav", "g.wav")
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

    def test_unreadable_folder_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _touch(tmp_path, "x/a.wav", "y/b.wav")
        scan = os.scandir

        def scan_or_fail(path: Path) -> object:  # root may read every folder
            if Path(path).name == "y":
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return scan(path)

        monkeypatch.setattr(os, "scandir", scan_or_fail)
        with pytest.raises(DataError, match=r"y: the folder cannot be read \(Permission denied\)"):
            load_table(tmp_path)


class TestLoadTableArguments:
    def test_str_and_path_give_the_same_table(self, tmp_path: Path) -> None:
        _touch(tmp_path, "x/a.wav", "y/b.wav")
        assert load_table(str(tmp_path)) == load_table(tmp_path)
        (tmp_path / "clips.csv").write_text("filename,label\na.wav,x\n../y/b.wav,y\n")
        table = load_table(str(tmp_path / "clips.csv"), str(tmp_path / "x"))
        assert table == load_table(tmp_path / "clips.csv", tmp_path / "x")

    def test_missing_path_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no such file or folder"):
            load_table(tmp_path / "none")

    def test_recording_is_refused(self, tmp_path: Path) -> None:
        _touch(tmp_path, "a.wav")
        with pytest.raises(DataError, match="is one recording"):
            load_table(tmp_path / "a.wav")

    def test_options_that_do_not_fit_are_refused(self, tmp_path: Path) -> None:
        _touch(tmp_path, "x/a.wav", "y/b.wav")
        with pytest.raises(UsageError, match="--audio-dir needs a CSV"):
            load_table(tmp_path, tmp_path)
        with pytest.raises(UsageError, match=r"--audio-dir .*: no such folder"):
            load_table(tmp_path, tmp_path / "none")
        with pytest.raises(UsageError, match="--tau-3-class"):
            load_table(tmp_path, tau_3_class=True)


def test_load_table_of_esc10(esc10: Path) -> None:
    table = load_table(esc10)
    assert table.describe() == "CSV meta.csv: 400 clips, 10 classes, 304 groups, folds 1 2 3 4 5"
    assert set(table.counts().values()) == {40}
    assert not table.synthetic
    assert load_table(esc10 / "meta.csv") == table
