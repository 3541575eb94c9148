"""Label files of other programs: one that looks like theirs loads to the right clips, and faults are named by line."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenelet.cli.check import check
from scenelet.cli.options import Format
from scenelet.data.label_files import program_of, read_label_file
from scenelet.data.load import load_table
from scenelet.errors import DataError, MissingAudioError

RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"
    "1\tWaveform 1\t1\t0.500000000\t1.250000000\t0.000\t4000.000\tsong\n"
    "1\tSpectrogram 1\t1\t0.500000000\t1.250000000\t0.000\t4000.000\tsong\n"
    '2\tWaveform 1\t1\t2.000000000\t3.500000000\t0.000\t4000.000\t"call"\n'
    '2\tSpectrogram 1\t1\t2.000000000\t3.500000000\t0.000\t4000.000\t"call"\n'
)
JOINT = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tBegin Path\tBegin File\tFile Offset (s)\tSpecies\n"
    "1\tSpectrogram 1\t1\t1.25\t2.5\tC:\\night\\a.wav\ta.wav\t1.25\towl\n"
    "2\tSpectrogram 1\t1\t5.5\t6.1\tC:\\night\\b.wav\tb.wav\t1.5\tfox\n"
)
AUDIOSET = (
    "# Segments csv created Sun Mar  5 10:54:31 2017\n# num_ytids=3, num_segs=3, num_unique_labels=2\n"
    "# YTID, start_seconds, end_seconds, positive_labels\n"
    '--PJHxphWEs, 1.000, 2.500, "/m/09x0r"\n-0SdAVK79lg, 30.000, 34.000, "/m/04rlf"\nabc, 0.000, 4.000, "/m/04rlf"\n'
    'gone, 0.000, 4.000, "/m/04rlf"\n'
)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Function that makes recordings of 4 s, and text files, in a folder."""

    def make(*names: str, **texts: str) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / name, np.random.default_rng(list(name.encode())).normal(0, 0.1, 32000), 8000)
        for name, text in texts.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


def facts(path: Path, **options: object) -> list[tuple[str, str, str]]:
    return [(clip.name, clip.label, clip.group) for clip in load_table(path, **options).clips]  # type: ignore[arg-type]


