"""Networks of `scenelet.nn` with different statistics and affines everywhere."""

import torch
from torch import nn

from scenelet.config import FeatureConfig, WindowConfig
from scenelet.nn import create_model
from scenelet.nn.ensemble import Ensemble
from scenelet.nn.norm import SubSpectralNorm
from scenelet.nn.standardize import StandardizedNetwork

FEATURES = FeatureConfig(sample_rate=8000, n_fft=512, hop_length=256, n_mels=64)
WINDOW = WindowConfig(seconds=2.0)
FRAMES = FEATURES.n_frames(16000)
LABELS = ("a", "b", "c")
ALL_NETWORKS = [
    {"name": "shared_resnet", "width": 8},
    {"name": "shared_resnet", "width": 8, "stem_stride": (2, 4), "residual_norm": True},
    {"name": "cp_resnet", "width": 8},
    {"name": "bc_resnet", "width": 8, "sub_bands": 2},
    {"name": "bc_resnet", "width": 8, "sub_bands": 4, "stem_stride": (2, 4)},
    {"name": "bc_resnet", "width": 8, "sub_bands": 2, "blocks": 1, "residual_norm": True},
    {"name": "cp_mobile", "width": 16},
    {"name": "cp_mobile", "width": 16, "residual_norm": True},
    {"name": "shared_resnet", "width": 8, "members": 3},
    {"name": "bc_resnet", "width": 8, "sub_bands": 2, "blocks": 1, "members": 2},
    {"name": "dcase2021_baseline", "n_mels": 64, "frames": FRAMES},
]
"""Small networks of every kind, with each setting that changes the operations."""


def random_network(
    seed: int = 0, name: str = "shared_resnet", members: int = 1, **settings: object
) -> StandardizedNetwork:
    """Build a network in which every norm differs, so a confusion of norms makes a difference."""
    generator = torch.Generator().manual_seed(seed)
    settings = {"num_classes": 3, "in_channels": 2} | settings
    networks = [create_model(name, generator=generator, **settings) for _ in range(members)]
    network = networks[0] if members == 1 else Ensemble(networks)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d | SubSpectralNorm)]
    for norm in norms:
        norm.momentum = 1.0  # one pass over noise gives realistic statistics
    network.train()(torch.randn(8, settings["in_channels"], 64, FRAMES, generator=generator))
    for norm in norms:
        with torch.no_grad():
            norm.weight.uniform_(0.5, 1.2, generator=generator)
            norm.bias.uniform_(-0.3, 0.3, generator=generator)
            norm.running_mean.add_(
                norm.running_var.sqrt() * torch.randn(norm.running_mean.shape, generator=generator) / 5
            )
            norm.running_var.mul_(torch.rand(norm.running_var.shape, generator=generator) + 0.5)
    dense_layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    for dense in dense_layers:  # large weights in a chain of dense layers would leave only probabilities of 0 and 1
        deviation = 1.0 if len(dense_layers) <= members else dense.in_features**-0.5
        nn.init.normal_(dense.weight, std=deviation, generator=generator)
    mean = torch.randn(64, generator=generator) * 10 - 40
    deviation = torch.rand(64, generator=generator) * 10 + 5
    return StandardizedNetwork(network, mean, deviation).eval()
