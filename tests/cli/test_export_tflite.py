"""`scenelet export --out NAME.tflite`: its files and messages; a refused export writes nothing."""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.tiny_model import model_of, random_network
from scenelet.export.onnx_file import RuntimeCheck
from scenelet.export.tflite import check
from scenelet.export.tflite.check import TfliteCheck
from scenelet.export.tflite.file import MICRO, PACKAGES, tflite_bytes
from scenelet.inference.classifier import load
from scenelet.model.file import write_model

for _package in (*PACKAGES, MICRO):
    pytest.importorskip(_package, reason=f"{_package} is not installed: pip install '.[tflite]'")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(command: Run) -> Run:
    """`scenelet export` with these arguments: exit code, stdout, stderr."""
    return functools.partial(command, "export")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The output in a folder of its own."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "model.tflite"


@pytest.fixture
def recordings(tmp_path: Path, write_wav: Callable[..., Path]) -> Path:
    """A folder with two recordings: seven windows for ranges, one held out."""
    (tmp_path / "recordings").mkdir()
    rng = np.random.default_rng(0)
    write_wav(rng.normal(0, 0.1, (2, 8000)), 8000, "recordings/a.wav")
    write_wav(rng.normal(0, 0.01, (2, 4800)), 8000, "recordings/b.wav")
    return tmp_path / "recordings"


def assert_one_sentence(err: str, *words: str) -> None:
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert all(word in line for word in words), line


def test_export_float(run: Run, model: Path, out: Path) -> None:
    code, printed, talk = run(model, "--out", out)
    exported = out.read_bytes()
    assert code == 0
    assert exported == tflite_bytes(load(model).model)
    names = [line.partition(": probabilities within ")[0] for line in printed.splitlines()]
    assert names == ["LiteRT", "LiteRT with reference kernels", "tflite-micro"]
    assert all(line.endswith("0 other labels, on 4 synthetic windows") for line in printed.splitlines())
    written, arena = talk.splitlines()[-2:]  # a slow export prints its progress before
    assert written == f"written: {out}, {len(exported):,} bytes; input log_mel (1, 16, 13, 2)"
    assert arena.startswith("tflite-micro needs an arena of ")
    assert list(out.parent.iterdir()) == [out]


def test_export_int8_as_json(run: Run, model: Path, out: Path, recordings: Path) -> None:
    code, printed, talk = run(model, "--out", out, "--int8", recordings, "--format", "json")
    assert code == 0
    found = json.loads(printed)
    assert found["bytes"] == out.stat().st_size
    assert found["arena_bytes"] > 0
    assert [one["on"] for one in found["compared"]] == 3 * [f"windows of {recordings}"]
    assert all(0 < one["largest_difference"] < 0.1 for one in found["compared"])
    assert talk.splitlines()[0] == "activation ranges from 7 windows of 2 recordings"
    assert out.read_bytes() != tflite_bytes(load(model).model)


def test_export_residual_norm_in_int8_is_refused(run: Run, out: Path, recordings: Path, tmp_path: Path) -> None:
    write_model(model_of(random_network(1)), tmp_path / "m.scn")
    code, printed, err = run(tmp_path / "m.scn", "--out", out, "--int8", recordings)
    assert (code, printed) == (1, "")
    assert_one_sentence(err, "residual normalization", "export it in float", "network.residual_norm=false")
    assert list(out.parent.iterdir()) == []


def test_export_with_a_failing_check_is_not_written(
    run: Run, model: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out.write_text("mine")
    found = TfliteCheck([RuntimeCheck("LiteRT", 0.5, 4)], None, "in LiteRT its probabilities differ")
    monkeypatch.setattr(check, "check_tflite", lambda *_: found)
    code, printed, err = run(model, "--out", out)
    assert (code, printed) == (1, "")
    assert_one_sentence(err, f"{out}: not written: in LiteRT its probabilities differ; please report this with the")
    assert out.read_text() == "mine"
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("package", [*PACKAGES, MICRO])
def test_export_without_a_package_names_the_extra(
    run: Run, model: Path, out: Path, recordings: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for options in ((), ("--int8", recordings)):
        code, printed, err = run(model, "--out", out, *options)
        assert (code, printed) == (1, "")
        assert_one_sentence(err, f"this needs {package}; install it with: pip install", "scenelet[tflite]")
    assert list(out.parent.iterdir()) == []
