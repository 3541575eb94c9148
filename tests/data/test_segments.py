"""Times of labels: which part of a recording a row labels, faults by line, and rows that contradict each other."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.config import SplitConfig
from scenelet.data.clips import Clip
from scenelet.data.load import load_table
from scenelet.data.segments import find_conflicts, seconds_of
from scenelet.data.splits import make_split
from scenelet.errors import DataError

Facts = list[tuple[str, str, float | None, float | None, str]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes a table next to a.wav of 2 s and b.wav of 1 s."""
    for name, seconds in (("a.wav", 2), ("b.wav", 1)):
        soundfile.write(tmp_path / name, np.zeros(8000 * seconds), 8000)

    def table(text: str, name: str = "clips.csv") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return table


def facts(path: Path) -> Facts:
    return [(clip.name, clip.label, clip.start, clip.end, clip.group) for clip in load_table(path).clips]


@pytest.mark.parametrize("columns", ["start,end", "onset,offset", "start_time,end_time", "Begin Time (s),End Time (s)"])
def test_load_table_parts_of_recordings_are_clips(write: Callable[..., Path], columns: str) -> None:
    path = write(f"filename,label,{columns}\na.wav,x,0,0.5\na.wav,y,0.75,2\nb.wav,y,,\n")
    assert facts(path) == [
        ("a.wav@0-0.5", "x", 0.0, 0.5, "a.wav"),
        ("a.wav@0.75-2", "y", 0.75, 2.0, "a.wav"),
        ("b.wav", "y", None, None, "b.wav"),
    ]
    assert load_table(path).describe().startswith("CSV clips.csv: 3 clips of 2 recordings, 2 classes, 2 groups")


def test_load_table_times_of_complete_recordings_are_none(write: Callable[..., Path]) -> None:
    path = write("filename,label,start,end\na.wav,x,0.05,1.95\nb.wav,y,0,\n")
    assert [(clip.name, clip.start) for clip in load_table(path).clips] == [("a.wav", None), ("b.wav", None)]


def test_load_table_group_fold_and_split_of_parts_are_read(write: Callable[..., Path]) -> None:
    clips = load_table(
        write("filename,label,start,end,group,fold,split\na.wav,x,0,1,g,1,train\na.wav,y,1,2,h,2,test\n")
    ).clips
    assert [(clip.group, clip.fold, clip.split) for clip in clips] == [("g", "1", "train"), ("h", "2", "test")]


def test_load_table_decimal_comma_is_read(write: Callable[..., Path]) -> None:
    assert facts(write("filename;label;start;end\na.wav;x;0,25;1,5\nb.wav;y;;\n"))[0][:4] == (
        "a.wav@0.25-1.5",
        "x",
        0.25,
        1.5,
    )