class TestAudacity:
    def test_files_next_to_their_recordings(self, folder: Callable[..., Path]) -> None:
        texts = {
            "a.txt": "0.500000\t1.250000\tdog\n\\\t1484.669312\t2969.338523\n2.000000\t3.500000\train, heavy\n",
            "b.txt": "1,5\t2,5\tdog\r\n",
        }
        root = folder("a.wav", "b.flac", "unlabelled.wav", **texts)
        expected = [("a.wav@0.5-1.25", "dog", "a.wav"), ("a.wav@2-3.5", "rain, heavy", "a.wav")]
        assert facts(root) == [*expected, ("b.flac@1.5-2.5", "dog", "b.flac")]
        assert facts(root / "a.txt") == expected
        table = load_table(root)
        assert table.source == "2 label files"
        assert any("1 recording in" in note and "unlabelled.wav" in note for note in table.notes)

    def test_files_in_a_folder_of_labels(self, folder: Callable[..., Path], tmp_path: Path) -> None:
        texts = {"labels/a.txt": "0.5\t1\tx\n", "labels/b.1.txt": "0.5\t1\ty\n"}
        root = folder("audio/a.wav", "audio/b.1.wav", **texts)
        assert facts(root) == [
            ("audio/a.wav@0.5-1", "x", "audio/a.wav"),
            ("audio/b.1.wav@0.5-1", "y", "audio/b.1.wav"),
        ]
        assert load_table(root / "labels", root / "audio").clips[0].path.resolve() == (root / "audio/a.wav").resolve()

    def test_two_recordings_of_the_name_are_refused(self, folder: Callable[..., Path]) -> None:
        root = folder("a.wav", "a.flac", **{"a.txt": "0.5\t1\tx\n"})
        with pytest.raises(MissingAudioError, match=r"a.txt: 1 of 1 files do not exist \(a\)"):
            load_table(root)

    def test_extension_in_capitals_is_found(self, folder: Callable[..., Path]) -> None:
        root = folder("a.WAV", **{"a.txt": "0.5\t1\tx\n2\t3\ty\n"})
        assert [name for name, *_ in facts(root)] == ["a.WAV@0.5-1", "a.WAV@2-3"]

    def test_missing_recording_is_named(self, folder: Callable[..., Path]) -> None:
        root = folder("a.wav", **{"a.txt": "0.5\t1\tx\n", "b.txt": "0.5\t1\ty\n"})
        with pytest.raises(MissingAudioError, match=r"b.txt: 1 of 1 files do not exist \(b\)"):
            load_table(root)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("0.5\t1\tx\nsecond\n", "line 2: is not start, end and label with tabs between; export it again"),
            ("0.5\t1\tx\n2.5\t2.5\ty\n", "line 2: a.wav has the end 2.5 s, which is not after the start 2.5 s"),
            ("0.5\t1\tx\n\\\t1\t2\n2\t9\ty\n", "line 3: a.wav has a label from 2 to 9 s, but ends at 4.00 s"),
            ("0.5\t1\tx\n2\t3\t\n", "line 2: a.wav has no label; fill it in or delete the row"),
            ("0.5\t1\tx\n2\t3\n", "line 2: a.wav has no label"),
            ("0.5\t1\tx\n0.9\t3\ty\n", "lines 1 and 2: a.wav is 'x' and 'y' at the same time"),
            ("0.5\t1\tx\n2\tend\ty\n", "line 2: a.wav has the time 'end', which is not a number of seconds"),
        ],
    )
    def test_faults_are_named_by_line(self, folder: Callable[..., Path], text: str, words: str) -> None:
        root = folder("a.wav", **{"a.txt": text})
        with pytest.raises(DataError) as caught:
            load_table(root)
        assert f"{root / 'a.txt'}, {words}" in str(caught.value)

    def test_other_text_is_no_label_file(self, folder: Callable[..., Path]) -> None:
        root = folder("x/a.wav", "y/b.wav", **{"readme.txt": "0.5 s of rain\n1\tof 2\n"})
        assert program_of(root / "readme.txt") is None
        assert load_table(root).labels == ("x", "y")


class TestRaven:
    @pytest.mark.parametrize("name", ["a.Table.1.selections.txt", "a.selections.txt", "a.BirdNET.selection.table.txt"])
    def test_table_of_one_recording_counts_each_selection_once(self, folder: Callable[..., Path], name: str) -> None:
        root = folder("a.wav", **{name: RAVEN})
        expected = [("a.wav@0.5-1.25", "song", "a.wav"), ("a.wav@2-3.5", '"call"', "a.wav")]
        assert facts(root) == facts(root / name) == expected

    @pytest.mark.parametrize("name", ["night.txt", "night.tsv"])
    def test_joint_table_uses_files_and_offsets(self, folder: Callable[..., Path], name: str) -> None:
        root = folder("a.wav", "b.wav", **{name: JOINT})
        assert facts(root) == [("a.wav@1.25-2.5", "owl", "a.wav"), ("b.wav@1.5-2.1", "fox", "b.wav")]
        without_file = JOINT.replace("Begin File", "Other")
        assert facts(folder(**{name: without_file}) / name) == facts(root)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (RAVEN.replace("Annotation", "Comment"), ": its columns are selection, "),
            (RAVEN.replace("\tsong", "\t"), ", line 2: a.wav has no label"),
            (RAVEN.replace("3.5000", "1.5000"), ", line 4: a.wav has the end 1.5 s, which is not after the start 2 s"),
            (RAVEN.replace("3.500000000", "soon"), ", line 4: a.wav has the time 'soon'"),
            (RAVEN.replace("\tsong\n", "\n"), ", line 2: has 7 fields where the header has 8"),
        ],
    )
    def test_faults_are_named_by_line(self, folder: Callable[..., Path], text: str, words: str) -> None:
        path = folder("a.wav", **{"a.selections.txt": text}) / "a.selections.txt"
        with pytest.raises(DataError) as caught:
            load_table(path)
        assert f"{path}{words}" in str(caught.value)

    def test_table_without_selections_is_noted(self, folder: Callable[..., Path]) -> None:
        empty = RAVEN.partition("\n")[0] + "\n"
        root = folder("a.wav", "b.wav", **{"a.selections.txt": RAVEN, "b.selections.txt": empty})
        assert {group for *_, group in facts(root)} == {"a.wav"}
        with pytest.raises(DataError, match=r"b.selections.txt: has a header but no rows"):
            load_table(root / "b.selections.txt")


