"""`scenelet export`: its files and messages; a refused command writes nothing."""

import functools
import os
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest

from helpers.tiny_model import changed, tiny_model
from scenelet.config import FeatureConfig
from scenelet.export import onnx_file
from scenelet.export.c_header import c_header
from scenelet.export.model_card import model_card
from scenelet.export.onnx_file import RuntimeCheck, onnx_bytes
from scenelet.inference.classifier import load
from scenelet.model.file import write_model

RUNTIMES = ["ONNX Runtime", *(["OpenVINO"] if find_spec("openvino") else [])]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(command: Run) -> Run:
    """`scenelet export` with these arguments: exit code, stdout, stderr."""
    return functools.partial(command, "export")


@pytest.fixture
def out_folder(tmp_path: Path) -> Path:
    """An empty folder for the output."""
    folder = tmp_path / "synthetic"
    folder.mkdir()
    return folder


@pytest.fixture
def recordings(tmp_path: Path, write_wav: Callable[..., Path]) -> Path:
    """A folder with two recordings, one in a subfolder, and one that cannot be read."""
    folder = tmp_path / "recordings"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    write_wav(rng.normal(0, 0.1, (2, 8000)), 8000, "recordings/a.wav")
    write_wav(rng.normal(0, 0.01, (1, 4800)), 8000, "recordings/sub/b.flac")
    (folder / "bad.wav").write_text("no recording")
    return folder


def differences(out: str) -> dict[str, float]:
    """Runtime -> difference, of every line on stdout."""
    line = re.compile(
        r"(.+): probabilities within (\S+) of the model file's, 0 other labels, on \d+ (synthetic )?windows.*"
    )
    found = [line.fullmatch(one) for one in out.splitlines()]
    return {one[1]: float(one[2]) for one in found if one is not None}


def assert_one_sentence(err: str, *words: str) -> None:
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("kind", "shape", "said"),
    [
        ("log-mel", "log_mel (batch, 2, 16, 13)", []),
        (
            "waveform",
            "waveform (1, 2, 1600)",
            # 2 x 13 frames of 256 log2 256, and of 129 bins x 16 bands
            ["multiply-accumulates per window: Fourier transforms about 0.05 M, mel bands 0.05 M, network 0.0"],
        ),
    ],
)
def test_export_onnx_from_log_mel_or_waveform(
    run: Run, model: Path, out_folder: Path, kind: onnx_file.GraphInput, shape: str, said: list[str]
) -> None:
    out = out_folder / "model.onnx"
    code, printed, talk = run(model, "--out", out, "--input", kind)
    exported = out.read_bytes()
    assert code == 0
    assert exported == onnx_bytes(load(model).model, kind)
    assert list(differences(printed)) == RUNTIMES
    assert max(differences(printed).values()) < 1e-5
    lines = talk.splitlines()
    assert lines[-1] == f"written: {out}, {len(exported):,} bytes; input {shape}"
    assert len(lines) == len(said) + 1
    assert all(words in talk for words in said)
    assert list(out_folder.iterdir()) == [out]


def test_export_header_is_complete_and_named_by_its_file(run: Run, model: Path, out_folder: Path) -> None:
    out = out_folder / "my-model.h"
    code, printed, talk = run(model, "--out", out)
    text = out.read_text(encoding="utf-8")
    assert (code, printed) == (0, "")
    assert text == c_header(load(model).model, "my-model")
    assert text.endswith("#endif\n")
    held = load(model).model
    numbers = 4 * sum(array.size for array in held.arrays.values())
    assert talk.splitlines() == [
        f"written: {out}, {out.stat().st_size:,} bytes",
        f"its numbers take {numbers:,} bytes in a program, pruned weights included",
        "note: weights in fp16 take four bytes each there; compress with --dtype int8 for one",
    ]
    assert list(out_folder.iterdir()) == [out]


def test_export_card_is_complete_and_gives_the_file_size(run: Run, model: Path, out_folder: Path) -> None:
    out = out_folder / "model.md"
    code, printed, talk = run(model, "--out", out)
    assert (code, printed) == (0, "")
    assert out.read_text(encoding="utf-8") == model_card(load(model).model, "model", model.stat().st_size)
    assert f"| disk | {model.stat().st_size:,} |" in out.read_text()
    assert talk == f"written: {out}, {out.stat().st_size:,} bytes\n"
    assert list(out_folder.iterdir()) == [out]


