"""The TAU loader on small roots in the official layout, and on the official tables."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.tau_roots import mobile_splits, nested_lists, write_tau_root
from scenelet.config import SplitConfig
from scenelet.data import tau_sets as facts
from scenelet.data.audit.audit import audit
from scenelet.data.load import load_table
from scenelet.data.splits import make_split
from scenelet.data.tau import load_tau
from scenelet.data.tau_sets import TAU_2019
from scenelet.errors import DataError, MissingAudioError

UNSEEN_CITY = "milan"
"""City without training segments: 410 segments are in test, 1,030 in no split."""
CLIPS = {
    "airport-paris-8-366-a": "train",
    "bus-prague-1102-40498-a": "train",
    "park-london-96-2689-a": "train",
    "airport-milan-9-400-a": "test",
    "bus-milan-1103-40499-a": "test",
    "park-lyon-97-2690-a": "test",
    "tram-milan-1200-1-a": None,
}


def test_load_tau_reads_the_official_layout(tmp_path: Path) -> None:
    table = load_table(write_tau_root(tmp_path / "tau", CLIPS))
    by_name = {clip.name: clip for clip in table.clips}
    clip = by_name["audio/bus-milan-1103-40499-a.wav"]
    assert (clip.label, clip.group, clip.fold, clip.split, clip.city) == ("bus", "milan-1103", "1", "test", "milan")
    assert clip.device == "a"
    assert clip.path == tmp_path / "tau/audio/bus-milan-1103-40499-a.wav"
    assert by_name["audio/tram-milan-1200-1-a.wav"].split is None
    assert table.labels == ("airport", "bus", "park", "tram")


def test_load_tau_maps_scenes_to_three_classes(tmp_path: Path) -> None:
    ten = load_table(write_tau_root(tmp_path / "ten", CLIPS), tau_3_class=True)
    three = load_table(write_tau_root(tmp_path / "three", CLIPS, three=True))
    assert ten.labels == three.labels == ("indoor", "outdoor", "transportation")
    assert [(c.name, c.label, c.split) for c in ten.clips] == [(c.name, c.label, c.split) for c in three.clips]
    assert "mapped to 3 classes" in ten.describe()


def test_load_tau_names_the_official_split_fold_1(tmp_path: Path) -> None:
    table = load_table(write_tau_root(tmp_path / "tau", CLIPS, three=True))
    split = make_split(table, SplitConfig(fold="1"))
    assert [clip.split for clip in split.train + split.test] == ["train"] * 3 + ["test"] * 3
    assert split.description == ("fold 1, the data's own split: train 3, validation 0, test 3 clips, 1 left out")
    with pytest.raises(DataError, match="no fold '2'; there are 1"):
        make_split(table, SplitConfig(fold="2"))


def test_load_tau_of_a_part_needs_a_shorter_table(tmp_path: Path) -> None:
    root = write_tau_root(tmp_path / "tau", CLIPS)
    stems = list(CLIPS)
    for stem in stems[1:4]:
        (root / f"audio/{stem}.wav").unlink()
    words = r"3 of the 7 recordings in meta.csv are missing \(audio/airport-milan-9-400-a.wav, .*Zenodo.*remove the"
    with pytest.raises(DataError, match=words):
        load_table(root)
    lines = (root / "meta.csv").read_text().splitlines()
    (root / "meta.csv").write_text("\n".join([*lines[:2], *lines[5:]]) + "\n")
    assert Counter(clip.split for clip in load_table(root).clips) == {"train": 1, "test": 2, None: 1}


@pytest.mark.parametrize("given", ["disk", "disk/audio"])
def test_load_tau_finds_recordings_in_audio_dir(tmp_path: Path, given: str) -> None:
    root = write_tau_root(tmp_path / "tau", CLIPS)
    (tmp_path / "disk").mkdir()
    (root / "audio").rename(tmp_path / "disk/audio")
    table = load_table(root, tmp_path / given)
    assert table.clips[0].path == tmp_path / "disk/audio/airport-milan-9-400-a.wav"
    assert table.clips[0].name == "audio/airport-milan-9-400-a.wav"


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("meta.csv", "scene_label", "label", "no column 'scene_label' .*it has filename, label"),
        ("meta.csv", "\tbus\t", "\tbeach\t", "line 3: scene_label 'beach' is not one of TAU's"),
        ("meta.csv", "\tmilan-1103", "\t", "line 6: identifier '' does not fit .* says 'milan-1103'"),
        ("meta.csv", "audio/park-lyon-97-2690-a.wav", "audio/park.wav", "line 7: 'audio/park.wav' is not named scene-"),
        ("meta.csv", "airport-milan-9-400", "airport-paris-8-366", "line 5: .* is listed twice"),
        ("meta.csv", "\tbus\tprague", "\tpark\tprague", "line 3: scene_label 'park' does not fit .* says 'bus'"),
        ("meta.csv", "\tlyon-97\ta", "\tlyon-97\tb", "line 7: source_label 'b' does not fit .* says 'a'; correct one"),
        ("meta.csv", "\tbus\tprague", "\ttransportation\tprague", "some scene_labels are of ten classes and some of"),
        ("evaluation_setup/fold1_test.csv", "airport-milan-9-400", "airport-paris-8-366", "is in fold1_train.csv too"),
    ],
)
def test_load_tau_refuses_invalid_tables(tmp_path: Path, file: str, old: str, new: str, words: str) -> None:
    root = write_tau_root(tmp_path / "tau", CLIPS)
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))
    with pytest.raises(DataError, match=words):
        load_table(root)


def test_load_tau_refuses_a_missing_split_list(tmp_path: Path) -> None:
    root = write_tau_root(tmp_path / "tau", CLIPS)
    (root / "evaluation_setup/fold1_test.csv").unlink()
    with pytest.raises(DataError, match=r"fold1_test.csv: no such file; unpack the set's meta archive"):
        load_table(root)


MOBILE = {
    **dict.fromkeys(("airport-paris-8-366-a", "airport-paris-8-366-b", "airport-paris-8-366-s1"), "train"),
    "park-london-96-2689-a": "train",
    "airport-milan-9-400-c": "test",
    "park-lyon-97-2690-s4": "test",
}


@pytest.mark.parametrize("slices", [False, True])
def test_load_tau_mobile_has_the_right_counts_and_groups(tmp_path: Path, slices: bool) -> None:
    splits = mobile_splits(slices)
    table = load_table(write_tau_root(tmp_path / "tau", splits))
    factor = 10 if slices else 1
    assert table.source == f"TAU root tau ({'2022' if slices else '2020'} Mobile)"
    assert table.labels == tuple(TAU_2019.train)
    assert table.devices == ("a", "b", "c", "s1", "s2", "s3", "s4", "s5", "s6")
    assert table.cities == ("lyon", "milan", "oslo")
    assert len(table.groups) == 60
    main = {"a": 120 * factor}
    others = dict.fromkeys(("b", "c", "s1", "s2", "s3"), 60 * factor)
    unseen = dict.fromkeys(("s4", "s5", "s6"), 20 * factor)
    assert Counter(clip.device for clip in table.clips) == main | others | unseen
    split = make_split(table, SplitConfig())
    assert (len(split.train), len(split.test)) == (280 * factor, 100 * factor)
    assert {clip.device for clip in split.train} == {*main, *others}


@given(
    slices=st.booleans(),
    own_split=st.booleans(),
    percent=st.sampled_from([None, 25, 100]),
    validation=st.sampled_from([0.0, 0.2, 0.4]),
    city=st.sampled_from([None, "milan"]),
    seed=st.integers(0, 50),
)
def test_make_split_of_tau_divides_no_location(
    tmp_path_factory: pytest.TempPathFactory,
    slices: bool,
    own_split: bool,
    percent: Literal[25, 100] | None,
    validation: float,
    city: str | None,
    seed: int,
) -> None:
    """All slices and devices of a location are on one side, whichever clips are held out."""
    root = tmp_path_factory.getbasetemp() / f"divided-{slices}"
    if not root.exists():
        splits = mobile_splits(slices, ("bus", "park"))
        write_tau_root(root, splits, lists=nested_lists(splits))
    table = load_table(root)
    if not own_split:
        table = replace(table, clips=tuple(replace(clip, split=None) for clip in table.clips))
    split = make_split(table, SplitConfig(percent=percent, validation_fraction=validation, city=city, seed=seed))
    sides: dict[str, set[str]] = {}
    for name in ("train", "validation", "test"):
        for clip in getattr(split, name):
            sides.setdefault("-".join(Path(clip.name).stem.split("-")[1:3]), set()).add(name)
    assert {*map(len, sides.values())} == {1}
    assert (validation > 0) == bool(split.validation)


def test_load_tau_lists_that_divide_a_location_are_kept(tmp_path: Path) -> None:
    """The publisher's lists are used unchanged, and `check` names the location."""
    splits = {**MOBILE, "park-london-96-2690-a": "test"}
    table = load_table(write_tau_root(tmp_path / "tau", splits), require_audio=False)
    split = make_split(table, SplitConfig())
    assert (len(split.train), len(split.test)) == (4, 3)
    (finding,) = [each for each in audit(table, 1.0, split, workers=1) if each.kind == "shared group"]
    assert (finding.severity, len(finding.clips)) == ("error", 2)
    assert finding.message.startswith("1 group (london-96) in train and in test;")


