"""Untrained models of the ten scenes, with different weights and statistics everywhere, as `compress` writes them."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from scenelet.config import FeatureConfig, NetworkConfig, RunConfig, WindowConfig
from scenelet.data.tau import THREE_CLASSES
from scenelet.model.file import write_model
from scenelet.model.scene_model import SceneModel
from scenelet.model.temperature import scale_logits
from scenelet.nn.convert import to_scene_model
from scenelet.nn.norm import SubSpectralNorm
from scenelet.nn.quantize import WeightFormat, round_network
from scenelet.training.network import build_network

SCENES = tuple(THREE_CLASSES)
SMALL = FeatureConfig(sample_rate=8000, channels="mono", n_fft=512, hop_length=200, n_mels=64)
BASELINE = FeatureConfig(
    sample_rate=32_000, channels="mono", n_fft=4096, win_length=3072, hop_length=500, n_mels=256, log_before_mel=False
)
"""Features of the baseline of DCASE 2025."""


def scene_model(
    seed: int = 0,
    features: FeatureConfig = SMALL,
    dtype: WeightFormat = "fp16",
    labels: tuple[str, ...] = SCENES,
    seconds: float = 1.0,
    temperature: float = 1.5,
    **network: Any,
) -> SceneModel:
    """Build a model of clips of 1 s; by default a CP-Mobile of width 8, with a temperature."""
    window = WindowConfig(seconds=seconds)
    settings = NetworkConfig.model_validate({"name": "cp_mobile", "width": 8} | network)
    config = RunConfig(features=features, window=window, network=settings, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(features.n_mels, generator=generator) * 5 - 40
    built = build_network(config, len(labels), mean, torch.rand(features.n_mels, generator=generator) * 5 + 10).eval()
    with torch.no_grad():
        for norm in built.modules():
            if isinstance(norm, nn.BatchNorm2d | SubSpectralNorm):
                norm.weight.uniform_(0.8, 1.5, generator=generator)
                norm.bias.uniform_(-0.3, 0.3, generator=generator)
                norm.running_mean.uniform_(-0.2, 0.2, generator=generator)
                norm.running_var.uniform_(0.5, 1.5, generator=generator)
        round_network(built, dtype)
    provenance = {"network": settings.model_dump(mode="json"), "data": "none", "split_hash": "none"}
    return scale_logits(
        to_scene_model(built, labels, features, window, dtype=dtype, provenance=provenance), temperature
    )


def write_scene_model(path: Path, *arguments: Any, **settings: Any) -> Path:
    """Write the result of `scene_model` to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_model(scene_model(*arguments, **settings), path)
    return path
