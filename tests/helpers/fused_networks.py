"""Small models whose networks are fused, and their int8 form, calibrated on noise."""

from typing import Any

import numpy as np

from helpers import tiny_model, traced_networks
from scenelet.export.fused.fuse import fuse
from scenelet.export.fused.int8_network import Int8Network, quantize_network
from scenelet.export.fused.layers import ResidualNorm
from scenelet.export.fused.value_ranges import value_ranges
from scenelet.model.ops import INPUT
from scenelet.model.scene_model import SceneModel

INT8_NETWORKS = [settings for settings in traced_networks.ALL_NETWORKS if not settings.get("residual_norm")]
"""Networks of `traced_networks` that have an int8 form."""
INT8_SEEDS = [0, 2, 3, 5, 8, 17]
"""Seeds of `tiny_model.random_network` without residual normalization; 5 and 17 have an average pool."""


def traced_model(settings: dict[str, Any]) -> SceneModel:
    """Build a network of `traced_networks` with weights in fp32."""
    from scenelet.nn.convert import to_scene_model

    network = traced_networks.random_network(**settings)
    return to_scene_model(
        network, traced_networks.LABELS, traced_networks.FEATURES, traced_networks.WINDOW, dtype="fp32"
    )


def random_model(seed: int) -> SceneModel:
    """Build a random network of every operation, with small logits, so its probabilities are not just 0 and 1."""
    net = tiny_model.random_network(seed, dense=seed % 2 == 0)
    net.arrays["v0.scale"][:], net.arrays["v0.shift"][:] = 0.05, 2.0
    last = [node for node in net.nodes if node.arrays][-1]
    net.arrays[last.arrays[0]] *= np.float32(0.3)
    return tiny_model.model_of(net)


def noise(model: SceneModel, count: int = 3) -> np.ndarray:
    """Return windows of noise in dB, each with its own level and spread: (count, channels, n_mels, frames)."""
    rng = np.random.default_rng(5)
    levels, spreads = rng.uniform(-60, -20, (count, 1, 1, 1)), rng.uniform(4, 20, (count, 1, 1, 1))
    return (levels + spreads * rng.normal(0, 1, (count, *model.input_shape))).astype(np.float32)


def quantized(model: SceneModel) -> Int8Network:
    """Return the int8 form of a model's network."""
    network = fuse(model)
    assert not any(isinstance(layer, ResidualNorm) for layer in network.layers)
    return quantize_network(network, value_ranges(model, network.shapes, list(noise(model))))


def windows_of(network: Int8Network, log_mels: np.ndarray) -> np.ndarray:
    """Quantize windows (count, channels, n_mels, frames) to (count, n_mels, frames, channels)."""
    return network.values[INPUT].quantize(log_mels.transpose(0, 2, 3, 1))
