"""Exported C programs: they compile in every layout, and their answers are those of Python."""

import dataclasses
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest

import scenelet
from helpers import traced_networks
from helpers.board_stubs import ARDUINO, ESP_IDF
from helpers.c_programs import require, run
from helpers.fused_networks import quantized, traced_model
from scenelet.audio.io import blocks
from scenelet.errors import OutputError
from scenelet.export.c.project import project_files, write_project
from scenelet.inference.stream import PredictionSmoother, StreamPrediction
from scenelet.model.pretrained import example

HELPERS = Path(__file__).parents[2] / "helpers"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]


@pytest.fixture(scope="module")
def model():
    return traced_model({"name": "bc_resnet", "width": 8, "sub_bands": 2, "blocks": 1})


def write_texts(folder, texts):
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


@pytest.mark.parametrize("channels", ["mono", "stereo"])
@pytest.mark.parametrize(
    ("layout", "command", "stubs", "source"),
    [
        ("arduino", ["g++", "-std=c++17", "-include", "Arduino.h", "-x", "c++"], ARDUINO, "examples/Listen/Listen.ino"),
        ("esp-idf", ["gcc", "-std=gnu17"], ESP_IDF, "main/main.c"),
    ],
)
def test_the_example_compiles(tmp_path, model, layout, command, stubs, source, channels):
    require(command[0])
    write_project(model, "a model", tmp_path, layout, quantized(model))
    library = tmp_path / ("src" if layout == "arduino" else "components/scenelet")
    if channels == "mono":  # the functions are not run, so the other constants do not matter
        header = library / "model_frontend.h"
        header.write_text(header.read_text().replace("SCENELET_CHANNELS 2", "SCENELET_CHANNELS 1"))
    write_texts(tmp_path / "stubs", stubs)
    run(*command, *WARNINGS, "-fsyntax-only", f"-I{tmp_path / 'stubs'}", f"-I{library}", tmp_path / source)


def test_a_component_lists_all_its_sources(model):
    files = project_files(model, "a model", "esp-idf", quantized(model))
    listed = files["components/scenelet/CMakeLists.txt"]
    sources = [path for path in files if path.startswith("components/") and path.endswith(".c")]
    assert len(sources) == 10
    assert all(f'"{Path(path).name}"' in listed for path in sources)


def test_a_board_gets_no_programs_for_a_pc(model):
    files = project_files(model, "a model", "arduino")
    assert not [path for path in files if "main(void)" in files[path]]


def test_labels_cannot_break_the_properties_of_a_library(model):
    odd = traced_model({"name": "cp_mobile", "width": 16})
    object.__setattr__(odd, "labels", ("dog\nname=other", "Hahn (krähend)", "c"))
    properties = project_files(odd, "a model", "arduino")["library.properties"].splitlines()
    assert [line.partition("=")[0] for line in properties].count("name") == 1
    assert "Sound classifier: dog?name=other, Hahn (kr?hend), c." in properties[4]


def test_labels_stay_text_in_the_readme(model):
    odd = dataclasses.replace(model, labels=("<img src=x>", "[a](b)", "c"), licenses=["`x` <b>"])
    text = project_files(odd, "a *model*", "c")["README.md"]
    assert not any(part in text for part in ("<img", "[a](b)", "<b>", "*model*"))
    assert "&lt;img src=x>, &#91;a](b), c." in text


@pytest.mark.parametrize("int8", [True, False])
@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_the_plain_folder_passes_its_own_test(tmp_path, model, int8, name):
    require(name)
    write_project(model, "a model", tmp_path, "c", quantized(model) if int8 else None)
    # the sanitizers of clang are a package of their own
    options = "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all" if name == "gcc" else "-O2"
    printed = run("make", "-C", str(tmp_path), "test", "listen", f"CC={name}", f"CFLAGS={options}")
    assert "network: correct" in printed
    assert printed.count("front end in") == 2


def test_an_export_replaces_the_network_of_another_number_format(tmp_path, model):
    write_project(model, "a model", tmp_path, "c", None)
    assert (tmp_path / "scenelet_conv_float.c").exists()
    write_project(model, "a model", tmp_path, "c", quantized(model))
    assert not list(tmp_path.glob("*_float.c"))
    assert (tmp_path / "scenelet_conv_int8.c").exists()


