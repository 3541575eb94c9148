"""Compare exported files with the model on real recordings: the ONNX graph of samples, and int8 activations.

    python -m benchmarks.speed.deploy MODEL.scn ESC10 --fold 1

Every clip of the fold is resampled and cut into windows as in `scenelet predict`; the graph itself pads silent ends.
The benchmark compares the probabilities of the waveform graph with those of `predict`. It also compares the accuracy
with int8 activations, calibrated on the other folds, with that of the fp32 file. It prints a Markdown table. For the
speed, run `python -m benchmarks.speed --out DIR --only int8 --only waveform`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.data.load import load_table
from scenelet.errors import DataError, SceneletError
from scenelet.evaluation.metrics import classification_report
from scenelet.export.calibration import calibrate
from scenelet.export.onnx_file import onnx_bytes, run_onnxruntime
from scenelet.export.onnx_int8 import int8_bytes
from scenelet.inference.classifier import Classifier
from scenelet.inference.onnx_frontend import WAVEFORM
from scenelet.inference.prediction import mean_probabilities
from scenelet.model.file import read_model
from scenelet.model.ops import INPUT
from scenelet.utils.console import track


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--fold", required=True)
    options = parser.parse_args()
    model = read_model(options.model)
    classifier, features = Classifier(model), LogMel(model.features)
    clips = load_table(options.data).clips
    test = [clip for clip in clips if clip.fold == options.fold]
    if not test:
        known = " ".join(sorted({clip.fold for clip in clips if clip.fold is not None}))
        raise DataError(f"{options.data}: no clips in fold {options.fold!r}; there are {known or 'no folds'}")
    others = [clip.path for clip in clips if clip.fold != options.fold]
    waveform = run_onnxruntime(onnx_bytes(model, "waveform"), WAVEFORM)
    int8 = run_onnxruntime(int8_bytes(model, calibrate(model, others).ranges), INPUT)
    answers: dict[str, list[NDArray[np.float32]]] = {"predict": [], "waveform": [], "int8": []}
    for clip in track(test, "Measuring", len(test)):
        answers["predict"].append(np.array(list(classifier.predict(clip.path).probabilities.values()), np.float32))
        zero_padded = model.window.model_copy(update={"pad_mode": "zeros"})
        rows = [waveform(window[None])[0] for window in windows(clip.path, model.features, zero_padded)]
        answers["waveform"].append(mean_probabilities(np.stack(rows)))
        rows = [int8(features(window)[None])[0] for window in windows(clip.path, model.features, model.window)]
        answers["int8"].append(mean_probabilities(np.stack(rows)))
    targets = [model.labels.index(clip.label) for clip in test]
    print("| run by | clips | macro accuracy, % | log loss | largest difference from `predict` | other labels |")
    print("|---|---|---|---|---|---|")
    for name, rows in answers.items():
        measured, found, expected = (
            classification_report(targets, rows, model.labels),
            np.stack(rows),
            np.stack(answers["predict"]),
        )
        differing = int((found.argmax(1) != expected.argmax(1)).sum())
        figures = f"{100 * measured['macro_accuracy']:.2f} | {measured['log_loss']:.4f}"
        print(f"| {name} | {len(test)} | {figures} | {np.abs(found - expected).max():.2g} | {differing} |")


if __name__ == "__main__":
    try:
        main()
    except SceneletError as error:
        sys.exit(f"error: {error}")
