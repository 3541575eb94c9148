"""Tables of clips, and the search for one in a folder."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from scenelet.data.load import load_table
from scenelet.data.tables import table_fault
from scenelet.errors import DataError

GOOD = "filename,label\na.wav,x\nb.wav,y\n"
Touch = Callable[..., Path]


class TestLoadTableOfCsv:
    def test_columns_become_clip_attributes(self, csv: Callable[..., Path]) -> None:
        path = csv("filename,label,fold,group,split,city,device\nb.wav,y,2,g,TEST,paris,s1\na.wav,x,1,,train,,\n")
        table = load_table(path)
        a, b = table.clips
        assert (a.name, a.label, a.group, a.fold, a.split, a.city) == ("a.wav", "x", "a.wav", "1", "train", None)
        assert (b.name, b.label, b.group, b.fold, b.split, b.city) == ("b.wav", "y", "g", "2", "test", "paris")
        assert (a.device, b.device, table.devices) == (None, "s1", ("s1",))
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
            GOOD.replace(",", "|"),
            GOOD.replace(",", " "),
            "sep=;\r\n" + GOOD.replace(",", ";"),
            GOOD.replace("\n", "\r"),
            GOOD.replace("x\n", "x\n\n,\n"),
            "filename,label\na.wav,x,\nb.wav,y,,\n",
            "\ufeff" + GOOD,
            GOOD + "\n,\n\n",
            " Filename , LABEL \n a.wav , x \nb.wav,y",
            'filename,"label"\n"./a.wav",x\nb.wav,y\n',
        ],
        ids=[
            "plain",
            "crlf",
            "tab",
            "semicolon",
            "pipe",
            "blank",
            "Excel",
            "cr",
            "empty middle",
            "ends",
            "bom",
            "empty end",
            "blanks",
            "quotes",
        ],
    )
    def test_csv_dialects_give_the_same_clips(self, csv: Callable[..., Path], text: str) -> None:
        assert [(clip.name, clip.label) for clip in load_table(csv(text)).clips] == [("a.wav", "x"), ("b.wav", "y")]

    def test_order_of_rows_is_ignored(self, csv: Callable[..., Path]) -> None:
        first = load_table(csv(GOOD))
        assert load_table(csv("filename,label\nb.wav,y\na.wav,x\n")) == first

    def test_recordings_in_audio_next_to_the_table(self, tmp_path: Path, touch: Touch) -> None:
        touch("audio/a.wav", "audio/b.wav")
        (tmp_path / "clips.csv").write_text(GOOD)
        table = load_table(tmp_path / "clips.csv")
        assert table.root == tmp_path / "audio"
        assert [clip.path for clip in table.clips] == [tmp_path / "audio" / "a.wav", tmp_path / "audio" / "b.wav"]

    def test_recordings_in_audio_dir(self, tmp_path: Path, touch: Touch) -> None:
        touch("elsewhere/a.wav", "elsewhere/b.wav")
        (tmp_path / "clips.csv").write_text(GOOD)
        assert load_table(tmp_path / "clips.csv", tmp_path / "elsewhere").root == tmp_path / "elsewhere"

    def test_backslashes_separate_folders(self, tmp_path: Path, touch: Touch) -> None:
        touch("s/a.wav", "s/b.wav")
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
            (
                "recording,label\na.wav,x\n",
                r"its columns are recording, label; name the column of recordings filename \(",
            ),
            ("file,sound\na.wav,x\n", r"its columns are file, sound; .* and the column of classes label \("),
            ("a.wav,x\nb.wav,y\n", r"its first line is not a header; write filename, label above"),
            ("", r"its columns are none; name"),
            ("filename,x,y\na.wav,1,0\nb.wav,0,1\n", "one column of 0 and 1 per class; write the class"),
            ("filename,label,label\na.wav,x,x\n", r"names the column label twice"),
            ("filename,label\n", r"has a header but no rows"),
            ("filename,label\na.wav,x,1\nb.wav,y\n", r"line 2: has 3 fields where the header has 2"),
            ("filename,label\n,x\nb.wav,y\n", r"line 2: the filename is empty"),
            ("filename,label\na.wav,x\nb.wav,\n", r"line 3: b.wav has no label"),
            (GOOD + "./a.wav,x\n", "a.wav: listed more than once; keep one row each, with one class"),
            (
                GOOD + "./a.wav,y\n",
                r"lines 2 and 4: a.wav is 'x' and 'y' at the same time \(2 such rows\)",
            ),
            ("filename,label\na.wav,x\nb.wav,x\n", r"every clip has the label 'x'"),
            (
                "filename,label,split\na.wav,x,trian\nb.wav,y,test\n",
                r"line 2: unknown split 'trian'; it is train, validation, test or empty; did you mean 'train'",
            ),
            (GOOD.encode("utf-16"), r"not a UTF-8 text table"),
            ('filename,label\na.wav,"x\nb.wav,y\n', r"the label of a.wav holds a line end; check for a missing quote"),
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

    @pytest.mark.parametrize(
        "label", ["label", "class", "category", "scene_label", "primary_label", "Species", "labels"]
    )
    @pytest.mark.parametrize("file", ["filename", "file_name", "File Name", "path", "file", "fname"])
    def test_common_column_names_are_accepted(self, csv: Callable[..., Path], file: str, label: str) -> None:
        table = load_table(csv(f"note,{label},{file}\n1,x,a.wav\n2,y,b.wav\n"))
        assert [(clip.name, clip.label) for clip in table.clips] == [("a.wav", "x"), ("b.wav", "y")]

    def test_second_column_of_classes_is_named(
        self, csv: Callable[..., Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert load_table(csv("filename,species,class\na.wav,1,x\nb.wav,2,y\n")).labels == ("x", "y")
        assert "the classes are those of the column class, not species" in capsys.readouterr().err

    def test_gzipped_table_is_read(self, csv: Callable[..., Path]) -> None:
        path = csv(gzip.compress(GOOD.encode()), "clips.csv.gz")
        assert load_table(path.parent).labels == ("x", "y")
        with pytest.raises(DataError, match=r"clips.csv.gz: cannot be read"):
            load_table(csv(gzip.compress(GOOD.encode())[:20], "clips.csv.gz"))

    def test_parquet_table_is_read(self, csv: Callable[..., Path]) -> None:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        path = csv(b"PAR1 damaged", "clips.parquet")
        with pytest.raises(DataError, match=r"clips.parquet: is not a readable Parquet file"):
            load_table(path)
        columns = {"filename": ["a.wav", "b.wav"], "label": [7, 8], "fold": [1, None], "sound": [[0.5], [0.1]]}
        parquet.write_table(pyarrow.table(columns), path)
        assert [(clip.label, clip.fold) for clip in load_table(path.parent).clips] == [("7", "1"), ("8", None)]

    def test_subset_names_of_other_programs_are_accepted(self, csv: Callable[..., Path]) -> None:
        table = load_table(csv("filename,label,split\na.wav,x,Training\nb.wav,y,val\n"))
        assert [clip.split for clip in table.clips] == ["train", "validation"]

    def test_device_called_unknown_is_none(self, csv: Callable[..., Path]) -> None:
        table = load_table(csv("filename,label,device\na.wav,x,Unknown\nb.wav,y,s1\n"))
        assert [clip.device for clip in table.clips] == [None, "s1"]
        assert table.devices == ("s1",)

    def test_fold_written_as_a_float_is_an_integer(self, csv: Callable[..., Path]) -> None:
        assert load_table(csv("filename,label,fold\na.wav,x,1.0\nb.wav,y,2.0\n")).folds == ("1", "2")

    def test_home_folder_is_expanded(
        self, csv: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        csv("filename,label\n~/a.wav,x\n~/b.wav,y\n")
        assert [clip.path for clip in load_table("~/clips.csv", "~").clips] == [tmp_path / "a.wav", tmp_path / "b.wav"]

    def test_recordings_in_the_folder_but_not_in_the_table_are_counted(
        self, csv: Callable[..., Path], touch: Touch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        touch("new/c.wav", "d.wav")
        load_table(csv(GOOD).parent)
        assert "2 recordings in" in (messages := capsys.readouterr().err)
        assert "not used, since the table does not list them (d.wav, new/c.wav)" in messages


class TestFindTable:
    def test_one_table_in_the_folder_is_used(self, csv: Callable[..., Path]) -> None:
        path = csv(GOOD)
        csv("something,else\n1,2\n", "other.csv")
        assert load_table(path.parent).source == "CSV clips.csv"

    def test_two_tables_in_the_folder_are_refused(self, csv: Callable[..., Path]) -> None:
        csv(GOOD)
        path = csv(GOOD.replace(",", "\t"), "more.tsv")
        with pytest.raises(
            DataError, match=r"holds 2 tables of clips \(clips.csv, more.tsv\); give the path of the one"
        ):
            load_table(path.parent)
        assert load_table(path).source == "TSV more.tsv"

    def test_table_in_a_metadata_folder_is_used(self, touch: Touch) -> None:
        root = touch("audio/a.wav", "audio/b.wav")
        (root / "meta").mkdir()
        (root / "meta" / "clips.csv").write_text(GOOD)
        assert [clip.path.name for clip in load_table(root).clips] == ["a.wav", "b.wav"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("recording,annotation\nmonday/a.wav,x\n", "its columns are recording, annotation; name the column"),
            ("monday/a.wav,x\ntuesday/b.wav,y\n", "its first line is not a header"),
            ("file_name,caption\nmonday/a.wav,a dog\n", "its columns are file_name, caption"),
            ("filename,x,y\nmonday/a.wav,1,0\n", "one column of 0 and 1 per class"),
            (
                "Selection\tBegin Time (s)\tEnd Time (s)\n1\t0.4\t0.9\n",
                "name the column of classes Annotation",
            ),
        ],
        ids=["columns", "no header", "no classes", "one-hot", "Raven"],
    )
    @pytest.mark.parametrize("name", ["labels.csv", "monday/labels.csv"])
    def test_table_of_recordings_is_never_passed_over(self, touch: Touch, name: str, text: str, words: str) -> None:
        """Folder names are not the classes if a table labels the recordings."""
        root = touch("monday/a.wav", "tuesday/b.wav")
        (root / name).write_text(text)
        with pytest.raises(DataError, match=words if name == "labels.csv" else "lists recordings, but folder names"):
            load_table(root)

    def test_other_tables_next_to_class_folders_are_named(
        self, touch: Touch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        root = touch("x/a.wav", "y/b.wav", "features.xlsx", "readme.txt")
        (root / "sites.csv").write_text("site,lat\nA,48\n")
        assert load_table(root).labels == ("x", "y")
        assert "2 table or metadata files not used (sites.csv, features.xlsx)" in capsys.readouterr().err

    def test_text_file_of_labels_is_never_passed_over(self, touch: Touch) -> None:
        root = touch("monday/a.wav", "tuesday/b.wav", "readme.txt")
        (root / "readme.txt").write_text("We recorded monday/a.wav first.\n")
        assert load_table(root).labels == ("monday", "tuesday")
        (root / "meta.txt").write_text("monday/a.wav\tdog\ntuesday/b.wav\train\n")
        with pytest.raises(DataError, match=r"meta.txt: its first line is not a header"):
            load_table(root)
        (root / "meta.txt").write_text("filename\tlabel\nmonday/a.wav\tdog\ntuesday/b.wav\train\n")
        assert load_table(root).labels == ("dog", "rain")


@pytest.mark.parametrize(
    ("header", "renames"),
    [
        *((f"{name},label", f"{name} to filename") for name in ("audio", "wav", "recording", "#filename", "id")),
        *((f"filename,{name}", f"{name} to label") for name in ("class_name", "target", "event_label", "tag", "scene")),
        *((f"filename,{name}", f"{name} to label") for name in ("genre", "common_name", "MANUAL ID", "Klasse")),
        ("wav_path,Classname", "wav_path to filename and Classname to label"),
    ],
)
def test_table_fault_names_the_columns_to_rename(csv: Callable[..., Path], header: str, renames: str) -> None:
    fault = table_fault(csv(f"{header}\na.wav,x\nb.wav,y\n"))
    assert fault is not None
    assert fault.endswith(f"; for example, rename {renames}")


def test_load_clip_rows_address_is_refused(csv: Callable[..., Path]) -> None:
    path = csv("filename,label\na.wav,x\nhttps://me:secret@host/b.wav?token=1,y\n")
    with pytest.raises(DataError, match=r"line 3: https://host/b\.wav is an address; download it"):
        load_table(path)


def test_table_fault_without_header_names_the_columns(csv: Callable[..., Path]) -> None:
    words = "write filename, label, group above the columns, with the separator of the rows"
    assert words in (table_fault(csv("a.wav\tx\tpark\nb.wav\ty\tpark\n", "meta.txt")) or "")
