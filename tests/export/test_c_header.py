"""The C header: compiled with the reference program of docs/microcontroller, it predicts like the classifier."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import traced_networks
from helpers.tiny_model import changed, model_of, random_network, tiny_model
from helpers.traced_networks import ALL_NETWORKS, LABELS
from scenelet.export.c_header import OPERATIONS, c_header, constant_bytes
from scenelet.inference.classifier import Classifier
from scenelet.model.scene_model import SceneModel
from scenelet.nn.convert import to_scene_model
from scenelet.nn.trace import trace

REFERENCE = Path(__file__).parents[2] / "docs" / "microcontroller" / "reference.c"
COMPILER = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror")
PROBE = """#include "model.h"
typedef char injected; /* another definition in the header is an error */
int main(void) { return model_nodes[0].in[0] + (int)sizeof(injected) - 1; }
"""

Predictor = Callable[[np.ndarray], list[tuple[float, str]]]
needs_a_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler: neither cc, gcc nor clang")


def compile_c(folder: Path, *arguments: str | Path) -> Path:
    program = folder / "program"
    assert COMPILER is not None
    command = [COMPILER, *FLAGS, "-I", folder, *arguments, "-o", program, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


def write_header(model: SceneModel, name: str, folder: Path) -> str:
    """Write the header and return the prefix of its names."""
    text = c_header(model, name)
    (folder / "model.h").write_text(text, encoding="utf-8")
    found = re.search(r"\*const ([a-z_]\w*)_labels\[\]", text, re.ASCII | re.IGNORECASE)
    assert found is not None
    return found[1]


def program(model: SceneModel, folder: Path, name: str = "model") -> Predictor:
    """Compile the reference program; return a function from log-mel to pairs of probability and label."""
    prefix = write_header(model, name, folder)
    made = compile_c(folder, f"-DMODEL={prefix}", '-DMODEL_HEADER="model.h"', REFERENCE)

    def run(log_mel: np.ndarray) -> list[tuple[float, str]]:
        done = subprocess.run([made], input=log_mel.astype("<f4").tobytes(), capture_output=True, check=True)
        rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
        return [(float(probability), label) for probability, label in rows]

    return run


def assert_predicts_like_the_classifier(model: SceneModel, windows: np.ndarray, folder: Path) -> None:
    run = program(model, folder)
    expected = Classifier(model, threads=1).probabilities(windows)
    assert np.ptp(expected, axis=0).max() > 3e-3  # the windows differ
    for window, row in zip(windows, expected, strict=True):
        found = run(window)
        assert [label for _, label in found] == list(model.labels)
        assert [probability for probability, _ in found] == pytest.approx(row.tolist(), abs=1e-5)


def normal(mean: float, std: float, model: SceneModel, count: int = 3) -> np.ndarray:
    return np.random.default_rng(5).normal(mean, std, (count, *model.input_shape)).astype(np.float32)


def random_model(seed: int, dense: bool) -> SceneModel:
    """Build a random model with small logits, so its probabilities are not just 0 and 1."""
    net = random_network(seed, dense)
    last = [node for node in net.nodes if node.arrays][-1]
    net.arrays[last.arrays[0]] *= np.float32(0.1)
    return model_of(net)


def on_a_grid(array: np.ndarray) -> np.ndarray:
    """Round to integers up to 127 times a power of two per row, with zeros in the first row."""
    rows = array.reshape(len(array), -1).copy()
    rows[0] = 0
    largest = np.abs(rows).max(axis=1, keepdims=True)
    step = 2.0 ** np.ceil(np.log2(np.where(largest > 0, largest, 1) / 127))
    return (np.round(rows / step) * step).astype(np.float32).reshape(array.shape)


def int8_model() -> SceneModel:
    model = tiny_model()
    weights = {name: on_a_grid(array) for name, array in model.arrays.items() if name.endswith(".weight")}
    return changed(
        model, arrays=model.arrays | weights, encodings=model.encodings | dict.fromkeys(weights, "masked_int8")
    )


@needs_a_compiler
def test_c_header_of_the_tiny_model_predicts_alike(tmp_path: Path) -> None:
    assert_predicts_like_the_classifier(tiny_model(), normal(-40, 15, tiny_model()), tmp_path)


@needs_a_compiler
@pytest.mark.parametrize(("seed", "dense"), [(0, False), (1, True), (2, False), (3, True), (6, False)])
def test_c_header_of_random_networks_predicts_alike(seed: int, dense: bool, tmp_path: Path) -> None:
    model = random_model(seed, dense)
    assert_predicts_like_the_classifier(model, normal(0, 2, model, 8), tmp_path)


@needs_a_compiler
def test_c_header_of_int8_weights_predicts_alike(tmp_path: Path) -> None:
    model = int8_model()
    assert_predicts_like_the_classifier(model, normal(-40, 15, model), tmp_path)
    text = (tmp_path / "model.h").read_text()
    assert len(re.findall(r"int8_t model_\d+_values\[\]", text)) == 3
    assert len(re.findall(r"int8_t model_\d+_exponents\[\]", text)) == 3
    assert len(re.findall(r"float model_\d+\[\]", text)) == len(model.arrays) - 3
    integers = [array for name, array in model.arrays.items() if model.encodings[name] == "masked_int8"]
    others = sum(array.size for array in model.arrays.values()) - sum(array.size for array in integers)
    assert constant_bytes(model) == sum(array.size + len(array) for array in integers) + 4 * others


@needs_a_compiler
@pytest.mark.parametrize("settings", ALL_NETWORKS, ids=str)
def test_c_header_of_every_network_predicts_alike(settings: dict[str, Any], tmp_path: Path) -> None:
    network = traced_networks.random_network(**settings)
    model = to_scene_model(network, LABELS, traced_networks.FEATURES, traced_networks.WINDOW, dtype="fp32")
    windows = np.concatenate([normal(-40, std, model, 1) for std in (1, 10, 30)])
    assert_predicts_like_the_classifier(model, windows, tmp_path)


def test_all_networks_have_every_operation() -> None:
    nodes = [node for settings in ALL_NETWORKS for node in trace(traced_networks.random_network(**settings))[0]]
    assert {node.op for node in nodes} == set(OPERATIONS) - {"Flatten"}


@needs_a_compiler
@pytest.mark.parametrize("frames", [12, 14])
def test_reference_program_refuses_an_input_of_another_shape(frames: int, tmp_path: Path) -> None:
    run = program(tiny_model(), tmp_path)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run(np.zeros((2, 16, frames)))
    assert caught.value.stdout == b""
    assert caught.value.stderr == b"expects 416 float32 numbers: 2 channels x 16 bands x 13 frames\n"


@needs_a_compiler
def test_c_header_keeps_labels_in_any_script(tmp_path: Path) -> None:
    labels = ('a "7" \\n one', "what??= ??/ %s%n 7\\", "métro 地铁 é7")
    run = program(changed(tiny_model(), labels=labels), tmp_path)
    assert tuple(label for _, label in run(normal(-40, 15, tiny_model())[0])) == labels


@needs_a_compiler
@pytest.mark.parametrize("name", ["7 segments", "my-model.v2", "int", "métro", "", "a*/b", "a/*b", "scenelet"])
def test_c_header_accepts_any_name(name: str, tmp_path: Path) -> None:
    assert len(program(tiny_model(), tmp_path, name)(normal(-40, 15, tiny_model())[0])) == 3


def assert_comments_are_closed(model: SceneModel, folder: Path) -> None:
    write_header(model, "model", folder)
    (folder / "main.c").write_text(PROBE)
    assert subprocess.run([compile_c(folder, folder / "main.c")]).returncode == 0


@needs_a_compiler
@pytest.mark.parametrize(
    "license", ["MIT */ int injected = 1;/**", "see /* below", "??/", "**//*/", "ends in *", "é\n//"]
)
def test_c_header_keeps_licenses_in_comments(license: str, tmp_path: Path) -> None:
    assert_comments_are_closed(changed(tiny_model(), licenses=[license, license]), tmp_path)


def renamed(model: SceneModel, names: dict[str, str]) -> SceneModel:
    """Return the model with other names of values and arrays."""
    fields = ("input", "output", "weight", "scale", "shift", "bias")
    nodes = []
    for node in model.nodes:
        held = {field: value for field in fields if isinstance(value := getattr(node, field, None), str)}
        changes = {field: names.get(value, value) for field, value in held.items()}
        if node.op == "Add":
            changes["inputs"] = tuple(names.get(value, value) for value in node.inputs)
        nodes.append(node.model_copy(update=changes))
    arrays = {names.get(name, name): array for name, array in model.arrays.items()}
    encodings = {names.get(name, name): encoding for name, encoding in model.encodings.items()}
    return changed(model, nodes=tuple(nodes), arrays=arrays, encodings=encodings)


@needs_a_compiler
@pytest.mark.parametrize("hostile", ["*/int/**/injected=1;/*", "a/*b"])
@pytest.mark.parametrize("name", ["v4", "v5.scale"], ids=["value", "array"])
def test_c_header_keeps_any_names_in_comments(name: str, hostile: str, tmp_path: Path) -> None:
    """A `.scn` file may give its values and arrays any printable name."""
    model = renamed(tiny_model(), {name: hostile})
    model.shapes()  # a reader accepts such a file
    assert_comments_are_closed(model, tmp_path)


@needs_a_compiler
def test_c_headers_of_two_models_compile_together(tmp_path: Path) -> None:
    (tmp_path / "first.h").write_text(c_header(tiny_model(), "first"))
    (tmp_path / "second.h").write_text(c_header(random_model(1, dense=True), "second"))
    sizes = "FIRST_NODES == sizeof first_nodes / sizeof *first_nodes && SECOND_CLASSES == 3"
    lines = [
        '#include "first.h"',
        '#include "second.h"',
        '#include "first.h"',
        f"int main(void) {{ return !({sizes}); }}",
    ]
    (tmp_path / "main.c").write_text("\n".join(lines) + "\n")
    assert subprocess.run([compile_c(tmp_path, tmp_path / "main.c")]).returncode == 0


def test_c_header_floats_are_exact() -> None:
    model = tiny_model()
    extremes = [0.1, -0.0, 1e-45, 1.17549435e-38, 3.4028235e38, 16777216, 1e10, 123456792, 1 / 3, -2, 1e-5, 65504]
    model.arrays["v0.shift"][: len(extremes), 0] = extremes
    lines = c_header(model, "model").splitlines()
    (start,) = (i for i, line in enumerate(lines) if re.match(r"/\* .*v0\.shift.* 16 x 1 \*/", line))
    texts = lines[start + 2].strip().strip(",").split(", ")
    assert all(re.fullmatch(r"-?\d+(\.\d+|(\.\d+)?e[-+]\d+)f", text) for text in texts)
    found = np.array([np.float32(text.removesuffix("f")) for text in texts])
    assert found.tobytes() == model.arrays["v0.shift"].tobytes()


def test_c_header_has_sizes_and_settings() -> None:
    text = c_header(tiny_model(), "my model")
    for name, number in {"CLASSES": 3, "SAMPLE_RATE": 8000, "SAMPLES": 1600, "NODES": 15, "LARGEST_VALUE": 416}.items():
        assert f"#define MY_MODEL_{name} {number}\n" in text
    comment = text[: text.index("*/")]
    for part in ('"n_fft": 256', '"channels": "stereo"', '"seconds": 0.2', '"CC0-1.0"'):
        assert part in comment


def test_c_header_is_deterministic() -> None:
    assert c_header(tiny_model(), "model") == c_header(tiny_model(), "model") != c_header(tiny_model(1), "model")
