"""Predict the evaluation set and write a validated DCASE 2020 Task 1B submission."""

import contextlib
from pathlib import Path

from scenelet.audio.io import find_recordings
from scenelet.errors import DataError, OutputError, UsageError
from scenelet.evaluation.submission.details import EXAMPLE_LABEL, Details, read_details
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.form import (
    BYTES_PER_KB,
    LABELS,
    MAX_MODEL_BYTES,
    META_ENDING,
    OUTPUT_ENDING,
    RECORDINGS,
    meta_text,
    output_text,
)
from scenelet.evaluation.submission.meta import EVALUATE, data_augmentation, meta_information, read_report
from scenelet.evaluation.submission.validate import check_pair
from scenelet.evaluation.submission.validate_meta import check_meta
from scenelet.inference.classifier import load
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import sizes
from scenelet.utils.console import print_message, track
from scenelet.utils.files import make_folder, replace_files
from scenelet.utils.text import first_few


def submit(
    model: str, audio_dir: Path, details: Path, out: Path, *, report: Path | None = None, partial: bool = False
) -> tuple[Path, Path]:
    """Write `<label>.output.csv` and `<label>.meta.yaml`, either both or none, and return their paths.

    Args:
        model: a `.scn` file with the challenge's three classes.
        audio_dir: folder of the evaluation set, `0.wav` to `8639.wav`, also as FLAC and other formats.
        details: details file, see `scenelet.evaluation.submission.details`.
        out: the folder to write into.
        report: `report.json` of an evaluation, for the results; None leaves them out.
        partial: allow missing recordings. The challenge does not accept such a submission.

    Raises:
        SceneletError: an input cannot be used, or the submission would have a fault. Nothing is written.
    """
    authors_details = read_details(details)
    evaluation = None if report is None else read_report(report)
    classifier = load(model)
    if evaluation is not None and report is not None:
        evaluation.check_model(report, model)
    if set(classifier.labels) != set(LABELS):
        found = first_few(classifier.labels)
        raise UsageError(f"{model}: its labels are {found}; a submission needs a model of {', '.join(LABELS)}")
    recordings = evaluation_set(audio_dir, partial)
    meta = meta_text(meta_information(classifier.model, authors_details, evaluation))
    label = authors_details.label
    output_name, meta_name = label + OUTPUT_ENDING, label + META_ENDING
    _check_no_faults(check_meta(meta_name, meta.encode(), label), out)  # before the predictions, which take hours
    make_folder(out)
    for note in _notes(classifier.model, authors_details, details):
        print_message(note)
    if evaluation is None:
        print_message(f"the results are left out, since --report is not given; {EVALUATE}")
    else:
        for mismatch in evaluation.mismatches():
            print_message(f"warning: {report}: {mismatch}")
    with contextlib.closing(track(recordings.values(), "Predicting", len(recordings))) as audio:
        predictions = zip(recordings, classifier.predict_many(audio), strict=True)
        output = output_text((number, found.label, found.probabilities) for number, found in predictions)
    _check_no_faults(check_pair(output_name, output.encode(), meta_name, meta.encode(), partial=partial), out)
    paths = out / output_name, out / meta_name
    replace_files(dict(zip(paths, (output, meta), strict=True)))
    if len(recordings) < RECORDINGS:
        print_message(
            f"warning: only {len(recordings):,} of {RECORDINGS:,} recordings;"
            " the challenge does not accept such a submission"
        )
    return paths


def evaluation_set(folder: Path, partial: bool = False) -> dict[int, Path]:
    """Find the recordings of the evaluation set: number -> recording, in order. `partial` allows missing recordings.

    Raises:
        DataError: there are no recordings, one is missing, has another name, or has the number of another one.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the one with 0.wav to {RECORDINGS - 1}.wav")
    found: dict[int, Path] = {}
    names = {str(number): number for number in range(RECORDINGS)}
    for path in find_recordings(folder):
        if path.stem not in names:
            raise DataError(f"{path}: not a name of the evaluation set, 0.wav to {RECORDINGS - 1}.wav; move it away")
        number = names[path.stem]
        if number in found:
            raise DataError(f"{path}: {found[number]} has the same number; move one of them away")
        found[number] = path
    missing = [f"{number}.wav" for number in names.values() if number not in found]
    if not found or (missing and not partial):
        raise DataError(
            f"{folder}: has {len(found):,} of the {RECORDINGS:,} recordings, without {first_few(missing)};"
            " give the whole evaluation set" + ("" if partial else ", or use --partial to try a few")
        )
    return dict(sorted(found.items()))


def _check_no_faults(faults: list[Fault], out: Path) -> None:
    if faults:
        more = f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else ""
        raise OutputError(f"{out}: nothing is written because of a fault of the submission: {faults[0]}{more}")


def _notes(model: SceneModel, details: Details, path: Path) -> list[str]:
    """List the facts about the meta information that the authors should check before they submit it."""
    size = sizes(model, 0)
    counted, with_norms = size["dcase2020"] / BYTES_PER_KB, size["dcase2020_with_ssn"] / BYTES_PER_KB
    limit = MAX_MODEL_BYTES // BYTES_PER_KB
    notes = [
        f"model_size is {counted:.2f} KB by the challenge's rule, or {with_norms:.2f} KB with sub-spectral norms;"
        f" the limit is {limit} KB of {BYTES_PER_KB} bytes"
    ]
    if details.label == EXAMPLE_LABEL:
        notes.append(f"warning: {path} still has the example's label, {details.label}; change it before you submit")
    if details.data_augmentation is None and data_augmentation(model) is None:
        notes.append(
            "warning: data_augmentation is null, since the model file stores none;"
            f" if training used any, name it in {path}"
        )
    return notes
