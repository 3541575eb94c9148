"""Compare `.tflite` files with their model on all test clips of a fold, in LiteRT and in tflite-micro.

    python -m benchmarks.quality.tflite MODEL.scn [MODEL.scn ...] --data ESC10 --fold 1

It exports each model in float, and in int8 calibrated on the other folds. A clip's probabilities are the mean over its
windows. The benchmark prints a Markdown table: accuracy, its paired difference from the model with a 95 % interval,
labels that differ, the bytes of the file, and the arena that tflite-micro needs. `identical` says if tflite-micro and
LiteRT's reference kernels give the same integers for every window. It needs the extra `[tflite]`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.fold import print_table
from scenelet.data.clips import Clip
from scenelet.evaluation.bootstrap import interval_text, paired_test
from scenelet.export.calibration import calibrate
from scenelet.export.tflite.file import tflite_bytes
from scenelet.export.tflite.interpreters import LITERT, LITERT_REFERENCE, MICRO, run_interpreter
from scenelet.inference.classifier import Classifier
from scenelet.inference.prediction import mean_probabilities
from scenelet.utils.console import track

Rows = NDArray[np.float32]


def table_rows(name: str, classifier: Classifier, test: Sequence[Clip], others: Sequence[Clip]) -> list[str]:
    """Measure the files of one model; return one row per file and interpreter."""
    model = classifier.model
    cuts = [list(classifier.log_mel_windows(clip.path)) for clip in track(test, "Computing features", len(test))]
    log_mels, ends = np.concatenate([np.stack(cut) for cut in cuts]), np.cumsum([len(cut) for cut in cuts])[:-1]
    targets = np.array([model.labels.index(clip.label) for clip in test])
    groups = [clip.group for clip in test]

    def by_clip(windows: Rows) -> Rows:
        return np.stack([mean_probabilities(rows) for rows in np.split(windows, ends)])

    expected = by_clip(classifier.probabilities(log_mels))
    expected_hits = expected.argmax(1) == targets
    printed = [f"| {name} | the model | {100 * expected_hits.mean():.2f} | | | | | | |"]
    files = {
        "float": tflite_bytes(model),
        "int8": tflite_bytes(model, calibrate(model, [c.path for c in others]).ranges),
    }
    for kind, exported in files.items():
        reference, _ = run_interpreter(LITERT_REFERENCE, exported, log_mels)
        for interpreter in (LITERT, LITERT_REFERENCE, MICRO):
            windows, arena = run_interpreter(interpreter, exported, log_mels)
            found = by_clip(windows)
            hits = found.argmax(1) == targets
            difference, p = paired_test(hits, expected_hits, targets, groups, np.random.default_rng(0))
            interval = interval_text(
                {"value": difference.value, "low": difference.low, "high": difference.high}, 2, 100, True
            )
            same = f"{(found.argmax(1) == expected.argmax(1)).sum()} of {len(test)}"
            largest = f"{np.abs(found - expected).max():.2g}"
            identical = "yes" if np.array_equal(windows, reference) else "no"
            sizes = f"{len(exported):,} | {arena:,}" if arena else f"{len(exported):,} | "
            cells = f"{100 * hits.mean():.2f} | {interval}, p = {p:.2g} | {same} | {largest} | {identical} | {sizes}"
            printed.append(f"| {name} | {kind}, {interpreter} | {cells} |")
    return printed


HEADER = (
    "| model | run by | accuracy, % | difference [95 % interval] | same labels | largest difference | identical"
    " | file, bytes | arena, bytes |"
)

if __name__ == "__main__":
    print_table(__doc__ or "", HEADER, table_rows)