class TestAudioSet:
    def test_list_of_videos_and_cut_recordings(
        self, folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        names = ("--PJHxphWEs.wav", "-0SdAVK79lg_30.000_34.000.wav", "Yabc.wav")
        root = folder(*(f"audio/{name}" for name in names), **{"balanced.csv": AUDIOSET})
        assert facts(root) == [
            ("--PJHxphWEs.wav@1-2.5", "/m/09x0r", "--PJHxphWEs.wav"),
            ("-0SdAVK79lg_30.000_34.000.wav", "/m/04rlf", "-0SdAVK79lg_30.000_34.000.wav"),
            ("Yabc.wav", "/m/04rlf", "Yabc.wav"),
        ]
        assert "1 row left out, without a recording" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "form", ["abc", "Yabc", "abc_30_34", "abc_30000_34000", "abc_30", "abc_30.000", "abc_30000"]
    )
    def test_names_of_download_programs(self, folder: Callable[..., Path], form: str) -> None:
        text = '# YTID, start_seconds, end_seconds, positive_labels\nabc, 30.000, 34.000, "x"\nb, 1.0, 2.0, "y"\n'
        root = folder(f"{form}.wav", "b.wav", **{"list.csv": text})
        assert [name for name, *_ in facts(root)] == [f"{form}.wav", "b.wav@1-2"]

    def test_labels_of_a_row_have_a_way_out(self, folder: Callable[..., Path]) -> None:
        root = folder(
            "--PJHxphWEs.wav", "abc.wav", **{"a.csv": AUDIOSET.replace('"/m/09x0r"', '"/m/09x0r,/t/dd00088"')}
        )
        with pytest.raises(DataError, match=r"a.csv, line 4: '/m/09x0r,/t/dd00088' is several labels \(1 such row\)"):
            load_table(root)
        assert [label for _, label, _ in facts(root, multi_label="first")] == ["/m/09x0r", "/m/04rlf"]

    def test_row_without_quotes_is_named(self, folder: Callable[..., Path]) -> None:
        path = folder("abc.wav", **{"a.csv": AUDIOSET + "abc, 0, 4, /m/1, /m/2\n"}) / "a.csv"
        with pytest.raises(DataError, match=r"a.csv, line 8: is not YTID, start, end and labels; put the"):
            load_table(path)


def test_load_table_fsd50k_reads_both_sets(folder: Callable[..., Path]) -> None:
    dev = 'fname,labels,mids,split\n64,"Bark,Dog,Animal","/m/1,/m/2,/m/3",train\n65,Rain,/m/4,val\n'
    evaluation = 'fname,labels,mids\n66,"Bark,Dog,Animal","/m/1,/m/2,/m/3"\n'
    names = ("FSD50K.dev_audio/64.wav", "FSD50K.dev_audio/65.wav", "FSD50K.eval_audio/66.wav")
    vocabulary = {"FSD50K.ground_truth/vocabulary.csv": "0,Bark,/m/1\n1,Dog,/m/2\n"}
    texts = {"FSD50K.ground_truth/dev.csv": dev, "FSD50K.ground_truth/eval.csv": evaluation} | vocabulary
    root = folder(*names, **texts)
    with pytest.raises(DataError, match=r"dev.csv, line 2: 'Bark,Dog,Animal' is several labels"):
        load_table(root)
    assert [(clip.name, clip.label, clip.split) for clip in load_table(root, multi_label="first").clips] == [
        (names[0], "Bark", "train"),
        (names[1], "Rain", "validation"),
        (names[2], "Bark", "test"),
    ]


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8).map(str.strip)
LABELS = st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 10**6), WORDS.filter(bool)), min_size=1, max_size=8)