def test_load_table_times_of_day_are_noted(write: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    load_table(write("filename,label,start_time\na.wav,x,06:00\nb.wav,y,07:30\n"))
    assert "the times in start_time are not numbers of seconds and not used" in capsys.readouterr().err


def test_make_split_of_one_recording_names_the_way_out(write: Callable[..., Path]) -> None:
    rows = [f"a.wav,{'xy'[k % 2]},{k / 2},{k / 2 + 0.5}" for k in range(4)]
    table = load_table(write("filename,label,start,end\n" + "\n".join(rows) + "\n"))
    with pytest.raises(DataError, match=r"of one group .* made elsewhere, give the parts groups in a table, or leave"):
        make_split(table, SplitConfig())
    groups = load_table(write("filename,label,start,end,group\n" + "".join(f"{r},g{k}\n" for k, r in enumerate(rows))))
    assert len(make_split(groups, SplitConfig()).train) == 2


@pytest.mark.parametrize("columns", ["start_ms,end_ms", "onset_(ms),offset_(ms)", "start_sample,end_sample"])
def test_load_table_times_in_other_units_are_noted(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    load_table(write(f"filename,label,{columns}\na.wav,x,100,1500\nb.wav,y,200,900\n"))
    expected = f"the times in {columns.replace(',', ' and ')} are not numbers of seconds and not used"
    assert expected in capsys.readouterr().err


def test_load_table_times_in_seconds_count_more_than_times_of_day(write: Callable[..., Path]) -> None:
    """As in the table of `scenelet timeline`."""
    columns = "file,start_seconds,end_seconds,label,start_time,end_time"
    row = "a.wav,0.5,1.5,x,2024-05-01T05:30:00.500,2024-05-01T05:30:01.500"
    clips = load_table(write(f"{columns}\n{row}\nb.wav,,,y,,\n")).clips
    assert [clip.name for clip in clips] == ["a.wav@0.5-1.5", "b.wav"]


def test_load_table_names_two_files_that_label_the_same(write: Callable[..., Path]) -> None:
    root = write("0\t1\tx\n1\t2\ty\n", "a.txt").parent
    write("Begin Time (s)\tEnd Time (s)\tLabel\n0\t1\tx\n", "a.selections.txt")
    with pytest.raises(
        DataError, match=r"a\.wav@0-1: labelled in several files, such as a\.selections\.txt and a\.txt; keep"
    ):
        load_table(root)


def test_load_table_tables_of_a_split_keep_parts(write: Callable[..., Path]) -> None:
    root = write("filename,label,start,end\na.wav,x,0,0.5\na.wav,y,1,2\n", "train.csv").parent
    write("filename,label,start,end\nb.wav,x,0.25,0.5\nb.wav,y,0.5,0.75\n", "test.csv")
    found = [(clip.name, clip.group, clip.split) for clip in load_table(root).clips]
    assert found == [
        ("a.wav@0-0.5", "a.wav", "train"),
        ("a.wav@1-2", "a.wav", "train"),
        ("b.wav@0.25-0.5", "b.wav", "test"),
        ("b.wav@0.5-0.75", "b.wav", "test"),
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a.wav,0.5,soon,x", "a.wav has the time 'soon', which is not a number of seconds; correct it"),
        ("a.wav,nan,1,x", "a.wav has the time 'nan', which is not a number"),
        ("a.wav,0.5,inf,x", "a.wav has the time 'inf', which is not a number"),
        ("a.wav,0:30,1,x", "a.wav has the time '0:30', which is not a number"),
        ("a.wav,-0.5,1,x", "a.wav has the start -0.5 s; times begin at 0"),
        ("a.wav,0.5,,x", "a.wav has a start or an end only; give both, or none if"),
        ("a.wav,,0.5,x", "a.wav has a start or an end only"),
        ("a.wav,1,0.5,x", "a.wav has the end 0.5 s, which is not after the start 1 s"),
        ("a.wav,0.5,0.5,x", "a.wav has the end 0.5 s, which is not after the start 0.5 s"),
        ("a.wav,0.5,2.2,x", "a.wav has a label from 0.5 to 2.2 s, but ends at 2.00 s; correct the times"),
        ("a.wav,0,3,x", "a.wav has a label from 0 to 3 s, but ends at 2.00 s"),
        ("a.wav,5,6,x", "a.wav has a label from 5 to 6 s, but ends at 2.00 s"),
        ("a.wav,0.5,0.55,x", "a.wav has a label of less than 0.1 s at 0.5 s; make it longer, or delete it"),
        ("a.wav,1.95,2.05,x", "a.wav has a label of less than 0.1 s at 1.95 s"),
        ("a.wav,0.5,1,", "a.wav has no label; fill it in or delete the row"),
        (",0.5,1,x", "the filename is empty"),
        ("a.wav,0.5,1,n/a", "the label 'n/a' is a missing value"),
        ("a.wav,0.5,1,x,y", "has 5 fields where the header has 4"),
    ],
)
def test_load_table_faults_are_named_by_line(write: Callable[..., Path], row: str, words: str) -> None:
    path = write(f"filename,start,end,label\nb.wav,0.25,0.5,y\n{row}\n")
    with pytest.raises(DataError) as caught:
        load_table(path)
    assert f"{path}, line 3: {words}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_load_table_shortest_part_is_accepted(write: Callable[..., Path]) -> None:
    path = write("filename,start,end,label\na.wav,0.4,0.5,x\nb.wav,0.7,0.8,y\n")
    assert [clip.start for clip in load_table(path).clips] == [0.4, 0.7]


OVERLAPPING = (
    "filename,start,end,label\na.wav,0,1,x\na.wav,0.5,1.5,y\na.wav,1.25,2,z\na.wav,0.25,0.75,x\n"
    "b.wav,0,0.5,x\nb.wav,0.46,1,y\n"
)


class TestMultiLabel:
    def test_overlapping_rows_are_refused_by_their_lines(self, write: Callable[..., Path]) -> None:
        words = r"clips.csv, lines 2 and 3: a.wav is 'x' and 'y' at the same time \(4 such rows\); .*--multi-label skip"
        with pytest.raises(DataError, match=words):
            load_table(write(OVERLAPPING))

    def test_overlapping_rows_are_left_out(
        self, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        table = load_table(write(OVERLAPPING), multi_label="skip")
        assert [clip.name for clip in table.clips] == ["b.wav@0-0.5", "b.wav@0.46-1"]
        assert "4 rows left out, since they overlap rows of another label" in capsys.readouterr().err
        assert table.multi_label == "skip"

    def test_first_of_overlapping_rows_is_kept(self, write: Callable[..., Path]) -> None:
        table = load_table(write(OVERLAPPING), multi_label="first")
        kept = ["a.wav@0-1", "a.wav@0.25-0.75", "a.wav@1.25-2", "b.wav@0-0.5", "b.wav@0.46-1"]
        assert [clip.name for clip in table.clips] == kept  # the third row only overlaps one that is left out

    def test_complete_recording_overlaps_its_parts(self, write: Callable[..., Path]) -> None:
        with pytest.raises(DataError, match=r"lines 2 and 3: a.wav is 'x' and 'y' at the same time"):
            load_table(write("filename,start,end,label\na.wav,,,x\na.wav,1.5,1.75,y\n"))

    def test_several_labels_in_a_cell(self, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
        path = write("filename,start,end,label\na.wav,0,1,\"x,y\"\na.wav,1,2,x\nb.wav,0.5,1,\"['y', 'x']\"\n")
        with pytest.raises(DataError, match=r"line 2: 'x,y' is several labels \(2 such rows\); .*--multi-label first"):
            load_table(path)
        table = load_table(path, multi_label="first")
        assert [clip.label for clip in table.clips] == ["x", "x", "y"]
        assert "2 rows hold several labels; their first label is taken" in capsys.readouterr().err
        assert len(load_table(path, multi_label="skip", min_classes=1).clips) == 1

    def test_nothing_left_is_refused(self, write: Callable[..., Path]) -> None:
        path = write("filename,start,end,label\na.wav,0,1,x\na.wav,0.5,2,y\n")
        with pytest.raises(DataError, match="every row has several labels, or overlaps a row of another label"):
            load_table(path, multi_label="skip")

    def test_repeated_part_is_refused(self, write: Callable[..., Path]) -> None:
        with pytest.raises(DataError, match=r"a.wav@0.5-1: listed more than once"):
            load_table(write("filename,start,end,label\na.wav,0.5,1,x\na.wav,0.50,1.0,x\nb.wav,,,y\n"))


def test_find_conflicts_equals_comparison_of_all_pairs() -> None:
    rng = np.random.default_rng(3)
    starts, lengths = rng.uniform(0, 50, 200), rng.uniform(0.1, 3, 200)
    labels, names = rng.choice(["x", "y", "z"], 200), rng.choice(["a", "b"], 200)
    clips = [
        Clip(Path(name), f"{i}", label, name, start=start, end=start + length)
        for i, (name, label, start, length) in enumerate(zip(names, labels, starts, lengths, strict=True))
    ]
    expected = [
        (i, j)
        for i in range(200)
        for j in range(i + 1, 200)
        if clips[i].path == clips[j].path
        and clips[i].label != clips[j].label
        and starts[i] + lengths[i] > max(starts[i], starts[j]) + 0.05
        and starts[j] + lengths[j] > max(starts[i], starts[j]) + 0.05
    ]
    assert len(expected) > 50
    assert find_conflicts(clips) == expected


@pytest.mark.parametrize(
    ("text", "value"), [("1e1", 10.0), ("1,5", 1.5), ("1,500,000", None), ("", None), ("inf", None)]
)
def test_seconds_of(text: str, value: float | None) -> None:
    assert seconds_of(text) == value
