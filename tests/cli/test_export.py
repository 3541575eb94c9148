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

from helpers.tiny_model import changed, tiny_model, with_known_sounds
from scenelet.config import FeatureConfig
from scenelet.export import onnx_file
from scenelet.export.c.project import project_files
from scenelet.export.model_card import model_card
from scenelet.export.onnx_file import RuntimeCheck, onnx_bytes
from scenelet.inference.classifier import load
from scenelet.model.file import read_model, write_model

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
        r"(.+): probabilities within (\S+) of the model file's, 0 other labels, on \d+ (synthetic )?windows?.*"
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


def test_export_to_c_is_the_project_in_float(run: Run, model: Path, out_folder: Path) -> None:
    folder = out_folder / "program"
    code, printed, talk = run(model, "--to", "c", "--out", folder)
    assert (code, printed) == (0, "")
    expected = project_files(load(model).model, model.stem)
    assert {str(path.relative_to(folder)): path.read_text() for path in folder.iterdir()} == expected
    written, note = talk.splitlines()
    assert re.fullmatch(rf"written: {folder}; flash [\d,]+ bytes and about [\d,]+ of code, RAM [\d,]+ bytes", written)
    assert note.startswith("note: the network runs in float; with --int8 RECORDINGS")


@pytest.mark.parametrize("options", [["--out", "m.onnx"], ["--to", "c", "--out", "program"]], ids=["onnx", "c"])
def test_export_notes_that_the_rule_for_unlike_sounds_is_missing(
    run: Run, model: Path, out_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    write_model(with_known_sounds(read_model(model)), tmp_path / "known.scn")
    monkeypatch.chdir(out_folder)
    note = "sounds below the model's minimum similarity are not unsure here, as they are in scenelet"
    assert f"note: {note}\n" in run(tmp_path / "known.scn", *options)[2]
    readme = out_folder / "program" / "README.md"
    assert (f"Note: {note}." in readme.read_text()) if "c" in options else not readme.exists()


@pytest.mark.parametrize("layout", ["c", "arduino", "esp-idf"])
def test_export_to_c_in_int8_is_compared_with_the_model(
    run: Run, model: Path, out_folder: Path, recordings: Path, layout: str
) -> None:
    folder = out_folder / "program"
    code, printed, _ = run(model, "--to", layout, "--out", folder, "--int8", recordings)
    assert code == 0
    (row,) = differences(printed).items()
    assert row[0] == "int8"
    assert 0 < row[1] < 0.1
    assert len(list(folder.rglob("scenelet_conv_int8.c"))) == 1
    assert not list(folder.rglob("*_float.c"))


@pytest.mark.parametrize("name", ["model.onnx", "file"])
def test_export_of_a_folder_to_a_file_is_refused(run: Run, model: Path, out_folder: Path, name: str) -> None:
    (out_folder / "file").write_text("mine")
    code, printed, err = run(model, "--to", "c", "--out", out_folder / name)
    assert (code, printed) == (2, "")
    assert_one_sentence(err, "--to c writes a folder")
    assert [path.name for path in out_folder.iterdir()] == ["file"]


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
    for options in (["--out", "métro.md"], ["--out", "métro.onnx"], ["--out", "métro", "--to", "c"]):
        assert run(path, options[0], out_folder / options[1], *options[2:])[0] == 0
    assert "métro, 地铁, &#91;red]x" in (out_folder / "métro.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["model.pb", "model", "model.ONNX", "model.onnx.gz", ".onnx"])
def test_export_unknown_ending_is_refused(run: Run, model: Path, out_folder: Path, name: str) -> None:
    code, printed, err = run(model, "--out", out_folder / name)
    assert (code, printed) == (2, "")
    assert_one_sentence(err, str(out_folder / name), "NAME.onnx", "NAME.tflite", "NAME.md", "--to c")
    assert list(out_folder.iterdir()) == []


@pytest.mark.parametrize("name", ["model.onnx", "model.tflite", "model.md"])
def test_export_of_a_file_to_a_folder_is_refused_at_once(run: Run, model: Path, out_folder: Path, name: str) -> None:
    (out_folder / name).mkdir()
    code, printed, err = run(model, "--out", out_folder / name)
    assert (code, printed) == (2, "")
    assert_one_sentence(err, f"{out_folder / name}: is a folder; give the name of the file to write")


@pytest.mark.parametrize("target", [["--out", "model.md"], ["--out", "site", "--to", "web"]])
@pytest.mark.parametrize(
    ("options", "words"), [(["--input", "waveform"], "NAME.onnx"), (["--int8", "recordings"], "TensorFlow Lite and C")]
)
def test_export_options_are_refused_for_other_forms(
    run: Run, model: Path, out_folder: Path, target: list[str], options: list[str], words: str
) -> None:
    code, printed, err = run(model, target[0], out_folder / target[1], *target[2:], *options)
    assert (code, printed) == (2, "")
    assert_one_sentence(err, options[0], words)
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


def test_export_int8_warns_of_few_windows(
    run: Run, model: Path, out_folder: Path, write_wav: Callable[..., Path]
) -> None:
    short = write_wav(np.random.default_rng(0).normal(0, 0.1, (2, 800)), 8000)
    code, _, talk = run(model, "--out", out_folder / "c", "--to", "c", "--int8", short)
    assert code == 0
    found, warned = talk.splitlines()[:2]
    assert found == "activation ranges from 1 window of 1 recording"
    assert warned.startswith(
        "warning: 1 window for 3 labels may give wrong activation ranges; give recordings of every"
    )


def test_export_int8_is_calibrated_on_recordings(run: Run, model: Path, out_folder: Path, recordings: Path) -> None:
    out = out_folder / "model.onnx"
    code, printed, talk = run(model, "--out", out, "--int8", recordings)
    assert code == 0
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in onnx.load(out).graph.node}
    assert list(differences(printed)) == RUNTIMES
    assert all(0 < difference < 0.1 for difference in differences(printed).values())
    left_out = (
        f"warning: left out 1 recording that cannot be read, the first: {recordings / 'bad.wav'}: not a recording"
    )
    found, warned, written = talk.splitlines()
    assert found == "activation ranges from 7 windows of 2 recordings"
    assert warned.startswith(left_out)
    assert written == f"written: {out}, {out.stat().st_size:,} bytes; input log_mel (batch, 2, 16, 13)"
    assert all(f"on 1 window of {recordings}" in line for line in printed.splitlines())
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
        "ONNX Runtime: probabilities within 1.23e-07 of the model file's, 1 other label, on 4 synthetic windows",
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
    for name in ("model.onnx", "model.md"):
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
