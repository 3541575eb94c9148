"""The network in C: the same answers as in Python, with several compilers and on an emulated Cortex-M."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.c_network import load, write_sources
from helpers.c_programs import require, run
from helpers.fused_networks import INT8_NETWORKS, INT8_SEEDS, noise, quantized, random_model, traced_model, windows_of
from helpers.tiny_model import changed, tiny_model
from helpers.traced_networks import ALL_NETWORKS
from scenelet.export.c.golden_network import golden_window
from scenelet.export.c.memory_plan import MemoryPlan, plan_memory
from scenelet.export.c.network import network_files
from scenelet.export.c.project import write_project
from scenelet.export.fused.fuse import fuse
from scenelet.export.fused.layers import FusedNetwork
from scenelet.export.fused.run_int8 import run_int8
from scenelet.inference.classifier import Classifier
from scenelet.model.ops import INPUT, OUTPUT, Linear
from scenelet.model.scene_model import SceneModel
from scenelet.model.temperature import scale_logits

COMPILERS = ["gcc", "clang"]
ARM = ("make", "arm-none-eabi-gcc", "qemu-system-arm")


def values_in(arena: np.ndarray, network: FusedNetwork, plan: MemoryPlan) -> list[np.ndarray]:
    """Return the logits and the probabilities."""
    names = network.layers[-1].reads[0], OUTPUT
    return [arena[plan.offsets[name] :][: network.shapes[name][2]] for name in names]


def check_int8(model: SceneModel, folder: Path, compiler: str) -> None:
    """Compare the C program with the reference, with two contents of the arena before the run."""
    network = quantized(model)
    write_sources(model, network, folder)
    run_window = load(folder, compiler, np.int8)
    plan, logits = plan_memory(network.network), network.network.layers[-1].reads[0]
    windows = windows_of(network, noise(model))
    expected = [run_int8(network, window) for window in windows]
    assert np.ptp([values[logits] for values in expected], axis=0).max() > 2  # the windows differ
    for window, values in zip(windows, expected, strict=True):
        for poison in (0x55, 0x80):
            found = values_in(run_window(window, poison), network.network, plan)
            np.testing.assert_array_equal(found, [values[logits].ravel(), values[OUTPUT].ravel()])


def check_float(model: SceneModel, folder: Path, compiler: str) -> None:
    write_sources(model, None, folder)
    run_window = load(folder, compiler, np.float32)
    network, log_mels = fuse(model), noise(model)
    plan = plan_memory(network)
    expected = Classifier(model, threads=1).probabilities(log_mels)
    assert np.ptp(expected, axis=0).max() > 3e-3  # the windows differ
    for log_mel, row in zip(log_mels, expected, strict=True):
        found = values_in(run_window(log_mel.transpose(1, 2, 0)), network, plan)
        np.testing.assert_allclose(found[1], row, atol=1e-5)
        poisoned = run_window(log_mel.transpose(1, 2, 0), 0xFF)  # not a number
        np.testing.assert_array_equal(values_in(poisoned, network, plan), found)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("settings", INT8_NETWORKS, ids=str)
def test_int8_equals_the_reference(settings: dict[str, Any], compiler: str, tmp_path: Path) -> None:
    check_int8(traced_model(settings), tmp_path, compiler)


@pytest.mark.parametrize("seed", INT8_SEEDS)
def test_int8_of_a_random_network_equals_the_reference(seed: int, tmp_path: Path) -> None:
    check_int8(random_model(seed), tmp_path, COMPILERS[seed % 2])


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("settings", ALL_NETWORKS, ids=str)
def test_float_predicts_like_the_classifier(settings: dict[str, Any], compiler: str, tmp_path: Path) -> None:
    check_float(traced_model(settings), tmp_path, compiler)


@pytest.mark.parametrize("seed", [*INT8_SEEDS, 1, 4])
def test_float_of_a_random_network_predicts_like_the_classifier(seed: int, tmp_path: Path) -> None:
    check_float(random_model(seed), tmp_path, COMPILERS[seed % 2])


def test_float_uses_the_integers_of_the_model(tmp_path: Path) -> None:
    model = random_model(2)
    weights = {name: on_a_grid(array) for name, array in model.arrays.items() if name.endswith(".weight")}
    encodings = model.encodings | dict.fromkeys(weights, "masked_int8")
    check_float(changed(model, arrays=model.arrays | weights, encodings=encodings), tmp_path, "gcc")
    source = (tmp_path / "model_network.c").read_text()
    assert len(re.findall(r"static const int8_t", source)) > len(weights)  # and the ones of the standardization


@pytest.mark.parametrize("settings", [ALL_NETWORKS[2], ALL_NETWORKS[3], ALL_NETWORKS[8]], ids=str)
def test_calibrated_network_predicts_like_the_classifier(settings: dict[str, Any], tmp_path: Path) -> None:
    """A dense layer takes in the temperature. After a mean, the temperature is a layer."""
    model = traced_model(settings)
    biases = {node.bias: np.float32([0.5, -0.4, 0.2]) for node in model.nodes if isinstance(node, Linear)}
    calibrated = scale_logits(changed(model, arrays=model.arrays | biases), 1.7)
    for check in (check_float, check_int8):
        folder = tmp_path / check.__name__
        folder.mkdir()
        check(calibrated, folder, "gcc")
    extra = len(fuse(calibrated).layers) - len(fuse(model).layers)
    assert extra == (0 if settings["name"] == "bc_resnet" else 1)


def on_a_grid(array: np.ndarray) -> np.ndarray:
    """Round to integers up to 127 times a power of two per row."""
    rows = array.reshape(len(array), -1)
    step = 2.0 ** np.ceil(np.log2(np.abs(rows).max(axis=1, keepdims=True) / 127))
    return (np.round(rows / step) * step).astype(np.float32).reshape(array.shape)


@pytest.mark.parametrize("kind", ["int8", "float"])
@pytest.mark.parametrize("seed", [5, 8])
def test_golden_vectors_with_sanitizers(seed: int, kind: str, tmp_path: Path) -> None:
    require("make", "gcc")
    model = random_model(seed)
    write_project(model, "a model", tmp_path, "c", quantized(model) if kind == "int8" else None)
    build = "make", "-C", tmp_path, "CC=gcc", "CFLAGS=-O1 -fsanitize=address,undefined", "test_network"
    run(*build)
    assert "network: correct" in run(tmp_path / "test_network")
    golden = tmp_path / "golden_network.h"
    first = re.search(r"\{\n    (\S+),", golden.read_text())
    assert first is not None
    golden.write_text(golden.read_text().replace(first[1], "-100", 1))
    run(*build)
    with pytest.raises(AssertionError, match="network: WRONG"):
        run(tmp_path / "test_network")


@pytest.mark.parametrize("kind", ["int8", "float"])
def test_golden_vectors_on_emulated_processors(kind: str, tmp_path: Path) -> None:
    require(*ARM)
    model = traced_model(INT8_NETWORKS[2])
    write_project(model, "a model", tmp_path, "c", quantized(model) if kind == "int8" else None)
    output = run("make", "-C", tmp_path, "qemu")
    assert output.count("network: correct") == 2
    assert len(re.findall(r"\d+ ticks", output)) == 2 * 3


@pytest.mark.parametrize("kind", ["int8", "float"])
def test_cpp_programs_can_include_the_header(kind: str, tmp_path: Path) -> None:
    require("g++")
    model = random_model(0)
    write_sources(model, quantized(model) if kind == "int8" else None, tmp_path)
    program = '#include "scenelet_network.h"\nint main() { return *scenelet_labels[0] && SCENELET_ARENA ? 0 : 1; }\n'
    (tmp_path / "main.cpp").write_text(program)
    run("g++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", tmp_path / "main.cpp")


def test_quantize_rounds_like_python(tmp_path: Path) -> None:
    model = random_model(0)
    network = quantized(model)
    write_sources(model, network, tmp_path)
    probe = """#include <stdio.h>