@pytest.mark.parametrize("slices", [False, True])
def test_load_tau_mobile_without_a_recording_names_archives(tmp_path: Path, slices: bool) -> None:
    root = write_tau_root(tmp_path / "tau", mobile_splits(slices, ("bus",)))
    first = sorted((root / "audio").iterdir())[0]
    first.unlink()
    year, record = ("2022", "6337421") if slices else ("2020", "3819968")
    words = f"audio archives of TAU-urban-acoustic-scenes-{year}-mobile-development here, .*zenodo.{record}"
    with pytest.raises(MissingAudioError, match=words) as caught:
        load_table(root)
    assert caught.value.names == (f"audio/{first.name}",)


@pytest.mark.parametrize(
    ("folder", "edition"), [("tau", "Mobile"), ("TAU-urban-acoustic-scenes-2020-mobile-development", "2020 Mobile")]
)
def test_load_tau_mobile_part_is_named_by_its_folder(tmp_path: Path, folder: str, edition: str) -> None:
    """Without simulated devices, several sets are possible, so that no archive is named."""
    stems = {stem: split for stem, split in MOBILE.items() if stem[-2] != "s"}
    root = write_tau_root(tmp_path / folder, stems)
    assert load_table(root).source == f"TAU root {folder} ({edition})"
    (root / "audio/park-london-96-2689-a.wav").unlink()
    with pytest.raises(MissingAudioError) as caught:
        load_table(root)
    assert ("Zenodo" in str(caught.value)) == (edition != "Mobile")


