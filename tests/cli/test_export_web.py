"""`scenelet export --to web`: a folder, its messages, and refused commands, which write nothing."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.tiny_model import tiny_model
from helpers.web_package import write_package
from scenelet.model.file import write_model

Run = Callable[..., tuple[int, str, str]]


def test_export_to_web(command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = write_package(tmp_path, monkeypatch)
    write_model(tiny_model(), tmp_path / "rain.scn")
    site = tmp_path / "sites" / "rain"
    code, out, err = command(
        "export", tmp_path / "rain.scn", "--to", "web", "--out", site, "--onnxruntime-web", package, "--format", "json"
    )
    assert code == 0
    assert set(json.loads(out)["bytes"]) == {path.name for path in site.iterdir()}
    assert f"open {site / 'index.html'} in a browser" in err
    assert "<title>rain:" in (site / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "model.onnx"), "model.onnx: --to web writes a folder; give the name of a folder"),
        (("--out", "site", "--input", "waveform"), "site: --input goes with ONNX files only; give --out NAME.onnx"),
        (("--out", "site", "--int8", "."), "site: --int8 goes with ONNX, TensorFlow Lite and C; leave it out here"),
        (("--out", "site", "--onnxruntime-web", "no.tgz"), "no.tgz: cannot be read (No such file or directory)"),
    ],
)
def test_export_to_web_refuses(
    command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    write_model(tiny_model(), tmp_path / "rain.scn")
    monkeypatch.chdir(tmp_path)
    code, _, err = command("export", "rain.scn", "--to", "web", *arguments)
    assert code == 2
    assert message in err
    assert os.listdir(tmp_path) == ["rain.scn"]
