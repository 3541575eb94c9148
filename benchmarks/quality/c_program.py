"""Compare the exported C program with its model on all test clips of a fold, from samples to probabilities.

    python -m benchmarks.quality.c_program MODEL.scn [MODEL.scn ...] --data ESC10 --fold 1

It exports each model in float, and in int8 calibrated on the other folds, and compiles the sources with `cc`. The
programs run every window with the front end in floating and in fixed point. A clip's probabilities are the mean over
its windows. The benchmark prints a Markdown table:

- the largest difference of a log-mel value from `LogMel` in dB, and the 99th percentile. In fixed point, samples are
  rounded to 16 bits, and `LogMel` gets the rounded ones.
- accuracy, labels that are those of the model, and the largest difference of a probability.
- in int8: the windows whose integers are those of the reference in NumPy, for the same integers of the input.
- labels that are those of the model if the windows are streamed as live sound, each with silence after it.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.fold import print_table
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import repeat_sound, windows
from scenelet.data.clips import Clip
from scenelet.export.c.project import write_project
from scenelet.export.calibration import calibrate
from scenelet.export.fused.int8_network import Int8Network
from scenelet.export.fused.quantize import quantize_model
from scenelet.export.fused.run_int8 import run_int8
from scenelet.inference.classifier import Classifier
from scenelet.inference.prediction import mean_probabilities
from scenelet.model.ops import INPUT, OUTPUT
from scenelet.model.scene_model import SceneModel
from scenelet.utils.console import track

Rows = NDArray[np.float32]


def run_program(folder: Path, samples: Rows, fixed_point: bool) -> Rows:
    """Compile the program in a folder and run it on samples (windows, n, channels); return a row for each window."""
    sources = [path for path in folder.glob("*.c") if not path.name.startswith(("test_", "qemu_", "listen"))]
    flags = ["-std=c99", "-O2", f"-DSCENELET_FIXED_POINT={int(fixed_point)}", f"-I{folder}"]
    program = folder / "benchmark"
    subprocess.run(["cc", *flags, Path(__file__).with_suffix(".c"), *sources, "-o", program, "-lm"], check=True)
    done = subprocess.run([program], input=np.ascontiguousarray(samples).tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float32).reshape(len(samples), -1)


def table_rows(name: str, classifier: Classifier, test: Sequence[Clip], others: Sequence[Clip]) -> list[str]:
    """Measure the programs of one model; return one row per program."""
    model = classifier.model
    # windows before silent ends are filled, which the C program does itself
    plain = model.window.model_copy(update={"pad_mode": "zeros", "keep_rest": False})
    cuts = [list(windows(clip.path, model.features, plain)) for clip in track(test, "Reading", len(test))]
    samples, ends = np.concatenate([np.stack(cut) for cut in cuts]), np.cumsum([len(cut) for cut in cuts])[:-1]
    rounded = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.float32) / 32768
    log_mels = {False: log_mel_of(samples, model), True: log_mel_of(rounded, model)}
    targets = np.array([model.labels.index(clip.label) for clip in test])

    def by_clip(rows: Rows) -> Rows:
        return np.stack([mean_probabilities(part) for part in np.split(rows, ends)])

    expected = by_clip(classifier.probabilities(log_mels[False]))
    printed = [f"| {name} | the model | | | {100 * (expected.argmax(1) == targets).mean():.2f} | | | | |"]
    int8 = quantize_model(model, calibrate(model, [clip.path for clip in others]).ranges)
    for network, fixed_point in ((None, False), (int8, False), (int8, True)):
        with tempfile.TemporaryDirectory() as folder:
            write_project(model, name, Path(folder), "c", network)
            rows = run_program(Path(folder), samples.transpose(0, 2, 1), fixed_point)
        lengths = [log_mels[False][0].size] * 2 + [len(model.labels)]
        db, inputs, results, live_results = np.split(rows, np.cumsum(lengths), axis=1)
        errors = np.abs(db - log_mels[fixed_point].transpose(0, 2, 3, 1).reshape(db.shape))
        found, live = (by_clip(r if network is None else (r + 128) / 256) for r in (results, live_results))
        same, live_same = (f"{(each.argmax(1) == expected.argmax(1)).sum()} of {len(test)}" for each in (found, live))
        equal = "" if network is None else f"{count_equal(network, inputs, results)} of {len(rows)}"
        features = "fixed" if fixed_point else "floating"
        printed.append(
            f"| {name} | {'float' if network is None else 'int8'}, features in {features} point |"
            f" {errors.max():.2g} | {np.percentile(errors, 99):.2g} |"
            f" {100 * (found.argmax(1) == targets).mean():.2f} | {same} | {np.abs(found - expected).max():.2g} |"
            f" {equal} | {live_same} |"
        )
    return printed


def log_mel_of(samples: Rows, model: SceneModel) -> Rows:
    """Return the log-mel (windows, channels, n_mels, frames) of windows (windows, channels, n)."""
    log_mel, window = LogMel(model.features), model.window
    shortest = window.min_sound_samples(model.features.sample_rate)
    if window.pad_mode == "repeat":
        samples = np.stack([repeat_sound(cut, window.silence_threshold_db, shortest) for cut in samples])
    return np.stack([log_mel(cut) for cut in samples])


def count_equal(network: Int8Network, inputs: Rows, results: Rows) -> int:
    """Count the windows whose results are those of the reference."""
    shape = network.network.shapes[INPUT]
    pairs = track(zip(inputs, results, strict=True), "Reference", len(inputs))
    return sum(
        np.array_equal(run_int8(network, row.astype(np.int8).reshape(shape))[OUTPUT].ravel(), result)
        for row, result in pairs
    )


HEADER = "| model | program | largest, dB | 99 %, dB | accuracy, % | labels as the model | largest | equal | live |"

if __name__ == "__main__":
    print_table(__doc__ or "", HEADER, table_rows)
