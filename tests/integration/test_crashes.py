"""Every writer is killed at every moment: each named file is complete, and the same call then writes the rest."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from helpers.example_report import make_predictions, make_report
from helpers.killed_writer import deaths, tree
from helpers.loopback_server import serve
from helpers.tiny_model import tiny_model
from scenelet.bulk.job import INPUTS_FILE, RECORD_FILE, Job, Task, start_job
from scenelet.bulk.manifest import scan_manifest
from scenelet.bulk.storage import Folder
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.config import run_folder as runs
from scenelet.config.frontend import FeatureConfig as Features
from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import check_folder_is_new, is_begun
from scenelet.data import feature_cache as cache
from scenelet.data.clips import Clip
from scenelet.data.download.fetch import fetch
from scenelet.data.download.zenodo import Archive, TauRoot
from scenelet.data.load import load_table
from scenelet.data.splits import make_split, split_table
from scenelet.evaluation.report import write_report
from scenelet.model import file as modelfile
from scenelet.training.checkpoint import AtomicCheckpointIO
from scenelet.training.compression.compress import replace_file as write_model
from scenelet.training.network import build_network, save_weights
from scenelet.utils.files import STALE_SECONDS, replace_file

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the killed process is a fork")
LABELS = ("indoor", "outdoor", "transportation")
SOUND = FeatureConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=16, channels="mono")
WINDOW = WindowConfig(seconds=0.25)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip `fsync`, whose effect no test can see; a process is still killed before each call."""
    for name in ("fsync", "sync"):
        monkeypatch.setattr(os, name, lambda *_: None)


def clips(folder: Path, count: int) -> list[Clip]:
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        path = folder / f"{i}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, 2000 * (1 + i % 2)), 8000)
        found.append(Clip(path, path.name, "x", path.name))
    return found


