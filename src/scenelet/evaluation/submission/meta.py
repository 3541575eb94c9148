"""The meta information of a submission, from its models, its details and evaluation reports."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from scenelet.config import AugmentConfig, MixingConfig, WaveformConfig
from scenelet.evaluation.submission.challenge import Challenge
from scenelet.evaluation.submission.details import Details
from scenelet.evaluation.submission.results import EvaluationReport, results
from scenelet.model.encodings import BYTES
from scenelet.model.ops import Conv, Linear
from scenelet.model.rules import clip_macs
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import nonzero_parameters, sizes

BYTES_PER_KB = 1024  # the KB of 2020, the unit of `model_size`


def meta_information(
    models: Mapping[str, SceneModel],
    details: Details,
    challenge: Challenge,
    reports: Mapping[str, EvaluationReport] | None = None,
) -> dict[str, Any]:
    """Collect the sections of `<label>.meta.yaml`, in their order. Values that do not apply, or are unknown, are None.

    Args:
        models: the submitted model of each training split of the challenge. The last one is described. The complexity
            is the largest of all.
        details: the details that its authors gave.
        challenge: the year's challenge.
        reports: the reports of their evaluations; a missing one leaves out its results.
    """
    model = models[challenge.splits[-1]]
    description = describe(model, details, challenge)
    complexities = [complexity(one, details, challenge) for one in models.values()]
    system: dict[str, Any] = {
        "description": {key: description[key] for key in challenge.description},
        "complexity": {key: max((one[key] for one in complexities), key=_or_zero) for key in challenge.complexity},
    }
    if challenge.energy:
        system["energy_consumption"] = details.energy_consumption.model_dump(include=set(challenge.energy))
    # an empty list rather than null, with which the validator of 2020 crashes
    system["external_datasets"] = [dataset.model_dump() for dataset in details.external_datasets]
    system["source_code"] = details.source_code
    by_split = {split: results((reports or {}).get(split), challenge) for split in challenge.splits}
    return {
        "submission": details.model_dump(include={"label", "name", "abbreviation", "authors"}),
        "system": system,
        "results": {"development_dataset": by_split.get("", by_split)},
    }


def describe(model: SceneModel, details: Details, challenge: Challenge) -> dict[str, Any]:
    """Collect every value that some year's `system.description` asks for."""
    count = model.members if details.ensemble_count is None else details.ensemble_count
    return {
        "input_sampling_rate": f"{model.features.sample_rate / 1000}kHz",
        "acoustic_features": "log-mel energies",
        "embeddings": details.embeddings,
        "data_augmentation": details.data_augmentation or data_augmentation(model),
        "machine_learning_method": machine_learning_method(model),
        # the challenge asks for null if there is no ensemble
        "ensemble_method_subsystem_count": count if count > 1 else None,
        "decision_making": decision_making(model, challenge.clip_seconds),
        "external_data_usage": details.external_data_usage,
        "complexity_management": complexity_management(model),
        "pipeline": details.pipeline,
        "framework": details.framework,
        "split_adaptations": details.split_adaptations,
        "system_adaptations": details.system_adaptations,
    }


def complexity(model: SceneModel, details: Details, challenge: Challenge) -> dict[str, Any]:
    """Collect every value that some year's `system.complexity` asks for.

    `memory_use` is that of the details, since no public file defines it. `total_parameters_non_zero` counts what the
    pruning kept in 2020, as `model_size` does. In later years, weights that are zero in the file do not count.
    """
    size = sizes(model, 0)
    nonzero = model.counts.parameters_kept if challenge.year == 2020 else nonzero_parameters(model)
    return {
        "total_model_size": size["dcase2024"],
        "total_parameters": model.counts.parameters,
        "total_parameters_non_zero": nonzero,
        # three decimals are enough to see a single byte above the limit
        "model_size": round(size["dcase2020"] / BYTES_PER_KB, 3),
        "memory_use": details.memory_use,
        "macs": clip_macs(model, challenge.clip_seconds),
    }


def _or_zero(value: float | None) -> float:
    return value or 0


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


def decision_making(model: SceneModel, clip_seconds: int) -> str | None:
    """Name the method that joins a recording's windows and an ensemble's members; None if there is one of each."""
    rate = model.features.sample_rate
    return "average" if model.window.count(clip_seconds * rate, rate) * model.members > 1 else None


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
