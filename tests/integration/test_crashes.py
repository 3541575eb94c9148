"""Writers that are killed at any moment: every named file is complete, and the same call completes the rest."""

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
from scenelet.training.compression.compress import replace_files as write_models
from scenelet.training.network import build_network, save_weights
from scenelet.utils.files import STALE_SECONDS, replace_file

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the killed process is forked")
LABELS = ("indoor", "outdoor", "transportation")
SOUND = FeatureConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=16, channels="mono")
WINDOW = WindowConfig(seconds=0.25)


@pytest.fixture(autouse=True)
def skip_disk_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the waits for the disk: no test can see their effect. A process is still killed before each `fsync`."""
    for name in ("fsync", "sync"):
        monkeypatch.setattr(os, name, lambda *_: None)


def write_clips(folder: Path, count: int) -> list[Clip]:
    rng = np.random.default_rng(0)
    clips = []
    for i in range(count):
        path = folder / f"{i}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, 2000 * (1 + i % 2)), 8000)
        clips.append(Clip(path, path.name, "x", path.name))
    return clips


def zip_bytes(names: Sequence[str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, name.encode() * 50)
    return data.getvalue()


def test_replace_file_killed_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "m.scn"
    old, new = (modelfile.encode_model(tiny_model(seed)) for seed in (0, 1))
    path.write_bytes(old)
    was_old = set()
    for moment in deaths(lambda: write_models({path: new}), tmp_path):
        was_old.add(path.read_bytes() == old)
        assert path.read_bytes() in (old, new), moment
        modelfile.read_model(path)
        replace_file(path, old)
    assert path.read_bytes() == new
    assert was_old == {True, False}


def test_replace_file_stale_part_files_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "m.scn"
    for _ in deaths(lambda: replace_file(path, b"new"), tmp_path):
        pass
    parts = sorted(tmp_path.glob(".m.scn.*.part"))
    assert len(parts) > 1
    os.utime(parts[0], (1, 1))
    replace_file(path, b"newer")
    assert sorted(tmp_path.glob(".m.scn.*.part")) == parts[1:]  # another process may still write the recent ones
    assert os.stat(parts[1]).st_mtime + STALE_SECONDS > os.stat(path).st_mtime


def test_save_checkpoint_killed_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    path, store = tmp_path / "checkpoints" / "last.ckpt", AtomicCheckpointIO()
    store.save_checkpoint({"epoch": 1}, path)
    for _ in deaths(lambda: store.save_checkpoint({"epoch": 2}, path), tmp_path):
        assert torch.load(path, weights_only=True)["epoch"] in (1, 2)
        store.save_checkpoint({"epoch": 1}, path)
    assert torch.load(path, weights_only=True)["epoch"] == 2


def test_load_features_killed_is_completed_by_the_next_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = write_clips(tmp_path, 5)
    row_bytes = 2 * SOUND.n_channels * SOUND.n_mels * SOUND.n_frames(WINDOW.samples(SOUND.sample_rate))
    monkeypatch.setattr(cache, "BATCH_BYTES", 3 * row_bytes)

    def build(folder: str) -> cache.ClipFeatures:
        monkeypatch.setenv("SCENELET_CACHE", str(tmp_path / folder))
        return cache.load_features(clips, tmp_path, SOUND, WINDOW, workers=1)

    complete = build("complete")
    killed = tmp_path / "killed"
    for moment in deaths(lambda: build("killed"), killed):
        for index in killed.glob("*/index.jsonl"):
            stored = index.with_name("windows.f16").stat().st_size // complete.values[0].nbytes
            assert all(sum(json.loads(line)[1:]) <= stored for line in index.read_text().splitlines()), moment
        features = build("killed")
        assert np.array_equal(features.values, complete.values), moment
        assert tree(killed) == tree(tmp_path / "complete"), moment
        shutil.rmtree(killed)
    assert moment > 8


def test_write_report_killed_never_mixes_two_evaluations(tmp_path: Path) -> None:
    """Kill the second report, which has no listening page and other predictions than the first."""
    results = [make_predictions(LABELS, 12, seed) for seed in (0, 1)]
    reports = [make_report(predictions, LABELS) for predictions in results]
    pages = [{"report.html": "first", "listening.html": "first"}, {"report.html": "second", "classes.svg": "second"}]

    def write(which: int, folder: Path) -> None:
        write_report(folder, reports[which], results[which], LABELS, pages=pages[which])

    for which, name in enumerate(("first", "second")):
        write(which, tmp_path / name)
    first, second = tree(tmp_path / "first"), tree(tmp_path / "second")
    killed = tmp_path / "killed"
    has_page = []
    for moment in deaths(lambda: write(1, killed), killed):
        files = tree(killed)
        if "report.html" in files:
            assert files in (first, second), moment
        has_page.append("report.html" in files)
        write(1, killed)
        assert tree(killed) == second
        shutil.rmtree(killed)
        write(0, killed)
    assert tree(killed) == second
    assert has_page[2:5] == [True] * 3
    assert False in has_page


def test_fetch_killed_is_completed_by_the_next_call(tmp_path: Path) -> None:
    with serve() as server:
        server.files |= {"a.zip": zip_bytes(["Set/a1.wav", "Set/audio/a2.wav"]), "b.zip": zip_bytes(["Set/b.wav"])}
        facts = [(name, len(data), hashlib.md5(data).hexdigest()) for name, data in server.files.items()]
        archives = tuple(Archive(f"{server.url}/{name}", *rest) for name, *rest in facts)

        def get(out: Path) -> None:
            fetch([TauRoot(out / "Set", out / "downloads", "Free.", archives, None)], out, lambda: True)

        get(tmp_path / "complete")
        complete, killed = tree(tmp_path / "complete"), tmp_path / "killed"
        assert sorted(complete) == ["Set/a1.wav", "Set/audio/a2.wav", "Set/b.wav"]
        for moment in deaths(lambda: get(killed), killed):
            files = tree(killed) if killed.exists() else {}
            assert {n: data for n, data in files.items() if n.startswith("Set")}.items() <= complete.items(), moment
            get(killed)
            assert tree(killed) == complete, moment
            assert {path.name for path in killed.iterdir()} == {"Set", ".fetch.lock"}, moment
            assert (killed / "Set/.fetched").read_text() == "a.zip\nb.zip\n"
            shutil.rmtree(killed)


def test_start_job_killed_keeps_the_inputs_of_its_own_job(tmp_path: Path) -> None:
    """Kill a second job that replaces a first job without finished parts, then start the first job."""
    for name in ("first", "second"):
        (tmp_path / f"{name}.csv").write_text(f"path\n{name}.wav\n")
    manifests = {name: scan_manifest(str(tmp_path / f"{name}.csv")) for name in ("first", "second")}
    task = Task(kind="features", features=Features(), window=WINDOW)
    out = tmp_path / "out"

    def start(name: str) -> Job:
        return start_job(Folder(str(out)), task, b"", manifests[name], None)

    start("first")
    inputs = (out / INPUTS_FILE).read_bytes()
    for moment in deaths(lambda: start("second"), out):
        start("first")
        assert (out / INPUTS_FILE).read_bytes() == inputs, moment
        assert Job.model_validate_json((out / RECORD_FILE).read_bytes()).digest == manifests["first"].digest
    assert moment > 5


def test_run_folder_killed_is_completed_by_the_next_call(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    """Write the files of a run folder, except checkpoints, in the order of `train`."""
    config = load_recipe("paper_short", [*tiny_settings, 'split.fold="1"'])
    split = make_split(load_table(tone_set), config.split)
    data = runs.DataRecord(path=tone_set)
    facts = {"recipe": "paper_short", "data": data, "labels": ("high", "low"), "train_counts": (8, 8), "versions": {}}
    record = runs.RunRecord(config=config, **facts)
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

    train(tmp_path / "complete")
    killed = tmp_path / "killed"
    for moment in deaths(lambda: train(killed), killed):
        assert tree(killed).items() <= tree(tmp_path / "complete").items(), moment
        train(killed)
        assert tree(killed) == tree(tmp_path / "complete"), moment
        shutil.rmtree(killed)
    assert moment > 15


def test_check_folder_is_new_accepts_a_folder_without_a_record(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".run.json.1.part").touch()
    (tmp_path / "split.csv").touch()
    check_folder_is_new(tmp_path)
