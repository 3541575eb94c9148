"""Network with the weights of a model file, as a PyTorch module whose parameters take as many bytes as in the file."""

import torch
from torch import Tensor, nn

from scenelet.model.encodings import to_int8
from scenelet.model.scene_model import SceneModel
from scenelet.model.temperature import logit_scale
from scenelet.nn.cpp_build import only_pytorch
from scenelet.nn.norm import BatchNorm, SubSpectralNorm
from scenelet.nn.restore import restore_weights, round_norms
from scenelet.nn.standardize import StandardizedNetwork


class StoredNetwork(nn.Module):
    """Network whose parameters have the number types of a model file: fp32, fp16, or int8. It computes in fp32.

    Integers are multiplied by the power of two of their row. These powers, the statistics of the norms, the
    standardization and the temperature are buffers, which size rules of parameters do not count.

    Args:
        network: a network of the settings that the model was trained with. It takes the model's weights.
        model: the content of a model file.

    Shape: raw log-mel (batch, channels, n_mels, frames) of any floating-point type -> logits (batch, classes) in fp32.

    Raises:
        ModelFileError: as `scenelet.nn.restore.restore_weights`.

    >>> from scenelet.config import FeatureConfig, WindowConfig
    >>> from scenelet.nn import create_model
    >>> from scenelet.nn.convert import to_scene_model
    >>> network = StandardizedNetwork(create_model("cp_resnet", num_classes=2, width=4), *torch.ones(2, 256)).eval()
    >>> stored = StoredNetwork(network, to_scene_model(network, ("dog", "rain"), FeatureConfig(), WindowConfig()))
    >>> {parameter.dtype for parameter in stored.parameters()}, stored(torch.zeros(1, 2, 256, 60)).dtype
    ({torch.float16}, torch.float32)
    """

    temperature_scale: Tensor

    def __init__(self, network: StandardizedNetwork, model: SceneModel) -> None:
        super().__init__()
        restore_weights(network.eval(), model)
        self.network = network.requires_grad_(False)
        self._steps: dict[str, str] = {}  # integer parameter -> buffer with the power of two of each of its rows
        self.register_buffer("temperature_scale", torch.tensor(logit_scale(model)))
        if any(encoding == "fp16" for encoding in model.encodings.values()):
            round_norms(network)
        for name, module in network.network.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                self._store_weights(f"{name}.weight", module, model)
                if module.bias is not None and model.encodings[f"{name}.bias"] == "fp16":
                    module.bias = _parameter(module.bias.half())
            elif isinstance(module, BatchNorm | SubSpectralNorm) and model.encodings[f"{name}.scale"] == "fp16":
                module.weight, module.bias = _parameter(module.weight.half()), _parameter(module.bias.half())

    def forward(self, x: Tensor) -> Tensor:
        """Map raw log-mel (batch, channels, n_mels, frames) to logits (batch, classes)."""
        values = {name: self._float(name, value) for name, value in self.network.named_parameters()}
        with only_pytorch():
            logits: Tensor = torch.func.functional_call(self.network, values, (x.float(),))
        return logits * self.temperature_scale

    def _store_weights(self, name: str, layer: nn.Conv2d | nn.Linear, model: SceneModel) -> None:
        if model.encodings[name] == "masked_fp16":
            layer.weight = _parameter(layer.weight.half())
        elif model.encodings[name] == "masked_int8":
            integers, exponents = to_int8(name, model.arrays[name])
            steps = torch.exp2(torch.from_numpy(exponents).float())
            self._steps[f"network.{name}"] = buffer = f"step_{len(self._steps)}"
            self.register_buffer(buffer, steps.view(-1, *[1] * (layer.weight.dim() - 1)))
            layer.weight = _parameter(torch.from_numpy(integers).view_as(layer.weight))

    def _float(self, name: str, values: Tensor) -> Tensor:
        if name in self._steps:
            return values.float() * self.get_buffer(self._steps[name])
        return values.float()


def _parameter(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)  # integers have no gradient
