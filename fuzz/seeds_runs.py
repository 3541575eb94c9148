"""Seeds for files of runs, caches and jobs, as our own writers create them."""

import io
import json
from dataclasses import asdict

import pyarrow
import torch
from pyarrow import parquet

from fuzz.targets_runs import MEASURED, RUN, STATE, job
from scenelet.bulk.parts import PartCounts
from scenelet.config import PruneConfig
from scenelet.training.checkpoint import encode_checkpoint
from scenelet.training.compression.search import FormatTrial


def _written(table: pyarrow.Table, **options: object) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file, **options)
    return file.getvalue()


def _parts() -> list[bytes]:
    columns = {"index": [0, 0, 1], "input": ["a", "a", "b"], "window": [0, 1, None], "error": [None, None, "no sound"]}
    counts = dict.fromkeys(PartCounts._fields, "1")
    table = pyarrow.table(columns).replace_schema_metadata({**counts, "scenelet": "x", "shard": "0"})
    return [_written(table), _written(table, compression="zstd")]


def _listed() -> list[bytes]:
    schema = pyarrow.schema([pyarrow.field("input", pyarrow.string(), nullable=False)])
    return [_written(pyarrow.table([["a.wav", "b.wav"]], schema))]


def _saved(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def _checkpoints() -> list[bytes]:
    return [encode_checkpoint({"state_dict": STATE, "history": []}), _saved(STATE)]


def _records() -> list[bytes]:
    """Return records, each after a first byte that chooses its reader."""
    choice = {"settings": PruneConfig().model_dump(), "trials": [asdict(FormatTrial("fp16", 0.5, 0.4, 1.0))]}
    figures = {"accuracy": 0.5, "log_loss": 0.3}
    classes = dict.fromkeys(("indoor", "outdoor", "transportation"), figures)
    report = {"macro_accuracy": 0.5, "log_loss": 0.3, "per_class": classes, "model": "m", "model_sha256": "0" * 64}
    report["split"] = "test"
    table = {"title": "t", "data": "d", "rows": [{"name": "a", "settings": {}}]}
    texts = [RUN, MEASURED, RUN, MEASURED, *(json.dumps(value).encode() for value in (choice, report, table))]
    return [bytes([n]) + text for n, text in enumerate([*texts, job()[1].model_dump_json().encode()])]


def _indices() -> list[bytes]:
    line = b'["CLIP", 0, 2]\n["b.wav|124|5", 2, 3]\n'
    return [b"\x05" + line, b"\x02" + line[:-4], b"\x00"]


SEEDS = {
    "checkpoint": _checkpoints,
    "record": _records,
    "cache": _indices,
    "part": _parts,
    "listed": _listed,
}
