"""Conversion of a trained network to the `SceneModel` that a `.scn` file stores."""

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
    background: str | None = None,
) -> SceneModel:
    """Convert a network to plain data that predicts without PyTorch.

    Weights of convolutions and dense layers are stored as a mask and the kept values. Norms and biases are stored in
    fp16. The standardization and the scale of the mean over members are stored in fp32.

    Args:
        network: the trained network, perhaps pruned.
        labels: the classes, in the order of the logits.
        features: the settings of the features that the network was trained on.
        window: the settings of the windows that the network was trained on.
        masks: the pruning masks by parameter name, or None if nothing is pruned.
        dtype: the format of the weights: "fp16"; "int8" or "int4", if the weights are on that grid (see
            `scenelet.nn.quantize`); or "fp32", which stores every array exactly at twice the size.
        provenance, results: JSON values; see `SceneModel`.
        licenses: the licenses of the training recordings.
        background: the label that means none of the others, or None.

    Raises:
        TypeError: as `scenelet.nn.trace.trace`.

    >>> import torch
    >>> from scenelet.nn import create_model
    >>> network = StandardizedNetwork(create_model("shared_resnet", num_classes=2, width=4), *torch.ones(2, 256))
    >>> model = to_scene_model(network.eval(), ("dog", "rain"), FeatureConfig(), WindowConfig())
    >>> model.counts.conv, model.encodings["stem.0.weight"]
    (2536, 'masked_fp16')
    """
    nodes, arrays = trace(network)
    layers = dict(network.network.named_modules())
    encodings: dict[str, Any] = {}
    for name in arrays:
        if dtype == "fp32" or name.rpartition(".")[0] not in layers:
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
        background=background,
    )


def training_counts(network: nn.Module, masks: Mapping[str, Tensor] | None = None) -> TrainingCounts:
    """Count parameters as the paper does. A weight counts as kept if its mask keeps it, whatever its value."""
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
