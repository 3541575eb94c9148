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
            (
                ["training/x.1.wav", "testing/y.1.wav"],
                r"its folders \(testing, training\) are subsets of a split, not classes, and hold no class",
            ),
            (
                ["data/v1/x/a.wav", "data/v1/y/b.wav"],
                r"holds recordings only in data/v1, with the folders x, y; .* give",
            ),
            (
                ["fold1/a.wav", "fold2/b.wav"],
                r"its folders \(fold1, fold2\) are folds, not classes, and hold no class folders",
            ),
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
        listdir = os.listdir

        def list_or_fail(path: Path) -> list[str]:  # root may read every folder
            if Path(path).name == "y":
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return listdir(path)

        monkeypatch.setattr(os, "listdir", list_or_fail)
        with pytest.raises(DataError, match=r"y: the folder cannot be read \(Permission denied\)"):
            load_table(tmp_path)

    def test_empty_folders_are_named(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("x/a.wav", "y/b.wav", "wind/notes.md", "__MACOSX/x/._a.wav")
        (root / "thunder").mkdir()
        assert load_table(root).labels == ("x", "y")
        assert "no recordings in the folders (thunder, wind)" in capsys.readouterr().err

    def test_run_in_the_folder_of_the_data_is_no_table(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("x/a.wav", "y/b.wav", "run/metrics.json")
        (root / "run" / "split.csv").write_text("filename,label,group,split\nx/a.wav,x,x/a.wav,train\n")
        assert load_table(root).labels == ("x", "y")
        assert capsys.readouterr().err == "note: no recordings in the folders (run)\n"

    def test_recordings_of_other_formats_are_counted(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("x/a.aiff", "y/b.opus", "y/c.m4a", "z/d.m4a", "z/e.WMA")
        assert load_table(root).labels == ("x", "y")
        messages = capsys.readouterr().err
        assert "3 recordings passed over (2 .m4a, 1 .wma)" in messages
        assert "no recordings in the folders (z)" in messages
        with pytest.raises(DataError, match=r"holds no recordings and no table of clips \(2 recordings passed over"):
            load_table(root / "z")

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            *((f"c.{name}", f"recording passed over (1 .{name})") for name in ("raw", "pcm", "weba", "nist", "sph")),
            *((f"c.{name}", f"file passed over (1 .{name})") for name in ("wav.gz", "wav.part", "mp3.crdownload")),
            *((f"c.{name}", f"file passed over (1 .{name})") for name in ("zip", "tar.gz", "7z", "flac.bak")),
            ("c.wav ", "file passed over (1 '.wav ')"),
        ],
    )
    def test_other_files_with_sound_are_counted(
        self, touch: Touch, name: str, shown: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert load_table(touch("x/a.wav", "y/b.wav", f"y/{name}")).labels == ("x", "y")
        assert f"note: 1 {shown}" in capsys.readouterr().err

    def test_recording_without_extension_is_counted(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("x/a.wav", "y/b.wav", "y/README", "y/notes.part", "y/a.wav.txt", "y/e.dat")
        load_table(root)
        assert capsys.readouterr().err == ""
        for name in ("c", "d.dat"):
            (root / "y" / name).write_bytes(b"fLaC" + bytes(60))
        load_table(root)
        assert "note: 2 files passed over (1 .dat, 1 without extension)" in capsys.readouterr().err

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
        assert "1 file of labels not used (x/a.txt)" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "name",
        [
            *("metadata.jsonl", "annotations.json", "labels.ndjson", "dev.yaml", "labels.feather", "train.pkl"),
            *("my-labels.sqlite", "Meta Data.xlsx", "info.labels.xml", "filelist.db"),
        ],
    )
    def test_file_that_may_hold_the_labels_is_refused(self, touch: Touch, name: str) -> None:
        root = touch("monday/a.wav", "tuesday/b.wav", name)
        with pytest.raises(DataError, match=rf"{name}: may hold the labels, .* as a CSV .* or move it elsewhere"):
            load_table(root)
        (root / name).rename(root / "other.json")
        assert load_table(root).labels == ("monday", "tuesday")

    def test_label_file_in_a_folder_of_the_split_is_refused(self, touch: Touch) -> None:
        names = [f"nsynth-{subset}/{name}" for subset in ("train", "test") for name in ("audio/a.wav", "examples.json")]
        with pytest.raises(DataError, match=r"nsynth-.*examples\.json: may hold the labels"):
            load_table(touch(*names))

    def test_text_file_that_names_recordings_is_refused(self, touch: Touch) -> None:
        root = touch("monday/a.wav", "tuesday/b.wav")
        (root / "labels.txt").write_text("0 rain\n1 dog\n")
        assert load_table(root).labels == ("monday", "tuesday")
        (root / "labels.txt").write_text("rain a\ndog b\n")
        with pytest.raises(DataError, match=r"labels\.txt: may hold the labels"):
            load_table(root)

    def test_system_folders_are_no_classes(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        names = ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", ".Trashes"]
        root = touch("x/a.wav", "y/b.wav", "y/@eaDir/b.wav", "y/Thumbs.db", *(f"{name}/c.wav" for name in names))
        assert [clip.name for clip in load_table(root).clips] == ["x/a.wav", "y/b.wav"]
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize("name", ["dog (1)", "dog - Copy", "Kopie von dog"])
    def test_copy_of_a_class_is_refused(self, touch: Touch, name: str) -> None:
        with pytest.raises(DataError, match=r"'dog.* look alike but are different classes"):
            load_table(touch("dog/a.wav", f"{name}/b.wav", "rain/c.wav"))

    def test_background_noise_is_noted(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        load_table(touch("yes/a.wav", "_background_noise_/c.wav"))  # the default of data.background names it
        assert "is taken as a class" not in capsys.readouterr().err
        root = touch("yes/a.wav", "no/b.wav", "_noise_/c.wav")
        load_table(root)
        note = "is taken as a class; if its recordings are none of the other classes, set data.background=_noise_"
        assert f"{root / '_noise_'} {note}" in capsys.readouterr().err

    def test_single_class_names_the_other_files(self, touch: Touch) -> None:
        with pytest.raises(DataError, match=r"every clip has the label 'audio' \(project\.json\)"):
            load_table(touch("audio/a.wav", "project.json"))


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

    @pytest.mark.parametrize(
        ("train", "test"),
        [
            ("nsynth-train", "nsynth-valid"),
            ("train_audio", "test_audio"),
            ("trainset", "testset"),
            ("Training set", "Test set"),
            ("FSD50K.dev_audio", "FSD50K.eval_audio"),
            ("train-clean-100", "test-clean"),
            ("train", "holdout"),
        ],
    )
    def test_longer_names_of_a_split(self, touch: Touch, train: str, test: str) -> None:
        flat = touch(f"flat/{train}/a.wav", f"flat/{test}/b.wav") / "flat"
        with pytest.raises(DataError, match="are subsets of a split, not classes"):
            load_table(flat)
        table = load_table(touch(f"deep/{train}/x/a.wav", f"deep/{train}/y/b.wav", f"deep/{test}/x/c.wav") / "deep")
        assert table.labels == ("x", "y")
        assert {clip.split for clip in table.clips if clip.name.startswith(f"{train}/")} == {"train"}
        assert {clip.split for clip in table.clips if clip.name.startswith(f"{test}/")} <= {"validation", "test"}

    def test_classes_with_the_word_train_stay_classes(self, touch: Touch) -> None:
        assert load_table(touch("train_horn/a.wav", "test_tone/b.wav")).labels == ("test_tone", "train_horn")

    @pytest.mark.parametrize(
        ("folders", "kind"),
        [
            (("cv1", "cv2"), "folds"),
            (("split1", "split2"), "folds"),
            (("part1", "part2"), "parts of the data"),
            (("mp3", "wav"), "formats"),
        ],
    )
    def test_folders_of_parts_are_no_classes(
        self, touch: Touch, folders: tuple[str, str], kind: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        flat = touch(*(f"flat/{folder}/a.wav" for folder in folders)) / "flat"
        with pytest.raises(DataError, match=f"are {kind}, not classes"):
            load_table(flat)
        table = load_table(touch(*(f"deep/{folder}/{name}/a.wav" for folder in folders for name in "xy")) / "deep")
        assert table.labels == ("x", "y")
        assert bool(table.folds) == (kind == "folds")
        assert ("and those in them as classes" in capsys.readouterr().err) == (kind != "folds")

    def test_lists_of_speech_commands_become_the_split(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("no/a.wav", "no/b.wav", "no/c.wav", "yes/a.wav", "yes/b.wav")
        (root / "testing_list.txt").write_text("yes/a.wav\nno/a.wav\nno/absent.wav\n")
        (root / "validation_list.txt").write_text("no/b.wav\n")
        table = load_table(root)
        assert [clip.split for clip in table.clips] == ["test", "validation", "train", "test", "train"]
        assert capsys.readouterr().err == ""
        (root / "train_list.txt").write_text("yes/b.wav\n")
        assert [clip.split for clip in load_table(root).clips] == ["test", "validation", None, "test", "train"]

    def test_lists_of_other_recordings_are_refused(self, touch: Touch) -> None:
        root = touch("no/a.wav", "yes/a.wav")
        (root / "testing_list.txt").write_text("yes/x.wav\n")
        with pytest.raises(DataError, match=r"testing_list\.txt: lists no recording in"):
            load_table(root)

    def test_training_folder_alone_is_split_at_random(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        table = load_table(touch("train/x/a.wav", "train/y/b.wav"))
        assert (table.labels, table.has_split) == (("x", "y"), False)
        assert "only train has classes, so test clips are chosen at random" in capsys.readouterr().err

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

    def test_other_folders_next_to_folds_are_counted(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("fold1/x/a.wav", "fold2/y/b.wav", "extra/z/c.wav", "fold2/d.wav")
        assert load_table(root).labels == ("x", "y")
        messages = capsys.readouterr().err
        assert f"1 recording of {root / 'extra'} not used" in messages
        assert f"1 recording of {root / 'fold2'} not used" in messages

    def test_unlabelled_test_folder_is_no_split(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("train/x/a.wav", "train/y/b.wav", "test/1.wav", "test/2.wav")
        assert not load_table(root).has_split
        messages = capsys.readouterr().err
        assert f"2 recordings of {root / 'test'} not used" in messages
        assert "only train has classes, so test clips are chosen at random" in messages

    def test_common_folders_below_the_classes_are_named(self, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
        root = touch("siteA/dog/1.wav", "siteA/rain/2.wav", "siteB/dog/3.wav", "siteB/rain/4.wav")
        assert load_table(root).labels == ("siteA", "siteB")
        assert "the classes are siteA, siteB; their common folders (dog, rain) are groups" in capsys.readouterr().err
