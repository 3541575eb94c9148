"""The C header, compiled with the reference program of docs/microcontroller: its answers are the classifier's."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import scenelet.nn
from helpers.tiny_model import changed, model_of, random_network, tiny_model
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.export.c_header import c_header, constant_bytes
from scenelet.inference.classifier import Classifier
from scenelet.model.scene_model import SceneModel
from scenelet.nn.convert import to_scene_model
from scenelet.nn.norm import SubSpectralNorm
from scenelet.nn.standardize import StandardizedNetwork

REFERENCE = Path(__file__).parents[2] / "docs" / "microcontroller" / "reference.c"
COMPILER = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror")
PROBE = """#include "model.h"
typedef char injected; /* another meaning of it, from the header, would be an error */
int main(void) { return model_nodes[0].in[0] + (int)sizeof(injected) - 1; }
"""

Answers = Callable[[np.ndarray], list[tuple[float, str]]]
needs_a_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler: neither cc, gcc nor clang")


def compile_c(folder: Path, *arguments: str | Path) -> Path:
    program = folder / "program"
    assert COMPILER is not None
    command = [COMPILER, *FLAGS, "-I", folder, *arguments, "-o", program, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


def written(model: SceneModel, name: str, folder: Path) -> str:
    """Writes the header; returns what begins its names."""
    text = c_header(model, name)
    (folder / "model.h").write_text(text, encoding="utf-8")
    found = re.search(r"\*const ([a-z_]\w*)_labels\[\]", text, re.ASCII | re.IGNORECASE)
    assert found is not None
    return found[1]


def program(model: SceneModel, folder: Path, name: str = "model") -> Answers:
    """The reference program with the model in it: log-mel of a window -> probability and label, line by line."""
    prefix = written(model, name, folder)
    made = compile_c(folder, f"-DMODEL={prefix}", '-DMODEL_HEADER="model.h"', REFERENCE)

    def run(log_mel: np.ndarray) -> list[tuple[float, str]]:
        done = subprocess.run([made], input=log_mel.astype("<f4").tobytes(), capture_output=True, check=True)
        rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
        return [(float(share), label) for share, label in rows]

    return run


def assert_answers_are_the_classifiers(model: SceneModel, windows: np.ndarray, folder: Path) -> None:
    run = program(model, folder)
    expected = Classifier(model, threads=1).probabilities(windows)
    assert np.ptp(expected, axis=0).max() > 3e-3  # not the same whatever is heard
    for window, row in zip(windows, expected, strict=True):
        found = run(window)
        assert [label for _, label in found] == list(model.labels)
        assert [share for share, _ in found] == pytest.approx(row.tolist(), abs=1e-5)


def normal(mean: float, deviation: float, model: SceneModel, count: int = 3) -> np.ndarray:
    return np.random.default_rng(5).normal(mean, deviation, (count, *model.input_shape)).astype(np.float32)


def random_model(seed: int, dense: bool) -> SceneModel:
    """Its logits are smaller than a random network's, whose probabilities are all rounded to 0 and 1."""
    net = random_network(seed, dense)
    last = [node for node in net.nodes if node.arrays][-1]
    net.arrays[last.arrays[0]] *= np.float32(0.1)
    return model_of(net)


def on_a_grid(array: np.ndarray) -> np.ndarray:
    """Whole numbers up to 127 times a power of two for each row; the first row is zeros."""
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


def broadcasted_model() -> SceneModel:
    """BC-ResNet with every norm different from the others: dilation, groups, SiLU, and sums over frequency."""
    torch.manual_seed(0)
    network = scenelet.nn.create_model("bc_resnet", num_classes=3, width=4, sub_bands=2)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | SubSpectralNorm):
            torch.nn.init.normal_(module.running_mean, std=0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.3)
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.3)
    bands = torch.linspace(-50, -30, 64), torch.linspace(8, 12, 64)
    features = FeatureConfig(sample_rate=8000, channels="mono", n_fft=512, hop_length=160, n_mels=64)
    labels = ("indoor", "outdoor", "transportation")
    return to_scene_model(
        StandardizedNetwork(network, *bands).eval(), labels, features, WindowConfig(seconds=0.2), dtype="fp32"
    )


@needs_a_compiler
def test_the_tiny_model(tmp_path: Path) -> None:
    assert_answers_are_the_classifiers(tiny_model(), normal(-40, 15, tiny_model()), tmp_path)


@needs_a_compiler
@pytest.mark.parametrize(("seed", "dense"), [(0, False), (1, True), (2, False), (3, True), (6, False)])
def test_random_networks(seed: int, dense: bool, tmp_path: Path) -> None:
    model = random_model(seed, dense)
    assert_answers_are_the_classifiers(model, normal(0, 2, model, 8), tmp_path)


