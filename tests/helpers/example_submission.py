"""A valid submission, for tests of its validators."""

from functools import cache
from typing import Any

import numpy as np

from scenelet.evaluation.submission.form import LABELS, RECORDINGS, output_text

LABEL = "Chang_QTI_task1b_1"
OUTPUT, META = f"{LABEL}.output.csv", f"{LABEL}.meta.yaml"
AUTHOR: dict[str, Any] = {
    "lastname": "Müller",
    "firstname": "A.",
    "email": "a.mueller@example.org",
    "corresponding": True,
    "affiliation": {"abbreviation": "I", "institute": "Institute", "department": None, "location": "City, Country"},
}
VALID_META: dict[str, Any] = {
    "submission": {"label": LABEL, "name": "Name", "abbreviation": "Ten_chars_", "authors": [AUTHOR]},
    "system": {
        "description": {
            "input_sampling_rate": "48.0kHz",
            "acoustic_features": "log-mel energies",
            "embeddings": None,
            "data_augmentation": "mixup",
            "machine_learning_method": "ResNet",
            "ensemble_method_subsystem_count": None,
            "decision_making": None,
            "external_data_usage": None,
            "complexity_management": "pruning",
        },
        "complexity": {"total_parameters": 601862, "total_parameters_non_zero": 245587, "model_size": 463.9},
        "external_datasets": [],
        "source_code": None,
    },
    "results": {
        "development_dataset": {
            "overall": {"accuracy": 98.0, "logloss": 0.14},
            "class_wise": {label: {"accuracy": 98, "logloss": 0.14} for label in LABELS},
        }
    },
}


@cache
def valid_output() -> str:
    """A complete system output with random probabilities."""
    probabilities = np.random.default_rng(0).dirichlet((0.3, 0.3, 0.3), RECORDINGS)
    rows = (
        (number, LABELS[int(row.argmax())], dict(zip(LABELS, row, strict=True)))
        for number, row in enumerate(probabilities)
    )
    return output_text(rows)