def zipped(names: Sequence[str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, name.encode() * 50)
    return data.getvalue()


def test_replace_file_killed_leaves_old_or_new_file(tmp_path: Path) -> None:
    path = tmp_path / "m.scn"
    old, new = (modelfile.encode_model(tiny_model(seed)) for seed in (0, 1))
    path.write_bytes(old)
    seen = set()
    for moment in deaths(lambda: write_model(path, new), tmp_path):
        seen.add(path.read_bytes() == old)
        assert path.read_bytes() in (old, new), moment
        modelfile.read_model(path)
        replace_file(path, old)
    assert path.read_bytes() == new
    assert seen == {True, False}


def test_replace_file_removes_only_stale_parts(tmp_path: Path) -> None:
    path = tmp_path / "m.scn"
    for _ in deaths(lambda: replace_file(path, b"new"), tmp_path):
        pass
    left = sorted(tmp_path.glob(".m.scn.*.part"))
    assert len(left) > 1
    os.utime(left[0], (1, 1))
    replace_file(path, b"newer")
    assert sorted(tmp_path.glob(".m.scn.*.part")) == left[1:]  # another process may still write these
    assert os.stat(left[1]).st_mtime + STALE_SECONDS > os.stat(path).st_mtime


def test_save_checkpoint_killed_leaves_old_or_new_checkpoint(tmp_path: Path) -> None:
    path, store = tmp_path / "checkpoints" / "last.ckpt", AtomicCheckpointIO()
    store.save_checkpoint({"epoch": 1}, path)
    for _ in deaths(lambda: store.save_checkpoint({"epoch": 2}, path), tmp_path):
        assert torch.load(path, weights_only=True)["epoch"] in (1, 2)
        store.save_checkpoint({"epoch": 1}, path)
    assert torch.load(path, weights_only=True)["epoch"] == 2


def test_load_features_killed_gives_the_same_cache_later(tmp_path: Path) -> None:
    recordings = clips(tmp_path, 5)

    def build(name: str) -> cache.ClipFeatures:
        return cache.load_features(recordings, tmp_path, SOUND, WINDOW, tmp_path / name, workers=1, batch_clips=2)

    whole = build("whole")
    for moment in deaths(lambda: build("cut"), tmp_path / "cut"):
        for index in (tmp_path / "cut").glob("*/index.jsonl"):
            there = index.with_name("windows.f16").stat().st_size // whole.values[0].nbytes
            assert all(sum(json.loads(line)[1:]) <= there for line in index.read_text().splitlines()), moment
        features = build("cut")
        assert np.array_equal(features.values, whole.values), moment
        assert tree(tmp_path / "cut") == tree(tmp_path / "whole"), moment
        shutil.rmtree(tmp_path / "cut")
    assert moment > 8


def test_write_report_killed_never_mixes_two_evaluations(tmp_path: Path) -> None:
    """The second report has no listening page, and another prediction for each clip."""
    results = [make_predictions(LABELS, 12, seed) for seed in (0, 1)]
    reports = [make_report(each, LABELS) for each in results]
    pages = [{"report.html": "first", "listening.html": "first"}, {"report.html": "second", "classes.svg": "second"}]

    def write(which: int, folder: Path) -> None:
        write_report(folder, reports[which], results[which], LABELS, pages=pages[which])

    for which, name in enumerate(("first", "second")):
        write(which, tmp_path / name)
    first, second = tree(tmp_path / "first"), tree(tmp_path / "second")
    cut = tmp_path / "cut"
    shown = []
    for moment in deaths(lambda: write(1, cut), cut):
        found = tree(cut)
        if "report.html" in found:
            assert found in (first, second), moment
        shown.append("report.html" in found)
        write(1, cut)
        assert tree(cut) == second
        shutil.rmtree(cut)
        write(0, cut)
    assert tree(cut) == second
    assert shown[2:5] == [True] * 3
    assert False in shown


def test_fetch_killed_resumes_to_the_same_files(tmp_path: Path) -> None:
    with serve() as server:
        server.files |= {"a.zip": zipped(["Set/a1.wav", "Set/audio/a2.wav"]), "b.zip": zipped(["Set/b.wav"])}
        facts = [(name, len(data), hashlib.md5(data).hexdigest()) for name, data in server.files.items()]
        archives = tuple(Archive(f"{server.url}/{name}", *rest) for name, *rest in facts)

        def get(out: Path) -> None:
            fetch([TauRoot(out / "Set", out / "downloads", "Free.", archives, None)], out, lambda: True, ())

        get(tmp_path / "whole")
        whole, cut = tree(tmp_path / "whole"), tmp_path / "cut"
        assert sorted(whole) == ["Set/a1.wav", "Set/audio/a2.wav", "Set/b.wav"]
        for moment in deaths(lambda: get(cut), cut):
            found = tree(cut) if cut.exists() else {}
            assert {n: data for n, data in found.items() if n.startswith("Set")}.items() <= whole.items(), moment
            get(cut)
            assert tree(cut) == whole, moment
            assert {path.name for path in cut.iterdir()} == {"Set", ".fetch.lock"}, moment
            assert (cut / "Set/.fetched").read_text() == "a.zip\nb.zip\n"
            shutil.rmtree(cut)


def test_start_job_killed_keeps_the_inputs_of_one_job(tmp_path: Path) -> None:
    """A second job replaces one that has no part yet and is killed; then the first is started again."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text(f"path\n{name}.wav\n")
    listed = {name: scan_manifest(str(tmp_path / f"{name}.csv")) for name in ("one", "two")}
    task = Task(kind="features", features=Features(), window=WINDOW)
    out = tmp_path / "out"

    def start(name: str) -> Job:
        return start_job(Folder(str(out)), task, b"", listed[name], None)

    start("one")
    inputs = (out / INPUTS_FILE).read_bytes()
    for moment in deaths(lambda: start("two"), out):
        start("one")
        assert (out / INPUTS_FILE).read_bytes() == inputs, moment
        assert Job.model_validate_json((out / RECORD_FILE).read_bytes()).digest == listed["one"].digest
    assert moment > 5


def test_write_record_killed_resumes_to_the_same_folder(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    """Training writes these files, apart from checkpoints, in this order."""
    config = load_recipe("paper_short", [*tiny_settings, 'split.fold="1"'])
    split = make_split(load_table(tone_set), config.split)
    data = runs.DataRecord(path=tone_set)
    about = {"recipe": "paper_short", "data": data, "labels": ("high", "low"), "train_counts": (8, 8), "versions": {}}
    record = runs.RunRecord(config=config, **about)
    network = build_network(config, 2, torch.zeros(32), torch.ones(32))

    def train(folder: Path) -> None:
        if is_begun(folder):
            assert runs.read_record(folder) == record
            runs.check_same_split(folder, split_table(split), data.path)
        else:
            check_folder_is_new(folder)
            runs.write_record(folder, record, split_table(split))
        save_weights(folder, network)
        runs.write_metrics(folder, {"test": {"accuracy": 0.5}})

    train(tmp_path / "whole")
    cut = tmp_path / "cut"
    for moment in deaths(lambda: train(cut), cut):
        assert tree(cut).items() <= tree(tmp_path / "whole").items(), moment
        train(cut)
        assert tree(cut) == tree(tmp_path / "whole"), moment
        shutil.rmtree(cut)
    assert moment > 15


def test_check_folder_is_new_accepts_a_killed_start(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".run.json.1.part").touch()
    (tmp_path / "split.csv").touch()
    check_folder_is_new(tmp_path)
