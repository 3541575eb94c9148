"""Costs of models that are just within the reader's bounds: `python fuzz/largest_models.py KIND`, one process each.

Each model is a file of some kilobytes with weights of zero. The script prints its size, the processor time to read it
and to classify one window with one thread, and the peak memory, which is about 130 MB without a model.
"""

import hashlib
import json
import math
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from scenelet.config.frontend import FeatureConfig, WindowConfig  # noqa: E402
from scenelet.inference.classifier import Classifier  # noqa: E402
from scenelet.model.codec import compress_bytes  # noqa: E402
from scenelet.model.file import FORMAT_VERSION, MAGIC, decode_model  # noqa: E402

Json = dict[str, Any]
PAPER = FeatureConfig(n_mels=256)


def end(value: str) -> list[Json]:
    """Return a pool, a dense layer and a softmax after a value of two or more channels."""
    linear = {"op": "Linear", "input": "pooled", "output": "logits", "weight": "dense", "bias": "bias"}
    pool = {"op": "GlobalMeanPool", "input": value, "output": "pooled"}
    return [pool, linear, {"op": "Softmax", "input": "logits", "output": "probabilities"}]


def convolutions(count: int, side: int, groups: int) -> tuple[list[Json], dict[str, list[int]]]:
    """Return convolutions of 64 channels that keep the size, and the shapes of their arrays."""
    nodes: list[Json] = []
    for n in range(count):
        first = n == 0
        own = {"weight": "first" if first else "next", "groups": 1 if first else groups}
        read = "log_mel" if first else f"c{n - 1}"
        nodes.append({"op": "Conv", "input": read, "output": f"c{n}", "padding": [side // 2, side // 2], **own})
    arrays = {"first": [64, 2, side, side], "next": [64, 64 // groups, side, side], "dense": [3, 64], "bias": [3]}
    return [*nodes, *end(f"c{count - 1}")], arrays


def model_file(kind: str) -> bytes:
    """Return a file of a kind."""
    features, window = PAPER, WindowConfig()
    if kind == "work":
        nodes, arrays = convolutions(67, 3, 1)
    elif kind == "slow-work":
        nodes, arrays = convolutions(7, 63, 64)
    elif kind == "memory":
        features, window = FeatureConfig(n_mels=1024, n_fft=1024, hop_length=260), WindowConfig(seconds=380)
        relu = {"op": "Relu", "input": "log_mel", "output": "relu"}
        nodes = [relu, {"op": "Add", "inputs": ["relu", "log_mel"], "output": "sum"}, *end("sum")]
        arrays = {"dense": [3, 2], "bias": [3]}
    elif kind == "weights":
        features, window = (
            FeatureConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=16),
            WindowConfig(seconds=0.2),
        )
        wide = {"op": "Linear", "input": "flat", "output": "wide", "weight": "first", "bias": "next"}
        nodes = [
            {"op": "Flatten", "input": "log_mel", "output": "flat"},
            wide,
            {**end("x")[1], "input": "wide"},
            end("x")[2],
        ]
        arrays = {"first": [39900, 416], "next": [39900], "dense": [3, 39900], "bias": [3]}
    else:
        sys.exit("KIND is work, slow-work, memory or weights")
    return sealed(features, window, nodes, arrays)


def sealed(features: FeatureConfig, window: WindowConfig, nodes: list[Json], arrays: dict[str, list[int]]) -> bytes:
    """Return a complete file with weights of zero."""
    section = compress_bytes(bytes(4 * sum(math.prod(shape) for shape in arrays.values())))
    header = {
        "labels": ["a", "b", "c"],
        "features": features.model_dump(),
        "window": window.model_dump(),
        "nodes": nodes,
        "arrays": [{"name": name, "shape": shape, "encoding": "fp32"} for name, shape in arrays.items()],
        "sections": {"fp32.planes": len(section)},
        "counts": {"conv": 0, "conv_kept": 0},
        "provenance": {},
        "results": {},
        "licenses": [],
    }
    plain = json.dumps(header).encode()
    stored = compress_bytes(plain)
    length = 24 + len(stored) + len(section) + 32
    sizes = (FORMAT_VERSION, length, len(stored), len(plain))
    data = MAGIC + b"".join(size.to_bytes(4, "little") for size in sizes) + stored + section
    return data + hashlib.sha256(data).digest()


def main() -> None:
    """Build a file, read it, and classify a window."""
    data = model_file(sys.argv[1] if len(sys.argv) > 1 else "")
    began = time.process_time()
    model = decode_model(data, "model.scn")
    read = time.process_time() - began
    classifier = Classifier(model, threads=1)
    samples = np.random.default_rng(0).normal(0, 0.1, (2, model.window.samples(model.features.sample_rate)))
    began = time.process_time()
    classifier.predict_proba(samples, model.features.sample_rate)
    predicted = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{sys.argv[1]}: {len(data):,} bytes, read in {read:.2f} s, a window in {predicted:.2f} s, {peak:,.0f} MB")


if __name__ == "__main__":
    main()