def test_an_export_replaces_no_file_of_the_user(tmp_path, model):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(OutputError, match=r"has files that the export would replace \(README\.md\); give another"):
        write_project(model, "a model", tmp_path, "c")
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize(("layout", "example"), [("arduino", "examples/Listen/Listen.ino"), ("esp-idf", "main/main.c")])
def test_a_second_export_keeps_the_edited_example(tmp_path, model, layout, example):
    assert write_project(model, "a model", tmp_path, "c") == []
    assert write_project(model, "a model", tmp_path, layout) == []
    assert write_project(model, "a model", tmp_path, layout) == []
    text = (tmp_path / example).read_text().replace("_PIN", "_NUMBER")
    (tmp_path / example).write_text(text)
    assert write_project(model, "another", tmp_path, layout) == [tmp_path / example]
    assert (tmp_path / example).read_text() == text
    assert "another" in (tmp_path / "README.md").read_text()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, model):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_project(model, "a model", tmp_path / "file", "c")


@pytest.mark.parametrize(("hop", "frames"), [(16_384, 64), (1, 1)])
def test_answers_are_those_of_the_smoother_in_python(tmp_path, model, hop, frames):
    """Windows are whole frames apart, also if the hop is shorter than a frame."""
    require("cc")
    write_texts(tmp_path, project_files(model, "a model", "c"))
    program = str(tmp_path / "probe")
    probe = str(HELPERS / "answer_probe.c")
    run("cc", "-std=c99", *WARNINGS, f"-I{tmp_path}", probe, str(tmp_path / "scenelet.c"), "-o", program, "-lm")
    rng = np.random.default_rng(0)
    rows = rng.dirichlet([0.4, 0.4, 0.4], 300).astype(np.float32)
    rows[rng.random(300) < 0.1] = 0  # silence
    smoother = PredictionSmoother(("a", "b", "c"), (0.4, 0.6, math.inf))
    seconds = frames * model.features.hop_length / model.features.sample_rate
    expected = [smoother.update(StreamPrediction(seconds * index, row)) for index, row in enumerate(rows)]
    lines = ["silence" if not row.any() else " ".join(f"{value:.9g}" for value in row) for row in rows]
    printed = subprocess.run(
        [program, str(hop)], input="\n".join(lines), capture_output=True, text=True, check=True
    ).stdout
    found = [line.split() for line in printed.splitlines()]
    assert [label for label, _, _ in found] == [answer.label or "unsure" for answer in expected]
    assert {label for label, _, _ in found} == {"a", "b", "unsure", "silence"}
    assert [changed == "1" for _, _, changed in found] == [answer.changed for answer in expected]
    np.testing.assert_allclose([float(p) for _, p, _ in found], [answer.confidence for answer in expected], atol=2e-6)


@pytest.mark.parametrize("fixed_point", [0, 1])
def test_the_built_in_model_hears_a_real_recording(tmp_path, fixed_point):
    require("cc")
    classifier = scenelet.load("esc10", threads=1)
    recording, rate = next(iter(blocks(example("esc10"))))
    assert rate == classifier.model.features.sample_rate
    # ranges of every value from the recording itself; any others would do for a clear answer
    from scenelet.export.fused.fuse import fuse
    from scenelet.export.fused.int8_network import quantize_network
    from scenelet.export.fused.value_ranges import value_ranges

    network = fuse(classifier.model)
    log_mels = list(classifier.log_mel_windows(example("esc10")))
    int8 = quantize_network(network, value_ranges(classifier.model, network.shapes, log_mels))
    write_project(classifier.model, "esc10", tmp_path, "c", int8)
    run("make", "-C", str(tmp_path), "listen", f"FIXED_POINT={fixed_point}")
    samples = np.tile(np.clip(np.rint(recording[0] * 32768), -32768, 32767).astype("<i2"), 2)
    done = subprocess.run([str(tmp_path / "listen")], input=samples.tobytes(), capture_output=True, check=True)
    answers = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert [label for _, label, _ in answers] == ["dog"] * len(answers)
    assert [seconds for seconds, _, _ in answers] == ["5.0 s", "6.0 s", "7.0 s", "8.0 s", "9.0 s"]


def test_networks_of_every_kind_have_a_project():
    for settings in traced_networks.ALL_NETWORKS:
        assert "scenelet.h" in project_files(traced_model(settings), "a model")
