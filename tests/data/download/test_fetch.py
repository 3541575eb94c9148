"""`scenelet fetch` against small made copies of the public sets on this machine."""

import csv
import hashlib
import io
import shutil
import stat
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import filelock
import pytest
import soundfile

from helpers.loopback_server import Answer, Loopback, serve
from scenelet.cli import main
from scenelet.data.download import fetch as room
from scenelet.data.download.fetch import EVALUATION, Archive, dataset_parts, tau_archives
from scenelet.data.download.fetch import fetch as fetch_sets
from scenelet.data.download.unzip import unzip
from scenelet.data.load import load_table
from scenelet.data.tau import TAU_2019, TAU_2020_3CLASS, load_tau
from scenelet.errors import DataError, OutputError, UsageError

NAME = TAU_2019.name
SIDES = {
    "park-paris-1-1-a": "train",
    "park-paris-1-2-a": "train",
    "bus-lyon-2-3-a": "train",
    "bus-lyon-2-4-a": "test",
    "park-milan-3-5-a": "test",
    "park-milan-3-6-a": None,
}
FACTS = replace(TAU_2019, train={"park": 2, "bus": 1}, test={"park": 1, "bus": 1}, unused=1)
NO_WAITS = (0.0, 0.0)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serve() as running:
        yield running


