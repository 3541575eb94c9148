"""ESC-50 and ESC-10 from a small copy of their repository on this machine."""

import csv
import hashlib
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from helpers.data_sets import fetch, file_names, never
from helpers.loopback_server import Answer, Loopback
from scenelet.config import SplitConfig
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.download import esc50
from scenelet.data.download.esc50 import PublishedClip, published_clips
from scenelet.data.download.fetch import dataset_parts
from scenelet.data.download.fetch import fetch as fetch_parts
from scenelet.data.load import load_table
from scenelet.data.splits import make_split
from scenelet.errors import DataError

LABELS = ("dog", "rain", "pig")
"""Classes of the small copy; pig is not in ESC-10."""
TABLE_MD5 = "54a0d0055a10bb7df84ad340a148722e"
"""Published md5 of the repository's `meta/esc50.csv`."""


@pytest.fixture
def clips(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> list[PublishedClip]:
    """Publish 5 folds with two takes of one recording for each class."""
    published = []
    for fold in range(1, 6):
        for target, label in enumerate(LABELS):
            for take in "AB":
                name = f"{fold}-{10 * fold + target}-{take}-{target}.wav"
                body = server.files[f"audio/{name}"] = name.encode() * 5000
                published.append(PublishedClip(name, label, hashlib.md5(body).hexdigest()))
    published.sort()
    monkeypatch.setattr(esc50, "published_clips", lambda: published)
    return published


def test_fetch_esc50_lists_all_clips_with_folds_groups_and_license(
    server: Loopback, tmp_path: Path, clips: list[PublishedClip], capsys: pytest.CaptureFixture[str]
) -> None:
    (root,) = fetch("esc50", tmp_path, mirror=server.url)
    said = capsys.readouterr().err
    assert "free for non-commercial use that names its source" in said
    assert "K. J. Piczak" in said
    table = load_table(root)
    assert table.counts() == {"dog": 10, "pig": 10, "rain": 10}
    assert (table.folds, len(table.groups)) == (("1", "2", "3", "4", "5"), 15)
    assert table.license == "Recordings under CC-BY-NC 3.0"
    assert all(clip.path.read_bytes() == clip.path.name.encode() * 5000 for clip in table.clips)
    with (root / "meta.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    expected = {"filename": "1-10-A-0.wav", "label": "dog", "fold": "1", "group": "10", "license": "CC-BY-NC 3.0"}
    assert first == expected
    assert {path.name for path in tmp_path.iterdir()} <= {"ESC-50", ".fetch.lock"}

    server.log.clear()
    fetch_parts(dataset_parts("esc50", tmp_path, mirror=server.url), tmp_path, never)
    assert server.log == []


def test_fetch_esc10_takes_its_classes_only(server: Loopback, tmp_path: Path, clips: list[PublishedClip]) -> None:
    (root,) = fetch("esc10", tmp_path, mirror=server.url)
    table = load_table(root)
    assert table.counts() == {"dog": 10, "rain": 10}
    assert table.license == "Recordings under CC-BY 3.0"
    assert {path for path, _ in server.log} == {f"audio/{clip.filename}" for clip in clips if clip.label != "pig"}


@pytest.mark.parametrize("name", ["esc10", "esc50"])
def test_fetch_interrupted_keeps_complete_recordings_and_continues(
    server: Loopback, tmp_path: Path, clips: list[PublishedClip], name: str
) -> None:
    broken = f"audio/{clips[7].filename}"
    server.answers[broken] = [Answer(cut=100)]
    server.always[broken] = Answer(status=503)
    with pytest.raises(DataError, match=r"run the command again, complete files are kept"):
        fetch(name, tmp_path, mirror=server.url)
    root = tmp_path / name.upper().replace("ESC", "ESC-")
    before = set(file_names(root)) - {f"{broken}.part"}
    asked = [path for path, _ in server.log]
    assert before == set(asked) - {broken}
    assert not (root / "meta.csv").exists()

    server.log.clear()
    server.always.clear()
    fetch(name, tmp_path, mirror=server.url)
    assert before.isdisjoint(path for path, _ in server.log)
    assert server.log[0] == (broken, None)
    assert len(file_names(root)) == len(load_table(root).clips) + 1


def test_fetch_esc50_wrong_recording_is_refused(server: Loopback, tmp_path: Path, clips: list[PublishedClip]) -> None:
    wrong = clips[-1].filename
    server.always[f"audio/{wrong}"] = Answer(body=bytes(1000))
    with pytest.raises(
        DataError, match=rf"{wrong}: wrong after two downloads: its md5 is \w+, not {clips[-1].md5}"
    ) as e:
        fetch("esc50", tmp_path, mirror=server.url)
    assert "\n" not in str(e.value)
    assert file_names(tmp_path / "ESC-50") == [f"audio/{clip.filename}" for clip in clips[:-1]]  # and no table


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("audio/1-10-A-0.wav", b"other", r"1-10-A-0\.wav: its md5 is"),
        ("audio/1-10-A-0.wav", None, r"1-10-A-0\.wav: it is missing"),
        ("meta.csv", b"filename,label,fold,group,license\n", "its clips or columns differ"),
    ],
)
def test_fetch_esc50_changed_folder_is_refused_and_then_completed(
    server: Loopback, tmp_path: Path, clips: list[PublishedClip], name: str, content: bytes | None, words: str
) -> None:
    (root,) = fetch("esc50", tmp_path, mirror=server.url)
    before = {path: (root / path).read_bytes() for path in file_names(root)}
    (root / name).unlink()
    if content is not None:
        (root / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"meta\.csv: not the published set \({words}.*delete it and run the command"):
        fetch("esc50", tmp_path, mirror=server.url)
    (root / "meta.csv").unlink()
    fetch("esc50", tmp_path, mirror=server.url)
    assert {path: (root / path).read_bytes() for path in file_names(root)} == before