@needs_a_compiler
def test_weights_in_int8(tmp_path: Path) -> None:
    model = int8_model()
    assert_answers_are_the_classifiers(model, normal(-40, 15, model), tmp_path)
    text = (tmp_path / "model.h").read_text()
    assert len(re.findall(r"int8_t model_\d+_values\[\]", text)) == 3
    assert len(re.findall(r"int8_t model_\d+_exponents\[\]", text)) == 3
    assert len(re.findall(r"float model_\d+\[\]", text)) == len(model.arrays) - 3
    whole = [array for name, array in model.arrays.items() if model.encodings[name] == "masked_int8"]
    others = sum(array.size for array in model.arrays.values()) - sum(array.size for array in whole)
    assert constant_bytes(model) == sum(array.size + len(array) for array in whole) + 4 * others


@needs_a_compiler
def test_broadcasted_residuals(tmp_path: Path) -> None:
    model = broadcasted_model()
    assert {"FrequencyMeanPool", "Silu", "Linear"} <= {node.op for node in model.nodes}
    windows = np.concatenate([normal(-40, deviation, model, 1) for deviation in (1, 10, 30)])
    assert_answers_are_the_classifiers(model, windows, tmp_path)


@needs_a_compiler
@pytest.mark.parametrize("frames", [12, 14])
def test_an_input_of_another_shape_is_no_answer(frames: int, tmp_path: Path) -> None:
    run = program(tiny_model(), tmp_path)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run(np.zeros((2, 16, frames)))
    assert caught.value.stdout == b""
    assert caught.value.stderr == b"expects 416 float32 numbers: 2 channels x 16 bands x 13 frames\n"


@needs_a_compiler
def test_labels_come_out_as_they_are(tmp_path: Path) -> None:
    labels = ('a "7" \\n one', "what??= ??/ %s%n 7\\", "métro 地铁 é7")
    run = program(changed(tiny_model(), labels=labels), tmp_path)
    assert tuple(label for _, label in run(normal(-40, 15, tiny_model())[0])) == labels


@needs_a_compiler
@pytest.mark.parametrize("name", ["7 segments", "my-model.v2", "int", "métro", "", "a*/b", "a/*b", "scenelet"])
def test_any_name_makes_a_header(name: str, tmp_path: Path) -> None:
    assert len(program(tiny_model(), tmp_path, name)(normal(-40, 15, tiny_model())[0])) == 3


def assert_nothing_got_out_of_a_comment(model: SceneModel, folder: Path) -> None:
    written(model, "model", folder)
    (folder / "main.c").write_text(PROBE)
    assert subprocess.run([compile_c(folder, folder / "main.c")]).returncode == 0


@needs_a_compiler
@pytest.mark.parametrize(
    "license", ["MIT */ int injected = 1;/**", "see /* below", "??/", "**//*/", "ends in *", "é\n//"]
)
def test_a_licence_stays_in_its_comment(license: str, tmp_path: Path) -> None:
    assert_nothing_got_out_of_a_comment(changed(tiny_model(), licenses=[license, license]), tmp_path)


def renamed(model: SceneModel, names: dict[str, str]) -> SceneModel:
    """The model with other names of values and arrays."""
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
def test_a_strangers_names_stay_in_their_comments(name: str, hostile: str, tmp_path: Path) -> None:
    """A `.scn` file of somebody else may give its values and arrays any name that is printable."""
    model = renamed(tiny_model(), {name: hostile})
    model.shapes()  # such a file is read
    assert_nothing_got_out_of_a_comment(model, tmp_path)


@needs_a_compiler
def test_two_models_fit_into_one_program(tmp_path: Path) -> None:
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


def test_every_float_comes_back_as_it_is() -> None:
    model = tiny_model()
    extremes = [0.1, -0.0, 1e-45, 1.17549435e-38, 3.4028235e38, 16777216, 1e10, 123456792, 1 / 3, -2, 1e-5, 65504]
    model.arrays["v0.shift"][: len(extremes), 0] = extremes
    lines = c_header(model, "model").splitlines()
    (start,) = (i for i, line in enumerate(lines) if re.match(r"/\* .*v0\.shift.* 16 x 1 \*/", line))
    texts = lines[start + 2].strip().strip(",").split(", ")
    assert all(re.fullmatch(r"-?\d+(\.\d+|(\.\d+)?e[-+]\d+)f", text) for text in texts)
    found = np.array([np.float32(text.removesuffix("f")) for text in texts])
    assert found.tobytes() == model.arrays["v0.shift"].tobytes()


def test_the_header_says_what_the_model_hears() -> None:
    text = c_header(tiny_model(), "my model")
    for name, number in {"CLASSES": 3, "SAMPLE_RATE": 8000, "SAMPLES": 1600, "NODES": 15, "LARGEST_VALUE": 416}.items():
        assert f"#define MY_MODEL_{name} {number}\n" in text
    comment = text[: text.index("*/")]
    for part in ('"n_fft": 256', '"channels": "stereo"', '"seconds": 0.2', '"CC0-1.0"'):
        assert part in comment


def test_the_same_model_gives_the_same_header() -> None:
    assert c_header(tiny_model(), "model") == c_header(tiny_model(), "model") != c_header(tiny_model(1), "model")
