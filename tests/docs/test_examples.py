"""Tests of the Python blocks in README and the pages: each page's blocks run in sequence, with the files they name."""

import functools
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from helpers import doc_pages as pages
from scenelet.bulk import run as bulk
from scenelet.data.synthetic import dataset as scenes
from scenelet.export.onnx_file import onnx_bytes
from scenelet.inference.classifier import load

WITH_PYTHON = [page for page in pages.PAGES if "```python" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_python_blocks_in_sequence_run(
    page: Path, examples: Path, recordings: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = functools.partial(
        scenes.write_synthetic_dataset, clips_per_location=1, train_locations=2, test_locations=1, seconds=0.5
    )
    monkeypatch.setattr(scenes, "write_synthetic_dataset", small)  # the page's 288 recordings take too long
    if page.name == "deploy.md":  # the files that its commands export
        model = load("model.scn").model
        (examples / "model.onnx").write_bytes(onnx_bytes(model, "log-mel"))
        (examples / "waveform.onnx").write_bytes(onnx_bytes(model, "waveform"))
    if page.name == "scale.md":
        listed = sorted(path.relative_to(examples).as_posix() for path in (examples / "more").iterdir())
        (examples / "archive.csv").write_text("\n".join(["path", *listed]) + "\n")
        bulk.predict("model.scn", "archive.csv", "results", workers=1)
        model = load("model.scn").model
        bulk.extract(model.features, model.window, "archive.csv", "features", workers=1)
    blocks = list(Sybil([PythonCodeBlockParser()]).parse(page).examples())
    assert len(blocks) == page.read_text(encoding="utf-8").count("```python")
    for block in blocks:
        block.evaluate()


def test_hand_written_reader_prints_what_the_page_shows(examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = pages.ROOT / "docs" / "model_file.md"
    for block in Sybil([PythonCodeBlockParser()]).parse(page).examples():
        block.evaluate()
    shown = [block for kind, block in pages.BLOCK.findall(page.read_text(encoding="utf-8")) if kind == "text"]
    printed = capsys.readouterr().out
    assert shown == [printed[: len(shown[0])]]
    assert printed[len(shown[0]) :] == "267,869 of 595,264 weights kept\n"
