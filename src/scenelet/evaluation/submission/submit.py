"""Predict the evaluation set and write a DCASE 2020 Task 1B submission, checked before it is put in place."""

import contextlib
from pathlib import Path

from scenelet.audio.io import EXTENSIONS
from scenelet.errors import DataError, OutputError, UsageError
from scenelet.evaluation.submission.details import EXAMPLE_LABEL, Details, read_details
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.form import (
    BYTES_PER_KB,
    FILENAME,
    LABELS,
    MAX_MODEL_BYTES,
    META_ENDING,
    OUTPUT_ENDING,
    RECORDINGS,
    OutputRow,
    meta_text,
    output_text,
    write_pair,
)
from scenelet.evaluation.submission.meta import EVALUATE, data_augmentation, meta_information, read_report
from scenelet.evaluation.submission.validate import check_pair
from scenelet.evaluation.submission.validate_meta import check_meta
from scenelet.inference.classifier import Classifier, load
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import sizes
from scenelet.utils.console import print_message, track
from scenelet.utils.files import make_folder
from scenelet.utils.text import first_few


def submit(
    model: str, audio_dir: Path, details: Path, out: Path, *, report: Path | None = None, partial: bool = False
) -> tuple[Path, Path]:
    """Write `<label>.output.csv` and `<label>.meta.yaml` into `out`, both or neither; returns their paths.

    Args:
        model: a `.scn` file of the three classes.
        audio_dir: the evaluation set's recordings, `0.wav` to `8639.wav`, or FLAC and others under these names.
        details: what the model file does not know, see `scenelet.evaluation.submission.details`.
        out: the folder to write into.
        report: `report.json` of an evaluation, for the results; None leaves them out.
        partial: fewer recordings will do. The challenge does not take such a submission.

    Raises:
        SceneletError: one of these cannot be used, or the submission would have a fault; nothing is written.
    """
    told = read_details(details)
    figures = None if report is None else read_report(report)
    classifier = load(model)
    _check_three_classes(model, classifier.labels)
    recordings = evaluation_set(audio_dir, partial)
    meta = meta_text(meta_information(classifier.model, told, figures))
    output_name, meta_name = told.label + OUTPUT_ENDING, told.label + META_ENDING
    _check_absent(check_meta(meta_name, meta.encode(), told.label), out)  # before the hours of predicting
    make_folder(out)
    for note in _notes(classifier.model, told, details):
        print_message(note)
    if figures is None:
        print_message(f"the results are left out, for there is no --report; {EVALUATE}")
    else:
        for doubt in figures.doubts(model):
            print_message(f"warning: {report}: {doubt}")
    output = output_text(_predict(classifier, recordings))
    _check_absent(check_pair(output_name, output.encode(), meta_name, meta.encode(), partial=partial), out)
    paths = write_pair(out, told.label, output, meta)
    if len(recordings) < RECORDINGS:
        print_message(
            f"warning: only {len(recordings):,} of {RECORDINGS:,} recordings: a trial, no submission that counts"
        )
    return paths


def evaluation_set(folder: Path, partial: bool = False) -> dict[int, Path]:
    """The recordings of the evaluation set by their number, in order; `partial` takes any of them.

    Raises:
        DataError: no recordings, one under another name, one number twice, or one missing.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the one that holds 0.wav to {RECORDINGS - 1}.wav")
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in EXTENSIONS or path.name.startswith(".") or not path.is_file():
            continue
        number = FILENAME.fullmatch(f"{path.stem}.wav")
        if number is None or len(path.stem) > len(str(RECORDINGS)) or int(path.stem) >= RECORDINGS:
            raise DataError(f"{path}: not a name of the evaluation set, 0.wav to {RECORDINGS - 1}.wav; move it away")
        if int(path.stem) in found:
            raise DataError(f"{path}: {found[int(path.stem)].name} is there too; move one away")
        found[int(path.stem)] = path
    missing = [f"{number}.wav" for number in range(RECORDINGS) if number not in found]
    if not found or (missing and not partial):
        raise DataError(
            f"{folder}: holds {len(found):,} of the {RECORDINGS:,} recordings, without {first_few(missing)};"
            " give the whole evaluation set" + ("" if partial else ", or --partial to try it on a few")
        )
    return dict(sorted(found.items()))


def _predict(classifier: Classifier, recordings: dict[int, Path]) -> list[OutputRow]:
    with contextlib.closing(track(recordings.values(), "Predicting", len(recordings))) as paths:
        return [
            OutputRow(number, prediction.label, prediction.probabilities)
            for number, prediction in zip(recordings, classifier.predict_many(paths), strict=True)
        ]


def _check_three_classes(model: str, labels: tuple[str, ...]) -> None:
    if set(labels) != set(LABELS):
        raise UsageError(
            f"{model}: its labels are {first_few(labels)}; a submission needs a model of {', '.join(LABELS)}"
        )


def _check_absent(faults: list[Fault], out: Path) -> None:
    if faults:
        more = f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else ""
        raise OutputError(f"{out}: nothing is written, since the submission would have a fault: {faults[0]}{more}")


def _notes(model: SceneModel, told: Details, details: Path) -> list[str]:
    """What the authors should know of the meta information before they send it."""
    size = sizes(model, 0)
    kept, with_norms = size["dcase2020"] / BYTES_PER_KB, size["dcase2020_with_ssn"] / BYTES_PER_KB
    limit = MAX_MODEL_BYTES // BYTES_PER_KB
    notes = [
        f"model_size {kept:.2f} KB by the challenge's rule, with sub-spectral norms counted {with_norms:.2f} KB;"
        f" the limit is {limit} KB of {BYTES_PER_KB} bytes"
    ]
    if told.label == EXAMPLE_LABEL:
        notes.append(f"warning: {details} still has the example's label, {told.label}; fill it in before you submit")
    if told.data_augmentation is None and data_augmentation(model) is None:
        notes.append(
            "warning: data_augmentation is null, since the model file does not say;"
            f" if there was any, name it in {details}"
        )
    return notes