@pytest.mark.parametrize(
    ("official", "tau_3_class", "expected"),
    [
        (facts.TAU_2020_3CLASS, False, facts.TAU_2020_3CLASS),
        (facts.TAU_2019, False, facts.TAU_2019),
        (facts.TAU_2019, True, facts.TAU_2020_3CLASS),
    ],
)
def test_load_tau_of_the_official_tables(
    tau: Path, official: facts.TauSet, tau_3_class: bool, expected: facts.TauSet
) -> None:
    table = load_table(tau / official.name, tau_3_class=tau_3_class, require_audio=False)
    split = make_split(table, SplitConfig(fold="1", validation_fraction=0.1, seed=3))
    train = split.train + split.validation
    assert Counter(clip.label for clip in train) == expected.train
    assert Counter(clip.label for clip in split.test) == expected.test
    groups = [{clip.group for clip in subset} for subset in (split.train, split.validation, split.test)]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 325 + 149
    for label, count in expected.train.items():
        assert sum(clip.label == label for clip in split.validation) == pytest.approx(0.1 * count, abs=8)
    unused = [clip for clip in table.clips if clip.split is None]
    assert {clip.city for clip in unused} == {UNSEEN_CITY}
    assert len(unused) == 1030
    assert UNSEEN_CITY not in {clip.city for clip in train}
    assert sum(clip.city == UNSEEN_CITY for clip in split.test) == 410


def test_load_tau_of_the_official_tables_without_audio(tau: Path) -> None:
    with pytest.raises(DataError, match=r"14,400 of the 14,400 recordings in meta.csv are missing"):
        load_table(tau / facts.TAU_2020_3CLASS.name)


def test_load_tau_older_lists_are_named(tmp_path: Path) -> None:
    (tmp_path / "evaluation_setup").mkdir()
    names = [f"audio/{scene}-paris-{i}-1-a.wav" for scene in ("airport", "bus") for i in (1, 2)]
    rows = [f"{name}\t{name[6:].split('-')[0]}\tparis-{name.split('-')[2]}\ta" for name in names]
    (tmp_path / "meta.csv").write_text("\n".join(["filename\tscene_label\tidentifier\tsource_label", *rows]))
    (tmp_path / "evaluation_setup" / "fold1_train.txt").write_text(f"{names[0]}\tairport\n")
    words = rf"fold1_train\.txt: the lists of the TUT sets .* give {tmp_path / 'meta.csv'} itself for a split at random"
    with pytest.raises(DataError, match=words):
        load_tau(tmp_path, require_audio=False)
    assert load_table(tmp_path / "meta.csv", require_audio=False).labels == ("airport", "bus")
