"""Recognition of layouts, and the layouts of public data sets."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scenelet.data.load import load_table
from scenelet.errors import DataError, UsageError

Touch = Callable[..., Path]


class TestLoadTableArguments:
    def test_str_and_path_give_the_same_table(self, tmp_path: Path, touch: Touch) -> None:
        touch("x/a.wav", "y/b.wav")
        assert load_table(str(tmp_path)) == load_table(tmp_path)
        (tmp_path / "clips.csv").write_text("filename,label\na.wav,x\n../y/b.wav,y\n")
        table = load_table(str(tmp_path / "clips.csv"), str(tmp_path / "x"))
        assert table == load_table(tmp_path / "clips.csv", tmp_path / "x")

    def test_missing_path_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no such file or folder"):
            load_table(tmp_path / "none")

    def test_recording_is_refused(self, tmp_path: Path, touch: Touch) -> None:
        touch("a.wav")
        with pytest.raises(DataError, match="is one recording"):
            load_table(tmp_path / "a.wav")

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("a.zip", "is an archive; unpack it"),
            ("a.tar.gz", "is an archive; unpack it"),
            ("metadata.jsonl", r"a \.jsonl file is not read; write it as a CSV"),
            ("a.m4a", "is one recording"),
        ],
    )
    def test_other_files_are_refused(self, touch: Touch, name: str, words: str) -> None:
        with pytest.raises(DataError, match=words):
            load_table(touch(name) / name)

    def test_options_that_do_not_fit_are_refused(self, tmp_path: Path, touch: Touch) -> None:
        touch("x/a.wav", "y/b.wav")
        with pytest.raises(UsageError, match="--audio-dir needs a CSV"):
            load_table(tmp_path, tmp_path)
        with pytest.raises(UsageError, match=r"--audio-dir .*: no such folder"):
            load_table(tmp_path, tmp_path / "none")
        with pytest.raises(UsageError, match="--tau-3-class"):
            load_table(tmp_path, tau_3_class=True)


class TestPublicLayouts:
    def test_urbansound8k_reads_folds_groups_and_whole_slices(self, touch: Touch) -> None:
        root = touch("audio/fold1/1-0.wav", "audio/fold1/1-1.wav", "audio/fold2/2-0.wav")
        (root / "metadata").mkdir()
        table = root / "metadata" / "UrbanSound8K.csv"
        table.write_text(
            "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
            "1-0.wav,1,7.5,11.5,1,1,3,dog_bark\n1-1.wav,1,9,13,1,1,3,dog_bark\n2-0.wav,2,0,4,2,2,1,car_horn\n"
        )
        for given in (root, table):
            clips = load_table(given).clips
            assert [(clip.name, clip.label, clip.group, clip.fold) for clip in clips] == [
                ("fold1/1-0.wav", "dog_bark", "1", "1"),
                ("fold1/1-1.wav", "dog_bark", "1", "1"),
                ("fold2/2-0.wav", "car_horn", "2", "2"),
            ]
        with pytest.raises(DataError, match=f"are folds, not classes, .*give the table {table}"):
            load_table(root / "audio")

    def test_esc50_reads_folds_and_sources(self, touch: Touch) -> None:
        others = ("LICENSE", "README.md", "esc50.gif", "pytest.ini", "tests/test_dataset.py", "meta/esc50-human.xlsx")
        root = touch("audio/1-5-A-0.wav", "audio/1-5-B-0.wav", "audio/2-6-A-1.wav", *others)
        (root / "requirements.txt").write_text("librosa==0.7.2\nnumpy==1.18.1\n")
        table = root / "meta" / "esc50.csv"
        table.write_text(
            "filename,fold,target,category,esc10,src_file,take\n"
            "1-5-A-0.wav,1,0,dog,True,5,A\n1-5-B-0.wav,1,0,dog,True,5,B\n2-6-A-1.wav,2,1,rain,True,6,A\n"
        )
        loaded = load_table(root)
        facts = [(clip.label, clip.group, clip.fold) for clip in loaded.clips]
        assert facts == [("dog", "5", "1"), ("dog", "5", "1"), ("rain", "6", "2")]
        assert loaded.notes == ()
        assert load_table(table) == loaded
        with pytest.raises(DataError, match=f"3 recordings in no class folder .*give the table {table}"):
            load_table(root / "audio")

    def test_birdclef_reads_primary_labels(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("train_audio/a/1.ogg", "train_audio/b/2.ogg", "train_soundscapes/s.ogg")
        (root / "train.csv").write_text(
            "primary_label,secondary_labels,type,filename\na,[],['call'],a/1.ogg\nb,\"['a', 'c']\",[],b/2.ogg\n"
        )
        (root / "taxonomy.csv").write_text("primary_label,class_name\na,Aves\n")
        assert [(clip.name, clip.label) for clip in load_table(root).clips] == [("a/1.ogg", "a"), ("b/2.ogg", "b")]
        assert "1 recording in" in capsys.readouterr().err

    def test_tables_in_the_folders_of_a_split_are_joined(self, touch: Touch) -> None:
        root = touch("train/0.wav", "train/1.wav", "test/0.wav")
        (root / "train" / "metadata.csv").write_text("file_name,label\n0.wav,x\n1.wav,y\n")
        (root / "test" / "metadata.csv").write_text("file_name,label\n0.wav,x\n")
        assert [(clip.name, clip.label, clip.split) for clip in load_table(root).clips] == [
            ("test/0.wav", "x", "test"),
            ("train/0.wav", "x", "train"),
            ("train/1.wav", "y", "train"),
        ]

    def test_fsd50k_names_get_their_extension_and_lists_are_refused(self, touch: Touch) -> None:
        root = touch("FSD50K.dev_audio/64.wav", "FSD50K.dev_audio/65.wav")
        (root / "FSD50K.ground_truth").mkdir()
        table = root / "FSD50K.ground_truth" / "dev.csv"
        table.write_text("fname,labels,mids,split\n64,Bark,/m/1,train\n65,Rain,/m/2,val\n")
        assert [(c.name, c.label, c.split) for c in load_table(root).clips] == [
            ("64.wav", "Bark", "train"),
            ("65.wav", "Rain", "validation"),
        ]
        table.write_text('fname,labels,mids,split\n64,"Bark,Dog",/m/1,train\n65,Rain,/m/2,val\n')
        with pytest.raises(DataError, match=r"dev.csv, line 2: 'Bark,Dog' is several labels \(1 such row\)"):
            load_table(root)


def test_load_table_of_one_class_if_the_caller_allows_it(touch: Touch) -> None:
    root = touch("x/a.wav", "x/b.wav")
    assert load_table(root, min_classes=1).describe().endswith("2 clips, 1 class, 2 groups")
    with pytest.raises(DataError, match="every clip has the label 'x'; a classifier needs two classes or more"):
        load_table(root)
    (root / "clips.csv").write_text("filename,label\nx/a.wav,y\nx/b.wav,y\n")
    with pytest.raises(DataError, match=r"every clip has the label 'y' \(clips.csv\); a classifier needs"):
        load_table(root)


def test_load_table_of_esc10(esc10: Path) -> None:
    table = load_table(esc10)
    assert table.describe() == "CSV meta.csv: 400 clips, 10 classes, 304 groups, folds 1 2 3 4 5"
    assert set(table.counts().values()) == {40}
    assert not table.synthetic
    assert load_table(esc10 / "meta.csv") == table