def test_export_labels_in_any_script(run: Run, out_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "métro.scn"
    write_model(changed(tiny_model(), labels=("métro", "地铁", "[red]x")), path)
    for suffix in (".h", ".md", ".onnx"):
        assert run(path, "--out", out_folder / f"métro{suffix}")[0] == 0
    assert "métro, 地铁, &#91;red]x" in (out_folder / "métro.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["model.pb", "model", "model.ONNX", "model.onnx.gz", ".onnx"])
def test_export_unknown_ending_is_refused(run: Run, model: Path, out_folder: Path, name: str) -> None:
    code, printed, err = run(model, "--out", out_folder / name)
    assert (code, printed) == (2, "")
    assert_one_sentence(err, str(out_folder / name), "NAME.onnx", "NAME.tflite", "NAME.h", "NAME.md")
    assert list(out_folder.iterdir()) == []


@pytest.mark.parametrize("suffix", [".h", ".md"])
@pytest.mark.parametrize("options", [("--input", "waveform"), ("--int8", "recordings")])
def test_export_onnx_options_are_refused_for_others(
    run: Run, model: Path, out_folder: Path, suffix: str, options: tuple[str, str]
) -> None:
    code, printed, err = run(model, "--out", out_folder / f"model{suffix}", *options)
    assert (code, printed) == (2, "")
    assert_one_sentence(err, options[0], "NAME.onnx")
    assert list(out_folder.iterdir()) == []


def test_export_tflite_of_waveform_is_refused(run: Run, model: Path, out_folder: Path) -> None:
    code, printed, err = run(model, "--out", out_folder / "model.tflite", "--input", "waveform")
    assert (code, printed) == (2, "")
    assert_one_sentence(err, "--input", "NAME.onnx")
    assert list(out_folder.iterdir()) == []


def test_export_int8_of_waveform_is_refused(run: Run, model: Path, out_folder: Path, recordings: Path) -> None:
    code, printed, err = run(model, "--out", out_folder / "model.onnx", "--int8", recordings, "--input", "waveform")
    assert (code, printed) == (2, "")
    assert_one_sentence(err, "--int8", "log-mel")
    assert list(out_folder.iterdir()) == []


def test_export_int8_is_calibrated_on_recordings(run: Run, model: Path, out_folder: Path, recordings: Path) -> None:
    out = out_folder / "model.onnx"
    code, printed, talk = run(model, "--out", out, "--int8", recordings)
    assert code == 0
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in onnx.load(out).graph.node}
    assert list(differences(printed)) == RUNTIMES
    assert all(0 < difference < 0.1 for difference in differences(printed).values())
    left_out = f"warning: 1 recordings were left out, the first: {recordings / 'bad.wav'}: not a recording"
    found, warned, written = talk.splitlines()
    assert found == "activation ranges from 7 windows of 2 recordings"
    assert warned.startswith(left_out)
    assert written == f"written: {out}, {out.stat().st_size:,} bytes; input log_mel (batch, 2, 16, 13)"
    assert all(f"on 1 windows of {recordings}" in line for line in printed.splitlines())
    assert list(out_folder.iterdir()) == [out]


@pytest.mark.parametrize("held", ["nothing", "a text", "a damaged recording", "no folder"])
def test_export_int8_without_recordings_is_an_error(
    run: Run, model: Path, out_folder: Path, tmp_path: Path, held: str
) -> None:
    folder = tmp_path / "given"
    if held != "no folder":
        folder.mkdir()
    if held == "a text":
        (folder / "notes.txt").write_text("hello")
    if held == "a damaged recording":
        (folder / "a.wav").write_text("hello")
    code, printed, err = run(model, "--out", out_folder / "model.onnx", "--int8", folder)
    assert (code, printed) == (1, "")
    assert_one_sentence(err, str(folder))
    assert list(out_folder.iterdir()) == []


def test_export_names_a_runtime_that_cannot_run_it(
    run: Run, model: Path, out_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [RuntimeCheck("ONNX Runtime", 1.23456e-7, 4, 1), RuntimeCheck("Other", None, error="no STFT")]
    monkeypatch.setattr(onnx_file, "compare_runtimes", lambda *_: found)
    code, printed, _ = run(model, "--out", out_folder / "model.onnx")
    assert code == 0
    assert printed.splitlines() == [
        "ONNX Runtime: probabilities within 1.23e-07 of the model file's, 1 other labels, on 4 synthetic windows",
        "Other: cannot run it (no STFT)",
    ]


@pytest.mark.parametrize("difference", [0.002, float("nan")])
def test_export_different_probabilities_are_not_written(
    run: Run, model: Path, out_folder: Path, monkeypatch: pytest.MonkeyPatch, difference: float
) -> None:
    monkeypatch.setattr(onnx_file, "compare_runtimes", lambda *_: [RuntimeCheck("ONNX Runtime", difference, 4, 0)])
    code, printed, err = run(model, "--out", out_folder / "model.onnx")
    assert (code, printed) == (1, "")
    assert_one_sentence(err, str(out_folder / "model.onnx"), "not written", "please report")
    assert list(out_folder.iterdir()) == []


def test_export_name_that_is_not_utf8(run: Run, model: Path, out_folder: Path) -> None:
    out = Path(os.fsdecode(os.fsencode(out_folder) + b"/caf\xe9.md"))
    code, _, _ = run(model, "--out", out)
    assert code == 0
    assert out.read_text().startswith("# caf\n")


def test_export_missing_folder_is_created_or_refused(run: Run, model: Path, out_folder: Path) -> None:
    (out_folder / "file").write_text("mine")
    for name in ("model.onnx", "model.h", "model.md"):
        assert run(model, "--out", out_folder / "new" / name)[0] == 0
        assert (out_folder / "new" / name).is_file()
        code, _, err = run(model, "--out", out_folder / "file" / name)
        assert code == 1
        assert_one_sentence(err, str(out_folder / "file"))
    assert (out_folder / "file").read_text() == "mine"


def test_export_mono_waveform_has_one_channel(run: Run, out_folder: Path, tmp_path: Path) -> None:
    nodes = tiny_model().nodes
    mono = FeatureConfig(sample_rate=8000, channels="mono", n_fft=256, hop_length=128, n_mels=16)
    arrays = {name: array[:, :1] if name == "v1.weight" else array for name, array in tiny_model().arrays.items()}
    write_model(changed(tiny_model(), features=mono, nodes=nodes, arrays=arrays), tmp_path / "mono.scn")
    code, printed, talk = run(tmp_path / "mono.scn", "--out", out_folder / "model.onnx", "--input", "waveform")
    assert code == 0
    assert "input waveform (1, 1, 1600)" in talk
    assert max(differences(printed).values()) < 1e-5


def test_export_missing_model_is_an_error(run: Run, out_folder: Path, tmp_path: Path) -> None:
    for missing in ("unknown", tmp_path / "missing.scn"):
        code, _, err = run(missing, "--out", out_folder / "x.onnx")
        assert code == 1
        assert_one_sentence(err, f"{missing}: no such file")
