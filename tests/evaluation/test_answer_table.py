"""The table in which the listening page corrects labels: what `train` reads from it is the data set."""

from dataclasses import replace
from pathlib import Path

import pytest

from scenelet.data.clips import Clip, ClipTable
from scenelet.data.load import load_table
from scenelet.evaluation.answer_table import AnswerTable, answer_table
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.utils.files import csv_text


def make_table(root: Path, *clips: Clip, synthetic: bool = False) -> ClipTable:
    for clip in clips:
        clip.path.parent.mkdir(parents=True, exist_ok=True)
        clip.path.touch()
    return ClipTable(root, "CSV clips.csv", clips, synthetic=synthetic)


def clip_at(root: Path, name: str, label: str = "rain", **facts: str) -> Clip:
    return Clip(root / name, name, label, facts.pop("group", name), **facts)


def read_back(answers: AnswerTable, folder: Path) -> ClipTable:
    path = folder / "answers.csv"
    path.write_text(csv_text(answers.columns, answers.rows.values()))
    return load_table(path, answers.folder)


def test_train_reads_the_same_clips_groups_folds_and_split(tmp_path: Path) -> None:
    root = tmp_path / "data"
    table = make_table(
        root,
        clip_at(root, "a/1.wav", "rain", group="garden", fold="2", split="train", city="paris", device="s1"),
        clip_at(root, "a/2.wav", "sea, calm"),
        clip_at(root, "b/ä.wav", "rain", split="test"),
        synthetic=True,
    )
    read = read_back(answer_table(table, []), tmp_path)
    assert read.clips == table.clips
    assert read.synthetic


def test_parts_of_recordings_keep_their_times(tmp_path: Path) -> None:
    root = tmp_path / "data"
    parts = [
        replace(clip_at(root, "night.wav", label), name=f"night.wav@{name}", start=start, end=end)
        for label, name, start, end in (("owl", "0-0.5", 0.0, 0.5), ("fox", "3600.25-3601", 3600.25, 3601.0))
    ]
    table = make_table(root, *parts, clip_at(root, "rain.wav"))
    assert read_back(answer_table(table, []), tmp_path).clips == table.clips


def test_columns_without_values_are_left_out(tmp_path: Path) -> None:
    table = make_table(tmp_path, clip_at(tmp_path, "1.wav", fold="2"))
    assert answer_table(table, []).columns == ("filename", "label", "start", "end", "fold")


def test_names_are_relative_to_the_common_folder_of_recordings_outside_of_the_root(tmp_path: Path) -> None:
    """As those of a TAU root with --audio-dir."""
    clips = [replace(clip_at(tmp_path, f"audio/{i}.wav"), path=tmp_path / f"else where/audio/{i}.wav") for i in (1, 2)]
    answers = answer_table(make_table(tmp_path / "tau", *clips), [], show_folder=True)
    assert [row[0] for row in answers.rows.values()] == ["1.wav", "2.wav"]
    assert answers.command == f"scenelet train answers.csv --audio-dir '{tmp_path}/else where/audio' --out RUN"


def test_command_names_no_folder_of_a_page_that_is_passed_on(tmp_path: Path) -> None:
    table = make_table(tmp_path, clip_at(tmp_path, "1.wav"))
    assert answer_table(table, []).command == "scenelet train answers.csv --audio-dir FOLDER --out RUN"


@pytest.mark.parametrize("name", ["back\\slash.wav", "new\nline.wav", "bytes \udcff.wav", "trailing.wav "])
def test_names_that_no_table_holds_are_left_out_and_counted(tmp_path: Path, name: str) -> None:
    clips = (Clip(tmp_path / name, name, "rain", name), clip_at(tmp_path, "plain.wav"))
    answers = answer_table(ClipTable(tmp_path, "folders", clips), [])
    assert list(answers.rows) == ["plain.wav"]
    assert answers.left_out == 1


def test_key_depends_on_labels_and_answers(tmp_path: Path) -> None:
    clip = clip_at(tmp_path, "1.wav")
    table = ClipTable(tmp_path, "folders", (clip,))
    sea, rain = (ClipPrediction.from_clip(clip, ["rain", "sea"], p) for p in ([0.1, 0.9], [0.9, 0.1]))
    relabelled = ClipTable(tmp_path, "folders", (replace(clip, label="sea"),))
    keys = {answer_table(*arguments).key for arguments in ((table, [sea]), (table, [rain]), (relabelled, [sea]))}
    assert len(keys) == 3
    assert answer_table(table, [sea]).key == answer_table(table, [sea]).key