@given(labels=LABELS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_read_label_file_round_trip_of_audacity(tmp_path: Path, labels: list[tuple[int, int, str]]) -> None:
    rows = [(f"{start / 1e6:.6f}", f"{(start + length) / 1e6:.6f}", label) for start, length, label in labels]
    path = tmp_path / "a.txt"
    path.write_text("".join("\t".join(row) + "\n\\\t-1.000000\t500.000000\n" for row in rows), encoding="utf-8")
    assert program_of(path) == "Audacity"
    found = read_label_file(path, "Audacity", None)
    assert [(row.values["start"], row.values["end"], row.values["label"]) for row in found] == rows
    assert [row.line for row in found] == list(range(1, 2 * len(rows), 2))


@given(labels=LABELS, views=st.integers(1, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_read_label_file_round_trip_of_raven(tmp_path: Path, labels: list[tuple[int, int, str]], views: int) -> None:
    rows = [(f"{start / 1e6:.9f}", f"{(start + length) / 1e6:.9f}", label) for start, length, label in labels]
    path = tmp_path / "a.selections.txt"
    lines = ["Selection\tView\tBegin Time (s)\tEnd Time (s)\tAnnotation"]
    for number, (start, end, label) in enumerate(rows, 1):
        lines += [f"{number}\tView {view}\t{start}\t{end}\t{label}" for view in range(views)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert program_of(path) == "Raven"
    found = read_label_file(path, "Raven", None)
    assert [(row.values["start"], row.values["end"], row.values["label"]) for row in found] == rows


@pytest.mark.parametrize("content", ["0\t1\tcafé\n".encode("latin-1"), b"0 1 owl\n", "0\t1\towl\n".encode("utf-16")])
def test_load_table_names_label_files_that_it_cannot_read(
    folder: Callable[..., Path], capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    root = folder("a.wav", "b.wav", **{"b.txt": "0\t1\towl\n1\t2\tfox\n", "notes.txt": "windy"})
    (root / "a.txt").write_bytes(content)
    load_table(root)
    assert "note: 1 text file named like a recording not read (a.txt);" in capsys.readouterr().err
    (root / "b.txt").write_text("")
    with pytest.raises(DataError, match=r"1 text file named like a recording not read \(a\.txt\)"):
        load_table(root)


def test_load_table_asks_for_the_folder_of_a_label_file(folder: Callable[..., Path]) -> None:
    root = folder("sound/a.wav", **{"labels/a.txt": "0\t1\towl\n1\t2\tfox\n"})
    with pytest.raises(MissingAudioError, match=r"looked in .*; give --audio-dir, or delete their rows"):
        load_table(root / "labels")
    assert len(load_table(root / "labels", root / "sound").clips) == 2


@pytest.mark.parametrize(
    ("names", "texts", "clips"),
    [
        (["a.wav", "b.wav"], {"a.txt": "0\t1\tx\n1\t2\ty\n", "b.txt": "0\t1\tx\n1\t2\ty\n"}, 4),
        (["a.wav", "b.wav"], {"night.txt": JOINT}, 2),
        (["--PJHxphWEs.wav", "abc.wav"], {"a.csv": AUDIOSET}, 2),
        (
            ["a.wav", "b.wav"],
            {"a.csv": "filename,label,start,end\na.wav,x,0,1\na.wav,y,1,2\nb.wav,x,0,3\n"},
            3,
        ),
    ],
    ids=["Audacity", "Raven", "AudioSet", "CSV"],
)
def test_check_reads_each_format(
    folder: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    names: list[str],
    texts: dict[str, str],
    clips: int,
) -> None:
    root = folder(*names, **texts)
    with contextlib.suppress(typer.Exit):  # so few clips cannot be split
        check(root, workers=1, format=Format.json)
    report = json.loads(capsys.readouterr().out)
    assert report["clips"] == clips
    kinds = {finding["kind"] for finding in report["findings"]}
    assert not kinds & {"missing", "unreadable", "empty", "duplicate"}
