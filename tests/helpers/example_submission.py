"""Valid submissions of each year, for tests of their validators."""

import dataclasses
from functools import cache
from typing import Any

import numpy as np

from scenelet.evaluation.submission.challenge import CHALLENGES, Challenge
from scenelet.evaluation.submission.form import meta_text, output_text
from scenelet.evaluation.submission.validate import Read

YEARS = tuple(CHALLENGES)
SMALL = {year: dataclasses.replace(challenge, recordings=12) for year, challenge in CHALLENGES.items()}
"""The challenges with an evaluation set of twelve recordings."""
AUTHOR: dict[str, Any] = {
    "lastname": "Müller",
    "firstname": "A.",
    "email": "a.mueller@example.org",
    "corresponding": True,
    "affiliation": {"abbreviation": "I", "institute": "Institute", "department": None, "location": "City, Country"},
}
DESCRIPTION: dict[str, Any] = {
    "input_sampling_rate": "48.0kHz",
    "acoustic_features": "log-mel energies",
    "machine_learning_method": "ResNet",
    "framework": "pytorch",
}
COMPLEXITY: dict[str, Any] = {
    "total_model_size": 70_124,
    "total_parameters": 35_062,
    "total_parameters_non_zero": 30_000,
    "model_size": 463.9,
    "memory_use": None,
    "macs": 22_649_568,
}
RESULT = {"accuracy": 54.3, "logloss": 1.2}


def label_of(challenge: Challenge, number: int = 1) -> str:
    """Return a label."""
    return f"Chang_QTI_{challenge.task}_{number}"


def valid_meta(challenge: Challenge, number: int = 1) -> dict[str, Any]:
    """Return complete meta information without a warning."""
    results: dict[str, Any] = {"overall": RESULT, "class_wise": dict.fromkeys(challenge.labels, RESULT)}
    if challenge.devices:
        results["device_wise"] = dict.fromkeys(challenge.devices, RESULT)
    by_split = dict.fromkeys(challenge.splits, results)
    system: dict[str, Any] = {
        "description": {key: DESCRIPTION.get(key) for key in challenge.description},
        "complexity": {key: COMPLEXITY[key] for key in challenge.complexity},
        "external_datasets": [],
        "source_code": None,
    }
    if challenge.energy:
        system["energy_consumption"] = dict.fromkeys(challenge.energy, 0.2)
    submission = {
        "label": label_of(challenge, number),
        "name": "Name",
        "abbreviation": "Ten_chars_",
        "authors": [AUTHOR],
    }
    results = {"development_dataset": by_split.get("", by_split)}
    # without shared objects, which YAML would write as aliases
    return _copied({"submission": submission, "system": system, "results": results})


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def valid_meta_bytes(challenge: Challenge, number: int = 1) -> bytes:
    """Return the file of `valid_meta`."""
    return meta_text(valid_meta(challenge, number), challenge.title).encode()


def report_values(challenge: Challenge, **changes: object) -> dict[str, Any]:
    """Return the values of an evaluation's `report.json` on the challenge's classes."""
    by_class = {
        label: {"accuracy": 0.9 + k / 100, "log_loss": 0.1, "clips": 5} for k, label in enumerate(challenge.labels)
    }
    figures = {"macro_accuracy": 0.91, "accuracy": 0.5, "log_loss": 0.25, "per_class": by_class, "clips": 15}
    return {**figures, "model": "m.scn", "model_sha256": "0", "split": "test", "synthetic": False, **changes}


@cache
def valid_output(challenge: Challenge) -> str:
    """Return a complete system output with random probabilities."""
    labels = challenge.labels
    probabilities = np.random.default_rng(0).dirichlet([0.3] * len(labels), challenge.recordings)
    rows = (
        (number, labels[int(row.argmax())], dict(zip(labels, row, strict=True)))
        for number, row in enumerate(probabilities)
    )
    return output_text(rows, labels)


def valid_system(challenge: Challenge, number: int = 1) -> dict[str, bytes]:
    """Return name -> content of all files of a system, with the meta information last."""
    label = label_of(challenge, number)
    files = {challenge.output_name(label, split): valid_output(challenge).encode() for split in challenge.splits}
    return {**files, f"{label}.meta.yaml": valid_meta_bytes(challenge, number)}


def readers(files: dict[str, bytes]) -> list[tuple[str, Read]]:
    """Return the files as `check_system` takes them."""
    return [(name, lambda content=content: content) for name, content in files.items()]
