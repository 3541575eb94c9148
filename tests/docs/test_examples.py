"""Tests of the Python blocks in README and the pages: the blocks of a page run as one script."""

import json
import os
import shutil
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from helpers import doc_pages as pages
from helpers.processes import run_python
from scenelet.bulk import run as bulk
from scenelet.export.onnx_file import onnx_bytes
from scenelet.export.tflite.file import tflite_bytes
from scenelet.inference.classifier import load

TRAINING = ("README.md", "estimator.md", "method.md")
WITH_PYTHON = [page for page in pages.PAGES if "```python" in page.read_text(encoding="utf-8")]
SITE = pages.ROOT / "tests" / "helpers" / "small_examples"
"""Folder of the module that a script imports first, which makes recipes and data small."""


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow if page.name in TRAINING else ()) for page in WITH_PYTHON],
    ids=lambda page: page.name,
)
def test_python_blocks_run_as_a_script(
    page: Path, examples: Path, recordings: Path, small_recipe: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user saves them in a file, without a main guard, and no features are cached yet."""
    if page.name == "deploy.md":  # the files that its commands export
        pytest.importorskip("tflite", reason="tflite is not installed: pip install '.[tflite]'")
        classifier = load("model.scn")
        model = classifier.model
        windows = list(classifier.log_mel_windows("recording.wav"))
        (examples / "int8.tflite").write_bytes(tflite_bytes(model, windows))
        (examples / "model.onnx").write_bytes(onnx_bytes(model, "log-mel"))
        (examples / "waveform.onnx").write_bytes(onnx_bytes(model, "waveform"))
    if page.name == "recording_devices.md":  # the folder that its commands write
        (examples / "models").mkdir()
        for name in ("general", "phone"):
            shutil.copy(examples / "model.scn", examples / "models" / f"{name}.scn")
    if page.name == "scale.md":
        listed = sorted(path.relative_to(examples).as_posix() for path in (examples / "more").iterdir())
        (examples / "archive.csv").write_text("\n".join(["path", *listed]) + "\n")
        bulk.predict("model.scn", "archive.csv", "results", workers=1)
        model = load("model.scn").model
        bulk.extract(model.features, model.window, "archive.csv", "features", workers=1)
        bulk.embed("model.scn", "archive.csv", "values", workers=1)
    blocks = [match.group(2) for match in pages.BLOCK.finditer(page.read_text("utf-8")) if match.group(1) == "python"]
    assert len(blocks) == page.read_text(encoding="utf-8").count("```python")
    path = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SITE), *([path] if path else [])]))
    monkeypatch.setenv("SMALL_RECIPE", json.dumps(small_recipe))
    done = run_python(examples, "\n".join(blocks))
    assert done.returncode == 0, done.stderr


def test_hand_written_reader_prints_what_the_page_shows(examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = pages.ROOT / "docs" / "model_file.md"
    for block in Sybil([PythonCodeBlockParser()]).parse(page).examples():
        block.evaluate()
    shown = [block for kind, block in pages.BLOCK.findall(page.read_text(encoding="utf-8")) if kind == "text"]
    printed = capsys.readouterr().out
    assert shown == [printed[: len(shown[0])]]
    assert printed[len(shown[0]) :] == "109,391 of 110,675 weights are not zero\n"