def zipped(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def tau_zips(prefix: str = "", sides: dict[str, str | None] = SIDES) -> dict[str, bytes]:
    """A little TAU set as the archives in which it is published."""
    rows = [f"audio/{stem}.wav\t{stem.partition('-')[0]}\t{stem[:-4]}\ta" for stem in sides]
    meta = {"meta.csv": "\n".join(["filename\tscene_label\tidentifier\tsource_label", *rows])}
    for side in ("train", "test"):
        names = [f"audio/{stem}.wav" for stem, where in sides.items() if where == side]
        meta[f"evaluation_setup/fold1_{side}.csv"] = "\n".join(["filename", *names])
    halves = list(sides)[::2], list(sides)[1::2]
    contents: dict[str, dict[str, bytes]] = {
        f"{NAME}.doc.zip": {"README.md": b"read me"},
        f"{NAME}.meta.zip": {name: text.encode() for name, text in meta.items()},
        **{
            f"{NAME}.audio.{n}.zip": {f"audio/{stem}.wav": stem.encode() * 50 for stem in half}
            for n, half in enumerate(halves, 1)
        },
    }
    return {name: zipped({prefix + path: data for path, data in files.items()}) for name, files in contents.items()}


def publish(server: Loopback, monkeypatch: pytest.MonkeyPatch, zips: dict[str, bytes]) -> None:
    """Put archives on the server and their facts in place of the real ones."""
    server.files.update(zips)
    facts = [Archive(f"{server.url}/{n}", len(data), hashlib.md5(data).hexdigest()) for n, data in zips.items()]
    monkeypatch.setattr(room, "tau_archives", lambda name: tuple(a for a in facts if a.name.startswith(name)))
    monkeypatch.setitem(room.TAU_SETS, "tau2019", FACTS)


def fetch(
    name: str, out: Path, *, agree: bool = True, evaluation: bool = False, mirror: str | None = None, keep: bool = False
) -> list[Path]:
    sets = dataset_parts(name, out, evaluation, mirror, keep)
    fetch_sets(sets, out, lambda: agree, NO_WAITS)
    return [each.root for each in sets]


def never() -> bool:
    raise AssertionError("there is nothing to agree to")


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("prefix", ["", f"{NAME}/"])
def test_a_tau_set(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    publish(server, monkeypatch, tau_zips(prefix))
    (root,) = fetch("tau2019", tmp_path)
    assert root == tmp_path / NAME
    clips = {clip.name: clip for clip in load_tau(root).clips}
    assert {Path(name).stem: clip.split for name, clip in clips.items()} == SIDES
    assert all(clip.path.read_bytes() == clip.path.stem.encode() * 50 for clip in clips.values())
    assert (root / "README.md").read_bytes() == b"read me"
    assert {path.name for path in tmp_path.iterdir()} <= {NAME, ".fetch.lock"}  # no archives, nothing half done
    assert len(server.log) == 4


def test_a_finished_fetch_does_nothing(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, monkeypatch, tau_zips())
    fetch("tau2019", tmp_path)
    before = tree(tmp_path)
    asked = len(server.log)
    capsys.readouterr()
    fetch_sets(dataset_parts("tau2019", tmp_path), tmp_path, never)
    assert "nothing to download" in capsys.readouterr().err
    assert (len(server.log), tree(tmp_path)) == (asked, before)


def test_archives_can_be_kept(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zips = tau_zips()
    publish(server, monkeypatch, zips)
    fetch("tau2019", tmp_path, keep=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "downloads").iterdir()} == zips


def test_a_cut_fetch_goes_on(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(server, monkeypatch, tau_zips())
    second, half = f"{NAME}.audio.2.zip", len(server.files[f"{NAME}.audio.2.zip"]) // 2
    server.answers[second] = [Answer(cut=half)]
    server.always[second] = Answer(status=503)
    with pytest.raises(DataError, match=f"{second}.*run the command again"):
        fetch("tau2019", tmp_path)
    assert (tmp_path / f"downloads/{second}.part").stat().st_size == half
    server.log.clear()
    server.always.clear()
    fetch("tau2019", tmp_path)
    assert server.log == [(second, f"bytes={half}-")]


def test_a_kill_while_unpacking_leaves_no_half_file(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, monkeypatch, tau_zips())

    def killed(source: object, file: io.BufferedWriter, length: int = 0) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch("tau2019", tmp_path)
    assert tree(tmp_path / NAME) == []
    assert tree(tmp_path / "downloads") == [f"{NAME}.doc.zip"]
    fetch("tau2019", tmp_path)
    assert [path for path, _ in server.log].count(f"{NAME}.doc.zip") == 1


def test_a_wrong_archive_is_named_and_deleted(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, monkeypatch, tau_zips())
    name = f"{NAME}.audio.1.zip"
    server.always[name] = Answer(body=bytes(len(server.files[name])))
    with pytest.raises(DataError, match=rf"{name}: wrong twice, since its md5"):
        fetch("tau2019", tmp_path)
    assert not (tmp_path / "downloads" / name).exists()
    assert not (tmp_path / NAME / "audio").exists()


@pytest.mark.parametrize("change", [{"bus-lyon-2-3-a": None}, {"bus-lyon-2-3-a": "test"}, {"tram-lyon-9-9-a": "train"}])
def test_counts_that_are_not_the_published_ones(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str | None]
) -> None:
    publish(server, monkeypatch, tau_zips(sides={**SIDES, **change}))
    with pytest.raises(DataError, match=r"segments of .* and the published set has .*\.fetched and run"):
        fetch("tau2019", tmp_path)


def test_a_recording_that_was_lost_later(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(server, monkeypatch, tau_zips())
    (root,) = fetch("tau2019", tmp_path)
    (root / "audio/bus-lyon-2-3-a.wav").unlink()
    with pytest.raises(DataError, match=r"not the published set .*bus-lyon-2-3-a.*delete .*\.fetched"):
        fetch("tau2019", tmp_path)
    (root / ".fetched").unlink()
    fetch("tau2019", tmp_path)
    assert (root / "audio/bus-lyon-2-3-a.wav").exists()


def test_the_evaluation_set_and_a_mirror(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zips = {f"{EVALUATION}.audio.1.zip": zipped({f"{EVALUATION}/audio/1.wav": b"sound"})}
    publish(server, monkeypatch, {**zips, **{n.replace("2019", "2020-3class"): z for n, z in tau_zips().items()}})
    monkeypatch.setitem(room.TAU_SETS, "tau2020-3class", replace(FACTS, name=TAU_2020_3CLASS.name))
    server.files = {f"lab/{name}": data for name, data in server.files.items()}
    roots = fetch("tau2020-3class", tmp_path, evaluation=True, mirror=f"{server.url}/lab/")
    assert roots == [tmp_path / TAU_2020_3CLASS.name, tmp_path / EVALUATION]
    assert tree(roots[1]) == [".fetched", "audio/1.wav"]
    assert all(path.startswith("lab/") for path, _ in server.log)


def test_nothing_happens_without_the_license(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, monkeypatch, tau_zips())
    with pytest.raises(UsageError, match="license was not accepted"):
        fetch("tau2019", tmp_path / "out", agree=False)
    said = capsys.readouterr().err
    assert "non-commercial" in said
    assert "MB" in said
    assert (server.log, (tmp_path / "out").exists()) == ([], False)


def test_the_disk_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = shutil._ntuple_diskusage(10**12, 10**12 - 40 * 10**9, 40 * 10**9)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk)
    with pytest.raises(OutputError, match=r"needs 4\d\.\d GB and its disk has 40\.0 GB free"):
        fetch_sets(dataset_parts("tau2019", tmp_path / "a/b"), tmp_path / "a/b", never)
    assert not (tmp_path / "a").exists()


def test_two_fetches_do_not_meet(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(server, monkeypatch, tau_zips())
    with filelock.FileLock(tmp_path / ".fetch.lock"), pytest.raises(OutputError, match="another fetch"):
        fetch("tau2019", tmp_path)
    assert server.log == []


def test_wrong_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'esc10'"):
        dataset_parts("esc-10", tmp_path)
    with pytest.raises(UsageError, match="--evaluation goes with tau2020-3class"):
        dataset_parts("tau2019", tmp_path, evaluation=True)
    for mirror in ("lab/files", "ftp://lab", "file:///etc", "https://"):
        with pytest.raises(UsageError, match="--mirror"):
            dataset_parts("esc10", tmp_path, mirror=mirror)


def test_the_published_facts() -> None:
    for facts, count, size in ((TAU_2020_3CLASS, 23, 35_543_717_092), (TAU_2019, 23, 35_622_537_482)):
        archives = tau_archives(facts.name)
        assert (len(archives), sum(archive.size for archive in archives)) == (count, size)
        assert all(f"zenodo.org/record/{facts.doi.rpartition('.')[2]}/files/" in archive.url for archive in archives)
    evaluation = tau_archives(EVALUATION)
    assert (len(evaluation), sum(archive.size for archive in evaluation)) == (15, 20_856_686_257)
    everything = [*tau_archives(TAU_2020_3CLASS.name), *tau_archives(TAU_2019.name), *evaluation]
    assert all(len(bytes.fromhex(archive.md5)) == 16 for archive in everything)
    assert len({archive.md5 for archive in everything}) == len({archive.name for archive in everything}) == 61


@pytest.mark.parametrize(
    "name", ["../out.txt", "/out.txt", "audio/../../out.txt", "..\\out.txt", "C:/out.txt", "c:out"]
)
def test_an_archive_that_would_leave_its_folder(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped({"audio/good.wav": b"good", name: b"bad"}))
    with pytest.raises(DataError, match=r"a\.zip: its entry .* would lie outside"):
        unzip(archive, tmp_path / "root")
    assert tree(tmp_path) == ["a.zip"]


def test_an_archive_with_a_link(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    link = zipfile.ZipInfo("audio")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(link, "/etc")
        file.writestr("audio/passwd", "bad")
    with pytest.raises(DataError, match="is a link"):
        unzip(archive, tmp_path / "root")
    assert tree(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("where", ["in a file", "at the end"])
def test_a_damaged_archive(tmp_path: Path, where: str) -> None:
    good = zipped({"audio/a.wav": bytes(range(256)) * 40})
    damaged = good[:60] + bytes([good[60] ^ 1]) + good[61:] if where == "in a file" else good[:-30]
    (tmp_path / "a.zip").write_bytes(damaged)
    with pytest.raises(DataError, match=r"a\.zip: not a whole zip archive"):
        unzip(tmp_path / "a.zip", tmp_path / "root")
    assert tree(tmp_path) == ["a.zip"]


def test_an_archive_larger_than_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"a.wav": bytes(2000)}))
    disk = shutil._ntuple_diskusage(3000, 1001, 1999)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk)
    with pytest.raises(OutputError, match="free"):
        unzip(tmp_path / "a.zip", tmp_path / "root")
    assert tree(tmp_path) == ["a.zip"]


@pytest.fixture(scope="module")
def wav() -> bytes:
    """5 s of silence."""
    data = io.BytesIO()
    soundfile.write(data, [0.0] * 220_500, 44_100, format="WAV", subtype="PCM_U8")
    return data.getvalue()


def esc50(changes: dict[str, dict[str, str]] | None = None) -> tuple[bytes, list[str]]:
    """The table of a made ESC-50, in which every second clip is of ESC-10, and ESC-10's names."""
    rows = []
    for number in range(800):
        fold, target = number // 160 + 1, number % 20
        name = f"{fold}-{number // 40}-{chr(65 + number % 3)}{number}-{target}.wav"
        rows.append([name, str(fold), str(target), f"class {target}", str(target < 10), str(number // 40), "A"])
    columns = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    for row in rows:
        for column, value in (changes or {}).get(row[0], {}).items():
            row[columns.index(column)] = value
    return "\n".join(",".join(row) for row in [columns, *rows]).encode(), [row[0] for row in rows if row[4] == "True"]


def publish_esc50(server: Loopback, wav: bytes, changes: dict[str, dict[str, str]] | None = None) -> list[str]:
    table, names = esc50(changes)
    server.files.update({"meta/esc50.csv": table, **{f"audio/{name}": wav for name in names}})
    return names


def test_esc10(server: Loopback, tmp_path: Path, wav: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    names = publish_esc50(server, wav)
    broken = max(names)  # they come by name
    server.always[f"audio/{broken}"] = Answer(body=wav[:100_000])
    with pytest.raises(DataError, match=rf"{broken}: wrong twice"):
        fetch("esc10", tmp_path, mirror=server.url)
    assert not (tmp_path / "ESC-10/meta.csv").exists()
    assert tree(tmp_path / "ESC-10") == sorted(f"audio/{name}" for name in names if name != broken)

    server.always.clear()
    server.log.clear()
    (root,) = fetch("esc10", tmp_path, mirror=server.url)
    assert server.log == [(f"audio/{broken}", None)]  # the others are there
    assert "K. J. Piczak" in capsys.readouterr().err
    table = load_table(root)
    assert table.counts() == {f"class {target}": 40 for target in range(10)}
    assert table.folds == ("1", "2", "3", "4", "5")
    assert table.license == "Recordings under CC-BY 3.0"
    with (root / "meta.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert first == {
        "filename": "1-0-A0-0.wav",
        "label": "class 0",
        "fold": "1",
        "group": "0",
        "license": "CC-BY 3.0",
    }
    assert {path.name for path in tmp_path.iterdir()} <= {"ESC-10", ".fetch.lock"}

    server.log.clear()
    fetch_sets(dataset_parts("esc10", tmp_path, mirror=server.url), tmp_path, never)
    assert server.log == []
    (root / "audio" / names[0]).write_bytes(b"")
    with pytest.raises(DataError, match=rf"meta\.csv: not the published set, since {names[0]}"):
        fetch("esc10", tmp_path, mirror=server.url)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"esc10": "False"}, "399 clips"),
        ({"category": "class 1"}, "40 clips in each of 10 classes"),
        ({"fold": "2"}, "80 clips in each of 5 folds"),
        ({"filename": "../1.wav"}, "not the name of a recording"),
        ({"filename": "1-0-B1-1.wav"}, "400 different ones"),
    ],
)
def test_a_wrong_table_of_esc50(
    server: Loopback, tmp_path: Path, wav: bytes, change: dict[str, str], words: str
) -> None:
    publish_esc50(server, wav, {"1-0-A0-0.wav": change})
    with pytest.raises(DataError, match=rf"esc50\.csv: wrong twice.*{words}"):
        fetch("esc10", tmp_path, mirror=server.url)
    assert {path for path, _ in server.log} == {"meta/esc50.csv"}
    assert tree(tmp_path / "downloads") == []


def test_an_original_recording_in_two_folds(server: Loopback, tmp_path: Path, wav: bytes) -> None:
    publish_esc50(server, wav, {"1-0-A0-0.wav": {"src_file": "19"}})
    with pytest.raises(DataError, match="original recording 19 lies in two folds"):
        fetch("esc10", tmp_path, mirror=server.url)


@pytest.mark.parametrize(
    ("frames", "rate", "channels"), [(220_499, 44_100, 1), (220_500, 48_000, 1), (220_500, 44_100, 2)]
)
def test_a_recording_of_another_shape(
    server: Loopback, tmp_path: Path, wav: bytes, frames: int, rate: int, channels: int
) -> None:
    names = publish_esc50(server, wav)
    other = io.BytesIO()
    soundfile.write(other, [[0.0] * channels] * frames, rate, format="WAV")
    server.always[f"audio/{names[0]}"] = Answer(body=other.getvalue())
    with pytest.raises(DataError, match=rf"{names[0]}: .*not 5 s of mono at 44\.1 kHz"):
        fetch("esc10", tmp_path, mirror=server.url)


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["scenelet", "fetch", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    assert isinstance(end.value.code, int)
    return end.value.code


def test_the_command(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, monkeypatch, tau_zips())
    assert command(monkeypatch, "tau2019", "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert "--accept-license" in error
    assert (server.log, (tmp_path / "out").exists()) == ([], False)

    assert command(monkeypatch, "tau2019", "--out", tmp_path / "out", "--accept-license") == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'out' / NAME}\n"
    assert err.splitlines()[-1] == f"next: scenelet check {tmp_path / 'out' / NAME}"
    assert command(monkeypatch, "tau2018", "--out", tmp_path) == 2


@pytest.mark.parametrize(("answer", "code"), [("n\n", 2), ("y\n", 0)])
def test_the_question(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    publish(server, monkeypatch, tau_zips())
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", terminal)
    assert command(monkeypatch, "tau2019", "--out", tmp_path / "out") == code
    assert bool(server.log) == (tmp_path / "out").exists() == (code == 0)


def test_without_requests_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    assert command(monkeypatch, "esc10", "--out", tmp_path, "--accept-license") == 1
    assert 'pip install "scenelet[fetch]"' in capsys.readouterr().err
