"""Background: a class of the data, or a folder, whose recordings are divided without a change to the others."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.config import DataConfig, SplitConfig
from scenelet.data.background import NAMES, absolute_background, add_background, divide_background
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.load import load_table
from scenelet.data.splits import make_split
from scenelet.errors import DataError, SceneletError, UsageError


def table_of(*labels: str, folds: int = 0) -> ClipTable:
    """Return a table with six clips of each label. Fold f of `folds` has every `folds`-th clip."""
    clips = [
        Clip(Path(f"{label}{i}"), f"{label}{i}", label, f"{label}{i}", fold=str(i % folds + 1) if folds else None)
        for label in labels
        for i in range(6)
    ]
    return ClipTable(Path(), "CSV", tuple(sorted(clips, key=lambda clip: clip.name)))


def folder_of(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"sound")
    return path


def added(table: ClipTable, value: object) -> ClipTable:
    return add_background(table, DataConfig(background=str(value)))


@pytest.mark.parametrize("name", NAMES)
def test_default_means_a_class_of_a_known_name(name: str) -> None:
    table = add_background(table_of("rain", name), DataConfig())
    assert (table.background, table.background_clips) == (name, ())
    assert add_background(table_of("rain", "sea"), DataConfig()).background is None


def test_a_class_is_named_by_the_setting() -> None:
    assert added(table_of("rain", "hum", "background"), " hum").background == "hum"


def test_default_is_never_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path / "background", "1.wav")
    monkeypatch.chdir(tmp_path)
    assert add_background(table_of("rain", "sea"), DataConfig()).background is None
    assert len(added(table_of("rain", "sea"), "./background").background_clips) == 1


def test_recordings_of_a_folder_become_clips_of_one_class(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "night", "a.wav", "deep/b.flac", "notes.txt")
    table = added(table_of("rain", "sea"), folder)
    assert table.labels == ("background", "rain", "sea")
    assert [clip.name for clip in table.background_clips] == ["background/a.wav", "background/deep/b.flac"]
    assert [clip.group for clip in table.background_clips] == ["background/a.wav", "background/deep"]
    assert list(table.clips) == sorted(table.clips, key=lambda clip: clip.name)
    assert added(table, folder) is table
    config = absolute_background(DataConfig(background=str(folder)), table)
    assert config.background == str(folder.resolve())


def test_recordings_in_one_subfolder_are_groups_of_their_own(tmp_path: Path) -> None:
    table = added(table_of("rain", "sea"), folder_of(tmp_path, "night/a.wav", "night/b.wav"))
    assert len({clip.group for clip in table.background_clips}) == 2


@pytest.mark.parametrize(
    ("names", "value", "labels", "message"),
    [
        ([], " ", ("rain", "sea"), "data.background is empty; give"),
        ([], "rian", ("rain", "sea"), r"'rian', which is neither a class of \. nor a folder; did you mean 'rain'\?"),
        (["notes.txt"], "", ("rain", "sea"), "holds no recordings of background; give a folder that does"),
        (["a.wav"], "", ("rain", "Background"), "look alike"),
    ],
    ids=["empty", "unknown", "empty folder", "alike label"],
)
def test_a_wrong_background_is_one_sentence(
    tmp_path: Path, names: list[str], value: str, labels: tuple[str, ...], message: str
) -> None:
    folder = folder_of(tmp_path, *names)
    with pytest.raises(SceneletError, match=message) as error:
        added(table_of(*labels), value or folder)
    assert "\n" not in str(error.value)


def test_a_folder_of_the_data_itself_is_refused(tmp_path: Path) -> None:
    folder_of(tmp_path, "rain/1.wav", "sea/1.wav", "hum/1.wav")
    with pytest.raises(UsageError, match=r"holds hum/1\.wav, a clip of the class 'hum'; give the name of the class"):
        added(load_table(tmp_path), tmp_path / "hum")


def test_equal_names_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "night", "1.wav")
    clips = (Clip(Path("x"), "background/1.wav", "background", group="x"), *table_of("rain").clips)
    with pytest.raises(DataError, match=r"background/1\.wav, the name of a recording in"):
        added(ClipTable(Path(), "CSV", clips), f"{folder}/")


@pytest.mark.parametrize(
    ("folds", "config"),
    [(0, SplitConfig(validation_fraction=0.3)), (3, SplitConfig(fold="2")), (3, SplitConfig(fold="1+3"))],
    ids=["random", "fold", "folds"],
)
def test_a_folder_does_not_change_the_split_of_the_data(tmp_path: Path, folds: int, config: SplitConfig) -> None:
    table = table_of("rain", "sea", folds=folds)
    split = make_split(added(table, folder_of(tmp_path, *(f"{i}.wav" for i in range(9)))), config)
    plain = make_split(table, config)
    for name in ("train", "validation", "test"):
        clips, others = getattr(split, name), getattr(plain, name)
        assert tuple(clip for clip in clips if clip.label != "background") == others
        assert any(clip.label == "background" for clip in clips) == bool(others)
        assert list(clips) == sorted(clips, key=lambda clip: clip.name)


def test_folds_hold_out_each_recording_once(tmp_path: Path) -> None:
    table = added(table_of("rain", "sea", folds=3), folder_of(tmp_path, *(f"{i}.wav" for i in range(7))))
    splits = [make_split(table, SplitConfig(fold=fold)) for fold in "123"]
    held_out = [[clip.name for clip in split.test if clip.label == "background"] for split in splits]
    assert Counter(name for names in held_out for name in names) == Counter(c.name for c in table.background_clips)
    assert sorted(map(len, held_out)) == [2, 2, 3]


def test_data_without_test_clips_gets_no_background_there(tmp_path: Path) -> None:
    table = table_of("rain", "sea")
    table = replace(table, clips=tuple(replace(clip, split="train") for clip in table.clips))
    split = make_split(added(table, folder_of(tmp_path, *(f"{i}.wav" for i in range(9)))), SplitConfig())
    assert (len(split.train), split.test) == (21, ())


clips_of = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=30).map(
    lambda groups: tuple(Clip(Path(f"{i}"), f"{i}", "background", group) for i, group in enumerate(groups))
)


@given(clips_of, st.integers(0, 5), st.integers(0, 4), st.floats(0, 0.5), st.floats(0, 0.9))
def test_division_keeps_groups_whole_and_leaves_training(
    clips: tuple[Clip, ...], seed: int, fold: int, validation: float, test: float
) -> None:
    held_out = [str(fold)] if fold else []
    parts = divide_background(clips, seed, "1234", held_out, (validation, test))
    assert sorted((clip for part in parts for clip in part), key=clips.index) == list(clips)
    groups = [{clip.group for clip in part} for part in parts]
    assert groups[0]
    assert sum(map(len, groups)) == len(set.union(*groups))
    assert parts == divide_background(clips, seed, "1234", held_out, (validation, test))
