"""Predict the evaluation set and write a validated submission."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from scenelet.audio.io import find_recordings
from scenelet.errors import DataError, OutputError, UsageError
from scenelet.evaluation.submission.challenge import META_ENDING, Challenge
from scenelet.evaluation.submission.details import Details, read_details
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.form import meta_text, output_text
from scenelet.evaluation.submission.meta import BYTES_PER_KB, complexity, data_augmentation, meta_information
from scenelet.evaluation.submission.results import EVALUATE, EvaluationReport, read_report
from scenelet.evaluation.submission.validate_meta import check_meta
from scenelet.evaluation.submission.validate_output import check_output
from scenelet.inference.classifier import Classifier, load
from scenelet.model.rules import RULES, apply_rule
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import sizes
from scenelet.utils.console import print_message, print_warning, track
from scenelet.utils.files import make_folder, replace_files
from scenelet.utils.text import first_few


def submit(
    model: str,
    audio_dir: Path,
    details: Path,
    out: Path,
    challenge: Challenge,
    *,
    report: Path | None = None,
    partial: bool = False,
) -> list[Path]:
    """Write the outputs and `<label>.meta.yaml`, either all or none, and return their paths.

    Args:
        model: a `.scn` file with the challenge's classes. If the challenge has training splits, a folder with a file
            per split, `split_5.scn` and so on.
        audio_dir: folder of the evaluation set, `0.wav` and so on, also as FLAC and other formats.
        details: details file, see `scenelet.evaluation.submission.details`.
        out: the folder to write into.
        challenge: the year's challenge.
        report: `report.json` of an evaluation, for the results. If the challenge has training splits, a folder with
            `split_5/report.json` and so on. None leaves the results out.
        partial: allow missing recordings. The challenge does not accept such a submission.

    Raises:
        SceneletError: an input cannot be used, or the submission would have a fault. Nothing is written.
    """
    own = read_details(details, challenge)
    paths = model_files(model, challenge)
    reports = _read_reports(report, paths, challenge)
    classifiers = {split: _load(path, challenge) for split, path in paths.items()}
    recordings = evaluation_set(audio_dir, challenge, partial)
    models = {split: classifier.model for split, classifier in classifiers.items()}
    meta_name = own.label + META_ENDING
    meta = meta_text(meta_information(models, own, challenge, reports), challenge.title)
    # before the predictions, which take hours
    _check_no_faults(check_meta(meta_name, meta.encode(), challenge, own.label), out)
    _check_limits(models, paths, challenge)
    make_folder(out)
    for note in [*_notes(models, own, details, challenge), *_report_notes(report, reports)]:
        (print_warning if note.startswith("warning: ") else print_message)(note)
    files = dict[Path, bytes | str]()
    for split, classifier in classifiers.items():
        name = challenge.output_name(own.label, split)
        data = _predict(classifier, recordings, challenge, f"Predicting {split}".strip())
        _check_no_faults(check_output(name, data, challenge, partial), out)
        files[out / name] = data
    files[out / meta_name] = meta
    replace_files(files)
    if len(recordings) < challenge.recordings:
        print_warning(
            f"warning: only {len(recordings):,} of {challenge.recordings:,} recordings;"
            " the challenge does not accept such a submission"
        )
    return list(files)


def model_files(model: str, challenge: Challenge) -> dict[str, str]:
    """Return the model file of each training split of the challenge; "" is the key if it has no splits.

    Raises:
        UsageError: the challenge has splits, and `model` is not a folder with a file for each.
    """
    if challenge.splits == ("",):
        return {"": model}
    paths = {split: Path(model, f"{split}.scn") for split in challenge.splits}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if missing:
        need = f"{challenge.title} needs a folder with {', '.join(path.name for path in paths.values())}"
        raise UsageError(f"{model}: has no {', '.join(missing)}; {need}")
    return {split: str(path) for split, path in paths.items()}


def evaluation_set(folder: Path, challenge: Challenge, partial: bool = False) -> dict[int, Path]:
    """Find the recordings of the evaluation set: number -> recording, in order. `partial` allows missing recordings.

    Raises:
        DataError: there are no recordings, one is missing, has another name, or has the number of another one.
    """
    total = challenge.recordings
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the one with 0.wav to {total - 1}.wav")
    found: dict[int, Path] = {}
    names = {str(number): number for number in range(total)}
    for path in find_recordings(folder):
        if path.stem not in names:
            raise DataError(f"{path}: not a name of the evaluation set, 0.wav to {total - 1}.wav; move it away")
        number = names[path.stem]
        if number in found:
            raise DataError(f"{path}: {found[number]} has the same number; move one of them away")
        found[number] = path
    missing = [f"{number}.wav" for number in names.values() if number not in found]
    if not found or (missing and not partial):
        raise DataError(
            f"{folder}: has {len(found):,} of the {total:,} recordings, without {first_few(missing)};"
            " give the whole evaluation set" + ("" if partial else ", or use --partial to try a few")
        )
    return dict(sorted(found.items()))


def _load(path: str, challenge: Challenge) -> Classifier:
    classifier = load(path)
    if set(classifier.labels) != set(challenge.labels):
        found = first_few(classifier.labels)
        need = f"a submission to {challenge.title} needs a model of {', '.join(challenge.labels)}"
        raise UsageError(f"{path}: its labels are {found}; {need}")
    return classifier


def _read_reports(report: Path | None, models: Mapping[str, str], challenge: Challenge) -> dict[str, EvaluationReport]:
    """Read the report of each training split, and check that it is about that split's model."""
    if report is None:
        return {}
    found = {}
    for split, model in models.items():
        path = report / split / "report.json" if split else report
        found[split] = read_report(path, challenge)
        found[split].check_model(path, model)
    return found