def test_published_clips_agree_with_the_repositorys_table() -> None:
    """The classes and names of `esc50.csv` give the repository's table, whose md5 others publish."""
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for clip in published_clips():
        fold, group, take, target = clip.filename.removesuffix(".wav").split("-")
        subset = clip.label in esc50.ESC_SETS["esc10"].labels
        assert (fold, group) == (clip.fold, clip.group)
        lines.append(f"{clip.filename},{fold},{target},{clip.label},{subset},{group},{take}")
    table = "".join(f"{line}\n" for line in lines)
    assert hashlib.md5(table.encode()).hexdigest() == TABLE_MD5


def test_published_clips_have_equal_classes_and_folds() -> None:
    published = published_clips()
    assert len({clip.md5 for clip in published}) == len(published) == 2000
    assert set(Counter(clip.label for clip in published).values()) == {40}
    assert set(Counter(clip.fold for clip in published).values()) == {400}
    folds = defaultdict(set)
    for clip in published:
        folds[clip.group].add(clip.fold)
    assert len(folds) == 1524
    # the author's folds divide these four recordings, each of which has two classes
    assert [group for group in sorted(folds) if len(folds[group]) > 1] == ["131943", "134049", "209698", "234879"]


@pytest.mark.parametrize("fold", "12345")
def test_make_split_of_esc50_holds_out_whole_folds(fold: str) -> None:
    clips = tuple(Clip(Path(c.filename), c.filename, c.label, c.group, c.fold) for c in published_clips())
    split = make_split(ClipTable(Path(), "CSV", clips), SplitConfig(fold=fold, validation_fraction=0.1))
    assert {clip.fold for clip in split.test} == {fold}
    assert (len(split.train), len(split.validation), len(split.test)) == (1450, 150, 400)
    assert {clip.group for clip in split.train}.isdisjoint(clip.group for clip in split.validation)
    assert set(Counter(clip.label for clip in split.validation).values()) == {3}


def test_fetch_mirror_that_redirects_elsewhere_is_refused(
    server: Loopback, tmp_path: Path, clips: list[PublishedClip]
) -> None:
    server.always["audio/1-10-A-0.wav"] = Answer(location="http://93.184.215.14/audio/1-10-A-0.wav")
    with pytest.raises(DataError, match=r"redirects to another host, 93\.184\.215\.14; check the address or --mirror"):
        fetch("esc50", tmp_path, mirror=server.url)