#include "scenelet_network.h"
int main(void) { for (int db = -1500; db < 500; db++) printf("%d\\n", scenelet_quantize(db * 11, 8)); return 0; }
"""
    (tmp_path / "probe.c").write_text(probe)
    require("gcc")
    sources = [*tmp_path.glob("scenelet_*.c"), tmp_path / "model_network.c"]
    run("gcc", "-std=c99", tmp_path / "probe.c", *sources, "-o", tmp_path / "probe")
    found = np.int64(run(tmp_path / "probe").split())
    numbers = np.float32(np.arange(-1500, 500) * 11 / 256)
    np.testing.assert_array_equal(found, network.values[INPUT].quantize(numbers))


def test_labels_in_any_script_are_kept(tmp_path: Path) -> None:
    labels = ('a "7" \\n one', "what??= ??/ %s%n 7\\", "métro 地铁 é7")
    write_sources(changed(tiny_model(), labels=labels), None, tmp_path)
    printer = (
        '#include <stdio.h>\n#include "scenelet_network.h"\nint main(void) { puts(scenelet_labels[%d]); return 0; }'
    )
    require("gcc")
    for index, label in enumerate(labels):
        (tmp_path / "print.c").write_text(printer % index)
        sources = [*tmp_path.glob("scenelet_*.c"), tmp_path / "model_network.c"]
        run("gcc", "-std=c99", tmp_path / "print.c", *sources, "-o", tmp_path / "print", "-lm")
        assert run(tmp_path / "print") == label + "\n"


def test_sub_bands_with_equal_integers_share_them() -> None:
    network = quantized(traced_model(INT8_NETWORKS[2]))
    source = network_files(traced_model(INT8_NETWORKS[2]), network)["model_network.c"]
    tables = re.findall(r"static const int8_t int8_\d+\[\] = \{([^}]*)\}", source)
    assert len(set(tables)) == len(tables)
    bands = [layer for layer in network.convs.values() if len(layer.weights) > 1]
    assert bands
    assert source.count("static const uint8_t") <= sum(len(set(map(id, each.weights))) > 1 for each in bands)


def test_golden_windows_use_all_of_the_range() -> None:
    windows = [golden_window(index, (64, 40, 2)) for index in range(3)]
    assert {int(window.min()) for window in windows} <= set(range(4))
    assert {int(window.max()) for window in windows} <= set(range(250, 255))
    assert not np.array_equal(windows[0], windows[1])