def _predict(classifier: Classifier, recordings: Mapping[int, Path], challenge: Challenge, title: str) -> bytes:
    """Predict all recordings and return the system output, as bytes, which need the least memory."""
    with contextlib.closing(track(recordings.values(), title, len(recordings))) as audio:
        predictions = zip(recordings, classifier.predict_many(audio), strict=True)
        rows = ((number, found.label, found.probabilities) for number, found in predictions)
        return output_text(rows, challenge.labels).encode()


def _check_no_faults(found: list[Fault], out: Path) -> None:
    faults = [fault for fault in found if not fault.warning]
    if faults:
        more = f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else ""
        raise OutputError(f"{out}: nothing is written because of a fault of the submission: {faults[0]}{more}")


def _check_limits(models: Mapping[str, SceneModel], paths: Mapping[str, str], challenge: Challenge) -> None:
    """Check each model by the year's size rule. The meta information of 2021 has no key with a limit."""
    for split, model in models.items():
        if excesses := apply_rule(RULES[f"dcase{challenge.year}"], model, 0).excesses:
            above = f"is above the limits of {challenge.title} by {' and '.join(excesses)}"
            raise OutputError(f"{paths[split]}: {above}; nothing is written; give a smaller model")


def _notes(models: Mapping[str, SceneModel], details: Details, path: Path, challenge: Challenge) -> list[str]:
    """List the facts about the meta information that the authors should check before they submit it."""
    notes = []
    model = models[challenge.splits[-1]]
    limits = dict(challenge.limits)
    if "model_size" in limits:
        size = sizes(model, 0)
        counted, with_norms = size["dcase2020"] / BYTES_PER_KB, size["dcase2020_with_ssn"] / BYTES_PER_KB
        notes.append(
            f"model_size is {counted:.2f} KB by the challenge's rule, or {with_norms:.2f} KB with sub-spectral norms;"
            f" the limit is {limits['model_size']} KB of {BYTES_PER_KB} bytes"
        )
    elif not limits:
        found, counts = apply_rule(RULES[f"dcase{challenge.year}"], model, 0), RULES[f"dcase{challenge.year}"].counts
        notes.append(f"{counts} take {found.bytes:,} bytes; the limit is {found.max_bytes:,}")
    else:
        for key, limit in limits.items():
            most = max(complexity(one, details, challenge)[key] for one in models.values())
            notes.append(f"{key} is {most:,}; the limit is {limit:,}")
    if details.label == challenge.example_label:
        notes.append(f"warning: {path} still has the example's label, {details.label}; change it before you submit")
    if details.data_augmentation is None and data_augmentation(model) is None:
        notes.append(
            "warning: data_augmentation is null, since the model file stores none;"
            f" if training used any, name it in {path}"
        )
    return notes


def _report_notes(report: Path | None, reports: Mapping[str, EvaluationReport]) -> list[str]:
    if not reports:
        return [f"the results are left out, since --report is not given; {EVALUATE}"]
    return [
        f"warning: {report}{f', {split}' if split else ''}: {mismatch}"
        for split, one in reports.items()
        for mismatch in one.mismatches()
    ]
