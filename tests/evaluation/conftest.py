"""An evaluation in which every name is malicious, for the tests of its pages."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from helpers.example_report import make_report
from helpers.tiny_model import changed, tiny_model
from scenelet.data.clips import Clip, ClipTable
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.history import Epoch
from scenelet.evaluation.listening_page import listening_page
from scenelet.evaluation.report import write_report
from scenelet.evaluation.report_page import figure_files, report_page
from scenelet.inference.classifier import Classifier
from scenelet.model.file import write_model
from scenelet.model.summary import describe

LABELS = ("</script><script>fail()</script>", "a \"b\" 'c' & 100 % #1", "{{ 7 * 7 }}{% raw %}${fail()}")
NAMES = (
    "plain.wav",
    "<img src=x onerror=fail()>.wav",
    "50%41 #1 ?x&amp;y.wav",
    "\"double\" 'single'.wav",
    "new\nline.flac",
    os.fsdecode(b"bytes \xff\xfe.wav"),
    "a:b;c\\d.wav",
    "Zürich 東京.ogg",
    "x" * 150 + ".wav",
)


@dataclass
class Evaluation:
    """Predictions, their report, and the folder that it was written to."""

    folder: Path
    predictions: list[ClipPrediction]
    report: dict[str, Any]
    anchors: dict[int, str]


@pytest.fixture(scope="session")
def malicious(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    root = tmp_path_factory.mktemp("malicious")
    (root / "recordings #1").mkdir()
    model = changed(tiny_model(), labels=LABELS)
    write_model(model, root / "m.scn")
    classifier = Classifier(model, threads=1)
    rng = np.random.default_rng(5)
    clips, predictions = [], []
    for i, name in enumerate(NAMES):
        path = root / "recordings #1" / name
        with path.open("wb") as file:  # as a file object, since libsndfile takes only UTF-8 names
            seconds = 0.9 if i == 0 else 0.3  # the first has five windows
            samples = (
                0.1 * rng.standard_normal((int(8000 * seconds), 2)) * np.linspace(0.1, 1, int(8000 * seconds))[:, None]
            )
            soundfile.write(file, samples, 8000, format={".ogg": "OGG", ".flac": "FLAC"}.get(path.suffix, "WAV"))
        prediction = classifier.predict(path)
        clip = Clip(path, name, LABELS[i % 3], f"group {name}", city=f"city {name}", device=f"device {name}")
        clips.append(clip)
        probabilities = tuple(prediction.probabilities.values())
        predictions.append(ClipPrediction.from_clip(clip, LABELS, probabilities, prediction.windows.tolist()))
    report = make_report(predictions, LABELS) | {"warning": LABELS[0], "model": f"<b>{NAMES[1]}</b>"}
    history = [Epoch(epoch=k, loss=2 / k, rate=1e-3, validation_log_loss=1 / k) for k in range(1, 9)]
    out = root / "out"
    figures = figure_files(report, history)
    table = ClipTable(root / "recordings #1", "folders", tuple(clips))
    listening, anchors = listening_page(
        [classifier] * len(predictions), predictions, table, out / "listening.html", NAMES[1], len(NAMES), "link"
    )
    page = report_page(report, figures, describe(root / "m.scn"), predictions, history, anchors)
    pages = figures | {"report.html": page, "listening.html": listening}
    write_report(out, report, predictions, LABELS, pages=pages)
    return Evaluation(out, predictions, report, anchors)
