"""The speed benchmark: scenelet and the reference compute the same, and the page shows the results."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.speed import agreement, floors, inputs, instruction_sets, networks, ours, reference, run
from benchmarks.speed import bulk_throughput as bulk
from benchmarks.speed.plain_network import PlainNorm, plain
from benchmarks.speed.report import markdown
from benchmarks.speed.rows import ROWS
from benchmarks.speed.run import PARTS, bench
from benchmarks.speed.timing import Side, in_turn, one_command
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
    inputs.write_benchmark_model(folder)
    return folder


@pytest.mark.usefixtures("openvino")
def test_ours_and_reference_compute_the_same(folder: Path) -> None:
    differences = agreement.largest_differences(folder, ("onnxruntime", "openvino"))
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
    separate = PlainNorm(norm)
    x, residual = torch.randn(2, 6, 12, 5), torch.randn(2, 6, 12, 5)
    for training in (True, False):
        norm.train(training), separate.train(training)
        assert torch.allclose(separate(x, residual), norm(x, residual), atol=1e-5)


def test_plain_network_has_only_plain_layers() -> None:
    network = plain(create_model("shared_resnet", num_classes=3, width=4))
    assert not any(isinstance(module, BatchNorm | SubSpectralNorm) for module in network.modules())
    assert sum(isinstance(module, PlainNorm) for module in network.modules()) == 1 + 2 * 6 + 2 + 2 * 2 * 3 + 1


def test_plain_network_has_no_convolutions_of_our_own() -> None:
    class OwnConv2d(nn.Conv2d):
        pass

    network = plain(nn.Sequential(OwnConv2d(1, 2, 3), OwnConv2d(2, 3, 1, bias=False)))
    assert [type(layer) for layer in network] == [nn.Conv2d, nn.Conv2d]  # type: ignore[arg-type]
    assert network(torch.ones(1, 1, 4, 4)).shape == (1, 3, 2, 2)


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


MACHINE = {
    "processor": "p",
    "instructions": "AVX-512 with bf16",
    "cores": 2,
    "system": "s",
    "python": "3",
    "packages": {"a": "1"},
    "compiler": True,
}
MAIN = {"command": "python -m benchmarks.speed --out docs", "machine": MACHINE, "rounds": 3}
TIMES = {"ours": [1.0, 1.001, 0.9], "reference": [2.9, 2.999, 3.5], "default": [4.0], "floor": [0.5]}
STEPS = {"ours fp32": [4.0], "plain fp32": [5.999]}


def results() -> dict[str, Any]:
    """Return the content of `speed.json` after a run of some parts on a machine with two instruction sets."""
    floors = {"flops": 9e11, "bytes": 5e10, "macs": 2_268_794_880, "norm_bytes": 100_000_000}
    floors |= {"libsndfile": 0.004, "soxr": 0.002, "scipy": 0.001, "our_reader": 0.0015}
    differences = dict.fromkeys(("db_then_mel", "mel_then_db", "file", "training_same"), 1e-5)
    limits = {"floors": floors, "differences": differences}
    both = {"avx2": TIMES, "best": TIMES}
    steps = {f"{name} {threads}": STEPS for name in networks.NETWORKS for threads in networks.THREADS}
    best = {name: {**times, "ours bf16": [2.0], "plain bf16": [1.0]} for name, times in steps.items()}
    once = {"seconds": 0.5, "bytes": 2e8}
    return {
        "limits": {"run": MAIN, "avx2": limits, "best": limits},
        "training": {"run": MAIN, **both},
        "file": {"run": MAIN, **both},
        "int8": {"run": MAIN, "best": TIMES},
        "networks": {"run": MAIN, "avx2": steps, "best": best},
        "cold": {"run": MAIN, "ours": [once], "reference": [once]},
        "long": {"run": MAIN, "runs": [{"minutes": 10, **once}]},
        "bulk": {
            "run": {"command": "python -m benchmarks.speed --only bulk", "machine": MACHINE | {"processor": "q"}},
            "model": "esc10",
            "inputs": 1000,
            "cores": 2,
            "seconds": {"ray": [5.0, 4.0, 6.0], "local": [4.499], "ray_alone": [9.4999]},
            "around": {"ray": [1.0, 1.5, 1.2], "local": [0.5], "ray_alone": [1.1]},
        },
        "drift": {
            "run": MAIN,
            "steps": 200,
            "threads_of_all": 2,
            "seeds": [{"fast": 1e-3, "threads": 2e-3, "layout": 0}],
        },
    }


def test_markdown_shows_the_results() -> None:
    page = markdown(results())
    first, best = page[page.index("## AVX2") :].split("## AVX-512 with bf16", 1)
    cells = "1.0 (0.9-1.0) | 3.0 (2.9-3.5)"
    assert f"| training step, against CP-ResNet's | {cells} | 2.99 | 4.0 (4.0-4.0) | 0.5 | 2.00 |" in first  # no 3
    assert f"| 10 s file to probabilities, ONNX Runtime * | {cells} | - | 4.0 (4.0-4.0) | 0.5 | - |" in first
    assert f"| 10 s file to probabilities, ONNX Runtime | {cells} | 2.99 | 4.0 (4.0-4.0) | 0.5 | 2.00 |" in best
    assert "ONNX Runtime cannot" in first
    assert "ONNX Runtime cannot" not in best
    assert f"| log-mel to probabilities, int8 activations (QDQ) against fp32 | {cells} | 2.99 |\n" in page
    assert (
        "Written by `python -m benchmarks.speed --out docs` on 2 cores of p, s; Python 3, a 1; layers compiled" in page
    )
    assert "2,268,794,880" in page
    assert "move 100 MB a clip" in page
    assert "2.0 ms in bf16" in page
    assert "libsndfile takes 4.0 ms, soxr 2.0 ms and SciPy 1.0 ms" in page
    assert "| Ray, 2 | 5.0 (4.0-6.0) | 1.2 (1.0-1.5) | 200 |" in page
    assert "has 1.89 times the throughput of Ray on one, and 0.89 of the local" in page
    assert page.count("on 2 cores of q") == 1
    assert "| mean | 1.00e-03 | 2.00e-03 | 0.00e+00 |" in page
    assert set(ROWS) < set(PARTS)


def test_markdown_compares_networks_in_each_precision() -> None:
    page = markdown(results())
    assert "| BC-ResNet, width 38 | 2 | 4.0 | 6.0 | 1.49 |\n" in page
    assert "| BC-ResNet, width 38 | 2 | 4.0 | 6.0 | 2.0 | 1.0 | 1.49 | 2.99 | 0.50 |\n" in page


def test_markdown_of_one_instruction_set_has_no_avx2_table() -> None:
    found = {name: {key: value for key, value in part.items() if key != "avx2"} for name, part in results().items()}
    assert "## AVX2" not in markdown(found)


def test_a_limited_process_computes_with_avx2() -> None:
    """On a machine without AVX-512 this holds in any case."""
    code = (
        "from benchmarks.speed import instruction_sets as i; import numpy as np;"
        "from scenelet.training.precision import has_native_bf16;"
        "found = np.show_config(mode='dicts')['SIMD Extensions']['found'];"
        "print(i.has_avx512(), has_native_bf16(), any('512' in name for name in found), list(i.environments()))"
    )
    environment = os.environ | instruction_sets.limit_to_avx2()
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=2)[:2] == ["False", "False"]
    assert "['best']" in done.stdout


def test_in_turn_times_every_side(folder: Path) -> None:
    sides = {"ours": Side("ours", "db_then_mel"), "floor": Side("floors", "db_then_mel", "default")}
    found = in_turn(sides, folder, rounds=2, runs=1, environment={})
    assert {name: len(seconds) for name, seconds in found.items()} == {"ours": 2, "floor": 2}
    assert min(map(min, found.values())) > 0


@pytest.mark.parametrize("side", ["ours", "plain"])
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_steps_of_networks_change_the_weights(side: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = networks.NETWORKS[name]
    frames = network.shape[3] if name == "dcase2020_baseline" else 32
    monkeypatch.setitem(networks.NETWORKS, name, network._replace(shape=(2, *network.shape[1:3], frames)))
    built = []
    create = networks.create_model
    monkeypatch.setattr(networks, "create_model", lambda *a, **k: built.append(create(*a, **k)) or built[0])
    step = networks.build(f"{side} {name} bf16 {torch.get_num_threads()}", Path())
    before = [p.detach().clone() for p in built[0].parameters()]
    step()
    assert not all(torch.equal(*pair) for pair in zip(before, built[0].parameters(), strict=True))


def test_bulk_manifest_lists_seconds_of_the_recordings(folder: Path) -> None:
    manifest = bulk.write_manifest(folder, 5)
    assert manifest.read_text().split() == ["path", *(f"seconds/{k:03}.wav" for k in (0, 1, 0, 1, 0))]
    assert all(info(folder / "seconds" / f"{k:03}.wav").seconds == 1 for k in (0, 1))


def test_bench_replaces_only_the_measured_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = results()
    (tmp_path / "speed.json").write_text(json.dumps(before))
    seconds = {"ray": [2.0], "local": [1.0], "ray_alone": [3.0]}
    measured = {"model": "m", "inputs": 10, "cores": 2, "seconds": seconds, "around": seconds}
    monkeypatch.setitem(run.PARTS, "bulk", lambda *_: measured)
    monkeypatch.setattr(inputs, "FILES", 0)
    found = bench(tmp_path, ["bulk"], command="this one")
    assert found["bulk"]["run"]["command"] == "this one"
    assert {**found, "bulk": 0} == {**before, "bulk": 0}
    assert json.loads((tmp_path / "speed.json").read_text()) == found
    assert "Ray on 2 processors has 1.50 times" in (tmp_path / "benchmarks.md").read_text()


def test_published_results_make_a_page() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "speed.json"
    assert "## Bulk prediction" in markdown(json.loads(path.read_text()))


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
