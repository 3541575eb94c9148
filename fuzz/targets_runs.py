"""Targets for files of runs, caches and bulk jobs: JSON, weights, checkpoints, cache indices, Parquet parts."""

import functools
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch

from fuzz.targets import SCRATCH, Target, outcome
from helpers.tiny_model import changed, tiny_model
from scenelet.bulk.job import INPUTS_FILE, MODEL_FILE, Job, Task, read_inputs, read_job
from scenelet.bulk.job import RECORD_FILE as JOB
from scenelet.bulk.parts import read_counts, read_errors
from scenelet.bulk.storage import Folder
from scenelet.config import RunConfig
from scenelet.config.frontend import FeatureConfig, WindowConfig
from scenelet.config.run_folder import (
    METRICS,
    RECORD,
    SPLIT,
    DataRecord,
    RunRecord,
    TeacherRecord,
    read_metrics,
    read_record,
)
from scenelet.data.clips import Clip
from scenelet.data.feature_cache import ClipFeatures, band_statistics, load_features, read_index
from scenelet.evaluation.history import read_history
from scenelet.evaluation.submission.challenge import CHALLENGES
from scenelet.evaluation.submission.results import read_report
from scenelet.experiments.report import check_same_results
from scenelet.model.file import encode_model
from scenelet.training.checkpoint import check_checkpoint, check_state_dict, read_checkpoint
from scenelet.training.compression.search import CHOICE, load_choice

STATE = {"mean": torch.zeros(4), "network.weight": torch.zeros(2, 3), "network.steps": torch.tensor(0)}
"""Weights of the network that these targets assume."""


def checkpoint(data: bytes) -> str:
    """Read `model.pt`, or a checkpoint before Lightning loads it."""
    path = SCRATCH.file("last.ckpt", data)

    def read() -> None:
        found = read_checkpoint(path)
        if "history" in found:
            check_checkpoint(path, STATE)
        else:
            check_state_dict(path, found, STATE)

    return outcome(read)


SPLIT_TEXT = b"filename,label,group,split\n"
RUN = (
    RunRecord(
        config=RunConfig(),
        recipe="low_complexity",
        data=DataRecord(path="/x"),
        labels=tiny_model().labels,
        train_counts=(1, 2, 3),
        versions={"python": "3"},
        teachers=(TeacherRecord(path="/y", sha256=""),),
    )
    .model_dump_json()
    .encode()
)
"""Valid `run.json`."""
_EPOCH = {"epoch": 1, "loss": 0.5, "rate": 0.1, "validation_log_loss": 0.4, "seconds": 2.0}
MEASURED = json.dumps({"minutes": 1.0, "test": {"accuracy": 0.5}, "history": [_EPOCH]}).encode()
"""Valid `metrics.json`."""


def _history(folder: Path) -> object:
    fingerprint = hashlib.sha256(SPLIT_TEXT).hexdigest()[:16]
    provenance = {"recipe": "low_complexity", "seed": 0, "split_hash": fingerprint}
    return read_history(folder, changed(tiny_model(), provenance=provenance))


RECORDS: tuple[tuple[str, Callable[[Path], object]], ...] = (
    (RECORD, read_record),
    (METRICS, read_metrics),
    (RECORD, _history),
    (METRICS, _history),
    (CHOICE, load_choice),
    ("report.json", lambda folder: read_report(folder / "report.json", CHALLENGES[2020])),
    ("table.json", lambda folder: check_same_results(folder, "table", "t", "d", {"a": {}})),
    (JOB, lambda folder: read_job(Folder(str(folder))).job_hash),
)
"""Pairs of a file name and the function that reads it from its folder. The first byte of an input chooses one."""


def record(data: bytes) -> str:
    """Read the JSON of a run, a report, a comparison or a job."""
    name, read = RECORDS[data[0] % len(RECORDS) if data else 0]
    folder = SCRATCH.path / "run"
    for other, good in ((SPLIT, SPLIT_TEXT), (RECORD, RUN), (METRICS, MEASURED)):
        SCRATCH.file(f"run/{other}", good)
    SCRATCH.file(f"run/{name}", data[1:])
    return outcome(lambda: read(folder))


FEATURES = FeatureConfig(sample_rate=1000, n_fft=16, hop_length=8, n_mels=2, channels="mono")
WINDOW = WindowConfig(seconds=0.016)
ROW_BYTES = 2 * 2 * 3


def cache(data: bytes) -> str:
    """Read a feature cache with these bytes as its index. The first byte is the count of its rows.

    For one input in eight, by its length, the features are loaded. Otherwise only the index is read.
    """
    clips = _clips()
    folder = SCRATCH.path / "cache"
    known = next(iter(folder.iterdir()), None) if folder.is_dir() else None
    if known is None:
        _load(folder)
        known = next(folder.iterdir())
    (known / "windows.f16").write_bytes(bytes(ROW_BYTES * (data[0] if data else 0) + len(data) % 3))
    (known / "index.jsonl").write_bytes(data[1:].replace(b"CLIP", _identity(clips[0])))

    def read() -> None:
        index = read_index(known / "index.jsonl", data[0] if data else 0)
        assert sum(count for _, count in index.values()) <= 255
        if len(data) % 8:
            return
        found = _load(folder)
        assert found.load(found.rows()).shape[1:] == (1, 2, 3)
        assert len(found) == len(clips)
        assert band_statistics(found)[0].shape == (2,)

    return outcome(read)


def _load(folder: Path) -> ClipFeatures:
    os.environ["SCENELET_CACHE"] = str(folder)
    return load_features(_clips(), SCRATCH.path / "sounds", FEATURES, WINDOW, workers=1)


@functools.cache
def _clips() -> list[Clip]:
    import numpy as np
    import soundfile

    SCRATCH.empty("sounds")
    clips = []
    for name in ("a.wav", "b.wav"):
        path = SCRATCH.path / "sounds" / name
        soundfile.write(path, np.linspace(-0.5, 0.5, 40), 1000)
        clips.append(Clip(path, name, "x", name))
    return clips


def _identity(clip: Clip) -> bytes:
    status = clip.path.stat()
    return f"{clip.name}|{status.st_size}|{status.st_mtime_ns}".encode()


@functools.cache
def job() -> tuple[Folder, Job]:
    """Create a job of one part without results."""
    folder = Folder(str(SCRATCH.empty("job")))
    model = encode_model(tiny_model())
    held = tiny_model()
    task = Task(
        kind="predict",
        features=held.features,
        window=held.window,
        labels=held.labels,
        model=hashlib.sha256(model).hexdigest(),
    )
    begun = Job(task=task, base=str(SCRATCH.path), inputs=2, digest="0", shard_size=2)
    folder.write(MODEL_FILE, model)
    folder.write(JOB, begun.model_dump_json())
    return folder, begun


def part(data: bytes) -> str:
    """Read a Parquet part in a job's folder, as `predict --out` does."""
    folder, its = job()
    SCRATCH.file(f"job/{its.part_name(0)}", data)

    def read() -> None:
        for read_part in (read_counts, read_errors):
            with folder.open(its.part_name(0)) as file:
                read_part("part", file)

    return outcome(read)


def listed(data: bytes) -> str:
    """Read the copy of the manifest in a job's folder, as a worker does."""
    folder, its = job()
    SCRATCH.file(f"job/{INPUTS_FILE}", data)
    return outcome(lambda: [text.encode() for text in read_inputs(its, folder, 0)])


TARGETS: dict[str, Target] = {
    "checkpoint": checkpoint,
    "record": record,
    "cache": cache,
    "part": part,
    "listed": listed,
}
