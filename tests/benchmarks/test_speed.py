"""The speed benchmark: scenelet and the reference compute the same, and the page shows the results."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.speed import agreement, floors, inputs, ours, reference
from benchmarks.speed import bulk_throughput as bulk
from benchmarks.speed.report import markdown
from benchmarks.speed.run import PARTS, ROWS, bench
from benchmarks.speed.timing import one_command
from scenelet.audio.io import info
from scenelet.errors import SceneletError, UsageError
from scenelet.inference.classifier import load
from scenelet.nn import create_model
from scenelet.nn.norm import BatchNorm, SubSpectralNorm

pytestmark = pytest.mark.filterwarnings("ignore:.*(aifc|audioop|sunau):DeprecationWarning")  # librosa's packages


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model and two recordings instead of two hundred, and return their folder."""
    folder = tmp_path_factory.mktemp("benchmarks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "FILES", 2)
        inputs.write_recordings(folder)
    inputs.write_model(folder)
    return folder


@pytest.mark.usefixtures("openvino")
def test_ours_and_reference_compute_the_same(folder: Path) -> None:
    differences = agreement.largest_differences(folder)
    assert set(differences) == {"db_then_mel", "mel_then_db", "file", "file_openvino", "training_same"}
    assert max(differences["db_then_mel"], differences["mel_then_db"]) < 0.02  # decibels, librosa's and our resampling
    probabilities = load(folder / inputs.MODEL).predict(folder / inputs.CLIP).windows
    assert probabilities.max() < 0.95  # if one of them were 1, the others could not differ
    assert differences["file"] < 1e-4
    assert 0 < differences["file_openvino"] < 0.05
    assert differences["training_same"] < 1e-3


@pytest.mark.parametrize(
    "norm", [BatchNorm(6, relu=True), SubSpectralNorm(6, 3), SubSpectralNorm(6, 2, "sub", relu=True)]
)
def test_plain_norm_equals_our_norm(norm: BatchNorm | SubSpectralNorm) -> None:
    with torch.no_grad():
        for value in (norm.weight, norm.bias, norm.running_mean):
            value.uniform_(-1, 1)
    plain = reference.PlainNorm(norm)
    x, residual = torch.randn(2, 6, 12, 5), torch.randn(2, 6, 12, 5)
    for training in (True, False):
        norm.train(training), plain.train(training)
        assert torch.allclose(plain(x, residual), norm(x, residual), atol=1e-5)


def test_plain_network_has_only_plain_norms() -> None:
    network = reference.plain(create_model("shared_resnet", num_classes=3, width=4))
    assert not any(isinstance(module, BatchNorm | SubSpectralNorm) for module in network.modules())
    assert sum(isinstance(module, reference.PlainNorm) for module in network.modules()) == 1 + 2 * 6 + 2 + 2 * 2 * 3 + 1


@pytest.mark.parametrize("row", ["db_then_mel", "file", "folder", "training"])
def test_build_returns_steps_that_run(row: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "BATCH", 2)
    monkeypatch.setattr(inputs, "SHAPE", (2, 256, 64))
    for side in (ours, reference):
        side.build(row, folder)()


def test_one_command_measures_only_the_command() -> None:
    held = np.ones(60_000_000)  # the memory of this process must not count
    small = one_command([sys.executable, "-c", "pass"])
    large = one_command([sys.executable, "-c", "x = bytearray(200_000_000); x[::4096] = x[::4096]"])
    assert held.nbytes > 400e6 > large["bytes"] > 200e6 > small["bytes"]
    with pytest.raises(SceneletError, match=r"failed: .*no way"):
        one_command([sys.executable, "-c", "raise SystemExit('no way')"])


def test_bench_with_an_unknown_part_raises_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'folder'"):
        bench(tmp_path / "out", ["foldr"])
    assert not (tmp_path / "out").exists()


def test_markdown_shows_the_results() -> None:
    row = {"name": "file", "title": "a row", "ours": [1.0, 1.001, 0.9], "reference": [2.9, 2.999, 3.5], "floor": 0.5}
    run = {"seconds": 0.5, "bytes": 2e8}
    found = {
        "command": "python -m benchmarks.speed --out docs",
        "machine": {
            "processor": "p",
            "cores": 2,
            "system": "s",
            "python": "3",
            "packages": {"a": "1"},
            "compiler": True,
        },
        "rounds": 3,
        "floors": {"flops": 9e11, "bytes": 5e10, "macs": 2_268_794_880, "norm_bytes": 100_000_000, "libraries": 0.005},
        "rows": [row, {**row, "name": "int8", "title": "int8 activations"}],
        "differences": dict.fromkeys(("db_then_mel", "mel_then_db", "file", "file_openvino", "training_same"), 1e-5),
        "cold": {"ours": [run], "reference": [run]},
        "long": [{"minutes": 10, **run}],
        "bulk": {
            "command": "python -m benchmarks.speed --only bulk",
            "machine": {"processor": "q", "cores": 2, "system": "s", "python": "3", "packages": {"b": "2"}},
            "model": "esc10",
            "inputs": 1000,
            "cores": 2,
            "seconds": {"ray": [5.0, 4.0, 6.0], "local": [4.499], "ray_alone": [9.4999]},
            "around": {"ray": [1.0, 1.5, 1.2], "local": [0.5], "ray_alone": [1.1]},
        },
        "drift": {"steps": 200, "threads_of_all": 2, "seeds": [{"fast": 1e-3, "threads": 2e-3, "layout": 4e-3}]},
    }
    page = markdown(found)
    assert "| a row | 1.0 (0.9-1.0) | 3.0 (2.9-3.5) | 2.99 | 0.5 | 2.00 |" in page  # 2.999 is not 3
    assert "| int8 activations | 1.0 (0.9-1.0) | 3.0 (2.9-3.5) | 2.99 |\n" in page
    assert "`python -m benchmarks.speed --out docs`" in page
    assert "2,268,794,880" in page
    assert "100 MB a clip" in page
    assert "need 2.0 ms" in page
    assert "| Ray, 2 | 5.0 (4.0-6.0) | 1.2 (1.0-1.5) | 200 |" in page
    assert "has 1.89 times the throughput of Ray on one, and 0.89 of the local" in page
    assert "By `python -m benchmarks.speed --only bulk` on 2 cores of q, s; Python 3, b 2." in page
    assert "| mean | 1.00e-03 | 2.00e-03 | 4.00e-03 |" in page
    assert set(ROWS) < set(PARTS)


def test_bulk_manifest_lists_seconds_of_the_recordings(folder: Path) -> None:
    manifest = bulk.write_manifest(folder, 5)
    assert manifest.read_text().split() == ["path", *(f"seconds/{k:03}.wav" for k in (0, 1, 0, 1, 0))]
    assert all(info(folder / "seconds" / f"{k:03}.wav").seconds == 1 for k in (0, 1))


def test_bench_of_bulk_updates_existing_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = json.loads((Path(__file__).parents[2] / "benchmarks" / "results" / "speed.json").read_text())
    (tmp_path / "speed.json").write_text(json.dumps(page))
    seconds = {"ray": [2.0], "local": [1.0], "ray_alone": [3.0]}
    measured = {"model": "m", "inputs": 10, "cores": 2, "seconds": seconds, "around": seconds}
    monkeypatch.setattr(bulk, "measure", lambda *_: measured)
    monkeypatch.setattr(inputs, "FILES", 0)
    found = bench(tmp_path, ["bulk"], command="this one")
    assert found["bulk"]["command"] == "this one"
    assert {key: value for key, value in found.items() if key != "bulk"} == {
        key: value for key, value in page.items() if key != "bulk"
    }
    assert "Ray on 2 processors has 1.50 times" in (tmp_path / "benchmarks.md").read_text()


def test_work_counts_the_bytes_of_norm_passes(folder: Path) -> None:
    """The bound is that of the widest level, 64 channels of 128 x 216: two norms without a residual, one with."""
    found = floors.work(folder)
    level = 2 * 64 * 128 * 216 * (8 + 8 + 11)
    assert found["macs"] == 2_268_794_880
    assert level < found["norm_bytes"] < 1.6 * level


@pytest.mark.parametrize("row", ["int8", "waveform"])
def test_exported_files_match_their_reference(row: str, folder: Path) -> None:
    found, expected = (np.ravel(side.build(row, folder)()) for side in (ours, reference))
    assert found.shape == expected.shape == (3,)
    assert np.abs(found - expected).max() < (0.1 if row == "int8" else 1e-3)
