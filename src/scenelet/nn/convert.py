"""A trained, perhaps pruned, network -> the `SceneModel` that is written as `.scn`."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from scenelet.config import FeatureConfig, WindowConfig
from scenelet.model.scene_model import SceneModel, TrainingCounts
from scenelet.nn.norm import SubSpectralNorm
from scenelet.nn.prune import convolution_weights
from scenelet.nn.quantize import LEVELS, WeightFormat
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.nn.trace import trace


def to_scene_model(
    network: StandardizedNetwork,
    labels: tuple[str, ...],
    features: FeatureConfig,
    window: WindowConfig,
    masks: Mapping[str, Tensor] | None = None,
    dtype: WeightFormat = "fp16",
    provenance: Mapping[str, Any] | None = None,
    results: Mapping[str, Any] | None = None,
    licenses: tuple[str, ...] = (),
) -> SceneModel:
    """Everything a user of the model needs, as plain data.

    Weights of convolutions and dense layers are stored as a mask of kept weights and values, in fp16 or as whole
    numbers (`dtype` "int8" or "int4": the network's weights must be on their grid, see `compression.quantize`); norms
    and biases in fp16, the standardization in fp32. `dtype="fp32"` stores all of it exactly, at twice the size.
    """
    nodes, arrays = trace(network)
    encodings: dict[str, Any] = {}
    for name in arrays:
        if dtype == "fp32" or name.startswith("standardize."):
            encodings[name] = "fp32"
        else:
            weights = "masked_int8" if dtype in LEVELS else "masked_fp16"
            encodings[name] = weights if name.endswith(".weight") else "fp16"
    return SceneModel(
        labels=labels,
        features=features,
        window=window,
        nodes=nodes,
        arrays=arrays,
        encodings=encodings,
        counts=training_counts(network, masks),
        provenance=dict(provenance or {}),
        results=dict(results or {}),
        licenses=list(licenses),
    )


def training_counts(network: nn.Module, masks: Mapping[str, Tensor] | None = None) -> TrainingCounts:
    """Parameters as the paper counts them: kept is what the mask keeps, whatever its value."""
    weights = convolution_weights(network)
    total = sum(weight.numel() for weight in weights.values())
    kept = total if masks is None else int(sum(int(mask.sum()) for mask in masks.values()))
    batch_norm = sub_spectral = linear = 0
    for module in network.modules():
        if isinstance(module, nn.Linear):
            linear += module.weight.numel()
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            linear += module.bias.numel()
        if isinstance(module, nn.BatchNorm2d):
            batch_norm += module.weight.numel() + module.bias.numel()
        elif isinstance(module, SubSpectralNorm):
            sub_spectral += module.weight.numel() + module.bias.numel()
    return TrainingCounts(
        conv=total,
        conv_kept=kept,
        linear=linear,
        linear_kept=linear,
        batch_norm=batch_norm,
        sub_spectral_norm=sub_spectral,
    )
