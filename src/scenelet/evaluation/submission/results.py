"""Results of a submission: the evaluation report that they come from, and their section of the meta information."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from scenelet.errors import DataError, escape_unprintable
from scenelet.evaluation.submission.challenge import Challenge
from scenelet.model.pretrained import model_path

EVALUATE = "scenelet evaluate MODEL DATA --out DIR writes one"


class _ClassMetrics(BaseModel, allow_inf_nan=False):
    accuracy: float = Field(ge=0, le=1)
    log_loss: float = Field(ge=0)


class _DeviceMetrics(BaseModel, allow_inf_nan=False):
    macro_accuracy: float | None = Field(None, ge=0, le=1)
    log_loss: float | None = Field(None, ge=0)


class EvaluationReport(BaseModel, allow_inf_nan=False):
    """The values of `report.json` that a submission needs."""

    macro_accuracy: float = Field(ge=0, le=1)
    log_loss: float = Field(ge=0)
    per_class: dict[str, _ClassMetrics]
    per_device: dict[str, _DeviceMetrics] = {}
    model: str = ""
    model_sha256: str
    split: str = "test"
    synthetic: bool = False
    warning: str | None = None
    device_models: dict[str, Any] | None = None

    def check_model(self, path: Path, model: str) -> None:
        """Check that this report, read from `path`, is that of a model file or a built-in model.

        Raises:
            DataError: the report is about another file, an earlier content of this file, or a folder of device models.
        """
        if self.device_models is not None:
            folder = f"{self.model}, a folder of device models"
            raise DataError(f"{path}: is the report of {folder}, not of {model}; run scenelet evaluate {model}")
        if self.model_sha256 != hashlib.sha256(model_path(model).read_bytes()).hexdigest():
            other = f"another model, {self.model}" if self.model != model else "another version of this file"
            raise DataError(f"{path}: is not the report of {model} but of {other}; run scenelet evaluate {model}")

    def mismatches(self) -> list[str]:
        """List the reasons why these may not be the results that the challenge asks for."""
        split = [] if self.split == "test" else [f"it is about the split {self.split!r}, not 'test'"]
        scenes = ["it is about synthetic scenes, not the challenge's recordings"] if self.synthetic else []
        return [*split, *scenes, *([escape_unprintable(self.warning)] if self.warning else [])]


def read_report(path: Path, challenge: Challenge) -> EvaluationReport:
    """Read and check the `report.json` of an evaluation.

    Raises:
        DataError: the file cannot be read, is not the report of an evaluation, or is about other classes.
    """
    try:
        report = EvaluationReport.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {EVALUATE}") from None
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        reason = f"{where} is missing or invalid" if where else "it has no keys"
        raise DataError(f"{path}: not the report of an evaluation on all classes ({reason}); {EVALUATE}") from None
    except (ValueError, RecursionError):
        raise DataError(f"{path}: not JSON; {EVALUATE}") from None
    if set(report.per_class) != set(challenge.labels):
        found = ", ".join(report.per_class) or "no classes"
        raise DataError(f"{path}: per_class has {found}; it must have {', '.join(challenge.labels)}; {EVALUATE}")
    return report


def results(report: EvaluationReport | None, challenge: Challenge) -> dict[str, Any]:
    """Collect accuracies in percent and log losses; the overall accuracy is the mean of those of the classes.

    Each section may be None. A device that the report does not have gets None for both values.
    """
    if report is None:
        return dict.fromkeys(("overall", "class_wise", *(["device_wise"] if challenge.devices else ())))
    found: dict[str, Any] = {
        "overall": _percent(report.macro_accuracy, report.log_loss),
        "class_wise": {
            label: _percent(report.per_class[label].accuracy, report.per_class[label].log_loss)
            for label in challenge.labels
        },
    }
    if challenge.devices:
        own = {device: report.per_device.get(device, _DeviceMetrics()) for device in challenge.devices}
        by_device = {device: _percent(one.macro_accuracy, one.log_loss) for device, one in own.items()}
        found["device_wise"] = by_device if report.per_device else None
    return found


def _percent(accuracy: float | None, log_loss: float | None) -> dict[str, float | None]:
    return {
        "accuracy": None if accuracy is None else round(100 * accuracy, 2),
        "logloss": None if log_loss is None else round(log_loss, 4),
    }
