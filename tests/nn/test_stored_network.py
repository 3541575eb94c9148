"""Networks whose parameters have the number types of a model file."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from helpers.scene_models import SMALL, scene_model
from scenelet.config import RunConfig
from scenelet.inference.classifier import Classifier
from scenelet.model.file import stored_model
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import sizes
from scenelet.model.temperature import scale_logits, unscale_logits
from scenelet.nn.stored_network import StoredNetwork
from scenelet.training.network import build_blank_network

NETWORKS = [
    {},
    {"dtype": "fp32"},
    {"dtype": "int8"},
    {"dtype": "int4", "residual_norm": True},
    {"name": "bc_resnet", "sub_bands": 4},
    {"name": "bc_resnet", "sub_bands": 4, "dtype": "int8"},
    {"name": "shared_resnet", "members": 2},
    {"members": 3},
    {"members": 3, "dtype": "int8"},
    {"members": 3, "dtype": "int4"},
    {"name": "shared_resnet", "affine": "sub", "sub_bands": 4},
]


def stored_network(model: SceneModel) -> StoredNetwork:
    config = RunConfig(features=model.features, window=model.window, network=model.provenance["network"])
    return StoredNetwork(build_blank_network(config, len(model.labels)), model).eval()


def moderate_model(**settings: Any) -> SceneModel:
    """A stored model whose probabilities are neither 0 nor 1, so that they show a wrong weight."""
    model = scene_model(3, temperature=1.0, **settings)
    return stored_model(
        scale_logits(unscale_logits(model), float(stored_network(model)(torch.from_numpy(log_mel())).std()))
    )


def log_mel(count: int = 3) -> np.ndarray:
    shape = (count, 1, SMALL.n_mels, 41)
    return np.random.default_rng(0).normal(-40, 12, shape).astype(np.float32)


@pytest.mark.parametrize("settings", NETWORKS, ids=str)
def test_stored_network_has_the_models_logits(settings: dict[str, Any]) -> None:
    model = moderate_model(**settings)
    probabilities = Classifier(model, threads=1).probabilities(log_mel())
    assert probabilities.max() < 0.97
    found = stored_network(model)(torch.from_numpy(log_mel())).log_softmax(1).numpy()
    assert np.abs(found - np.log(probabilities)).max() < 1e-5


@pytest.mark.parametrize("settings", NETWORKS, ids=str)
def test_stored_parameters_take_the_bytes_of_the_size_rule(settings: dict[str, Any]) -> None:
    model = moderate_model(**settings)
    parameters = list(stored_network(model).parameters())
    assert sum(values.numel() * values.element_size() for values in parameters) == sizes(model, 0)["dcase2025"]
    assert sum(values.numel() for values in parameters) == model.counts.parameters


def test_stored_parameters_of_integers_are_int8() -> None:
    network = stored_network(moderate_model(dtype="int8"))
    types = {name.rpartition(".")[2]: values.dtype for name, values in network.named_parameters() if "stem.0" in name}
    assert types == {"weight": torch.int8}
    assert {values.dtype for values in network.parameters()} == {torch.int8, torch.float16}


def test_a_float_copy_computes_the_same() -> None:
    network, x = stored_network(moderate_model()), torch.from_numpy(log_mel())
    assert torch.equal(copy.deepcopy(network).float()(x), network(x))


@pytest.mark.parametrize("name", ["cp_mobile", "bc_resnet"])
def test_every_layer_is_called_so_that_tools_count_it(name: str) -> None:
    network = stored_network(moderate_model(name=name))
    layers = {name for name, module in network.named_modules() if list(module.parameters(recurse=False))}
    called = set()
    for layer in layers:
        network.get_submodule(layer).register_forward_hook(lambda *_, layer=layer: called.add(layer))
    network(torch.from_numpy(log_mel(1)))
    assert called == layers
    assert len(layers) > 20
