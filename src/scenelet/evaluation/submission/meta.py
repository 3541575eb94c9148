"""The meta information of a submission, from a model, its details and an evaluation report."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from scenelet.config import AugmentConfig, MixingConfig, WaveformConfig
from scenelet.errors import DataError
from scenelet.evaluation.submission.details import Details
from scenelet.evaluation.submission.form import BYTES_PER_KB, LABELS
from scenelet.model.encodings import BYTES
from scenelet.model.ops import Conv, Linear
from scenelet.model.pretrained import model_path
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import sizes

CLIP_SECONDS = 10  # length of the challenge's recordings
EVALUATE = "scenelet evaluate MODEL DATA --out DIR writes one"


class _ClassMetrics(BaseModel, allow_inf_nan=False):
    accuracy: float = Field(ge=0, le=1)
    log_loss: float = Field(ge=0)


class EvaluationReport(BaseModel, allow_inf_nan=False):
    """The values of `report.json` that a submission needs."""

    macro_accuracy: float = Field(ge=0, le=1)
    log_loss: float = Field(ge=0)
    per_class: dict[str, _ClassMetrics]
    model: str = ""
    model_sha256: str
    split: str = "test"
    synthetic: bool = False

    def check_model(self, path: Path, model: str) -> None:
        """Check that this report, read from `path`, is that of a model file or a built-in model.

        Raises:
            DataError: the report is about another file, or about an earlier content of this file.
        """
        if self.model_sha256 != hashlib.sha256(model_path(model).read_bytes()).hexdigest():
            other = f"another model, {self.model}" if self.model != model else "another version of this file"
            raise DataError(f"{path}: is not the report of {model} but of {other}; run scenelet evaluate {model}")

    def mismatches(self) -> list[str]:
        """List the reasons why these may not be the results that the challenge asks for."""
        split = [] if self.split == "test" else [f"it is about the split {self.split!r}, not 'test'"]
        scenes = ["it is about synthetic scenes, not the challenge's recordings"] if self.synthetic else []
        return split + scenes


def meta_information(model: SceneModel, details: Details, report: EvaluationReport | None = None) -> dict[str, Any]:
    """Collect the sections of `<label>.meta.yaml`, in their order. Values that do not apply, or are unknown, are None.

    Args:
        model: the submitted model.
        details: the details that its authors gave.
        report: the report of its evaluation; None leaves out the results.
    """
    count = details.ensemble_count
    return {
        "submission": details.model_dump(include={"label", "name", "abbreviation", "authors"}),
        "system": {
            "description": {
                "input_sampling_rate": f"{model.features.sample_rate / 1000}kHz",
                "acoustic_features": "log-mel energies",
                "embeddings": details.embeddings,
                "data_augmentation": details.data_augmentation or data_augmentation(model),
                "machine_learning_method": machine_learning_method(model),
                # the challenge asks for null if there is no ensemble
                "ensemble_method_subsystem_count": count if count > 1 else None,
                "decision_making": decision_making(model),
                "external_data_usage": details.external_data_usage,
                "complexity_management": complexity_management(model),
            },
            "complexity": {
                "total_parameters": model.counts.parameters,
                "total_parameters_non_zero": model.counts.parameters_kept,
                # three decimals are enough to see a single byte above the limit
                "model_size": round(sizes(model, 0)["dcase2020"] / BYTES_PER_KB, 3),
            },
            # an empty list rather than null, with which the challenge's validator crashes
            "external_datasets": [dataset.model_dump() for dataset in details.external_datasets],
            "source_code": details.source_code,
        },
        "results": {"development_dataset": _results(report)},
    }


def data_augmentation(model: SceneModel) -> str | None:
    """List the augmentations of the training, from the model file; None if there were none, or if they are unknown."""
    try:
        mixing = MixingConfig.model_validate(model.provenance.get("mixing"))
        augment = AugmentConfig.model_validate(model.provenance.get("augment"))
        waveform = WaveformConfig.model_validate(model.provenance.get("waveform", {}))
    except ValidationError:
        return None
    mixers = ("mixup", "freqmix", "timemix", "cutmix", "freq_mixstyle") if mixing.combine != "none" else ()
    used = [name for name in mixers if getattr(mixing, name)]
    amounts = {
        "time rolling": augment.time_roll,
        "time stretching": augment.time_stretch,
        "cropping": augment.crop_frames,
        "frequency shifting": augment.frequency_shift,
        "gain": augment.gain_db,
        "filtering": augment.filter_augment_db,
        "frequency masking": augment.frequency_mask,
        "time masking": augment.time_mask,
        "mixing with background": model.background is not None and augment.background_probability,
        "speed perturbation": waveform.speed,
        "pitch shifting": waveform.pitch_semitones and waveform.pitch_probability,
        "time shifting": waveform.shift_seconds,
        "between-class mixing": waveform.mix_probability,
        "impulse responses": waveform.response_probability,
        "noise": waveform.noise_probability,
        "waveform gain": waveform.gain_db,
    }
    return ", ".join([*used, *(name for name, amount in amounts.items() if amount)]) or None


def machine_learning_method(model: SceneModel) -> str:
    """Name the type of the network in the challenge's terms: residual, convolutional or dense."""
    ops = {node.op for node in model.nodes}
    return "ResNet" if {"Add", "Conv"} <= ops else "CNN" if "Conv" in ops else "MLP"


def decision_making(model: SceneModel) -> str | None:
    """Name the method that joins a recording's windows; None if one window holds the whole recording."""
    rate = model.features.sample_rate
    return "average" if model.window.count(CLIP_SECONDS * rate, rate) > 1 else None


def complexity_management(model: SceneModel) -> str | None:
    """List the methods that make the model small, as found in its weights."""
    counts = model.counts
    methods = []
    if counts.conv_kept + counts.linear_kept < counts.conv + counts.linear:
        methods.append("pruning")
    weights = [name for node in model.nodes if isinstance(node, Conv | Linear) for name in node.arrays]
    encodings = {model.encodings[name] for name in weights}
    if {BYTES[encoding] for encoding in encodings} == {2}:
        methods.append("half precision")
    elif "masked_int8" in encodings:
        methods.append("int8 weights")
    return ", ".join(methods) or None


def read_report(path: Path) -> EvaluationReport:
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
    if set(report.per_class) != set(LABELS):
        found = ", ".join(report.per_class) or "no classes"
        raise DataError(f"{path}: per_class has {found}; it must have {', '.join(LABELS)}; {EVALUATE}")
    return report


def _results(report: EvaluationReport | None) -> dict[str, Any]:
    """Collect accuracies in percent and log losses; the overall accuracy is the macro average. All may be left out."""
    if report is None:
        return {"overall": None, "class_wise": None}

    def rounded(accuracy: float, log_loss: float) -> dict[str, float]:
        return {"accuracy": round(100 * accuracy, 2), "logloss": round(log_loss, 4)}

    by_class = {label: report.per_class[label] for label in LABELS}
    return {
        "overall": rounded(report.macro_accuracy, report.log_loss),
        "class_wise": {label: rounded(own.accuracy, own.log_loss) for label, own in by_class.items()},
    }
