"""Conversion of a model's arrays back to the weights of a network, the inverse of `scenelet.nn.trace`."""

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from scenelet.errors import ModelFileError
from scenelet.model.scene_model import SceneModel
from scenelet.model.temperature import unscale_logits
from scenelet.nn.norm import BatchNorm, SubSpectralNorm
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.nn.trace import trace

NO_SCALE = 1e-12  # replaces a scale of zero, by which the statistics cannot be divided
FP16_STEP = 1 + 2.0**-10  # ratio of an fp16 number to the next smaller one, at least


@torch.no_grad()
def restore_weights(network: StandardizedNetwork, model: SceneModel) -> None:
    """Set the weights of a network, in place, so that its logits are those of the model, without its temperature.

    A file does not hold the statistics of norms. So each norm gets statistics that give its stored scale and shift.
    `estimate_statistics` replaces them by those of data, which training needs.

    Args:
        network: the network of the settings that the model was trained with.
        model: the content of a model file.

    Raises:
        ModelFileError: the model is not of this network, or no statistics give the scales of a norm.

    >>> from scenelet.config import FeatureConfig, WindowConfig
    >>> from scenelet.nn import create_model
    >>> from scenelet.nn.convert import to_scene_model
    >>> first, second = (StandardizedNetwork(create_model("cp_resnet", num_classes=2, width=4), *torch.ones(2, 256))
    ...                  for _ in range(2))
    >>> model = to_scene_model(first.eval(), ("dog", "rain"), FeatureConfig(), WindowConfig())
    >>> restore_weights(second.eval(), model)
    >>> x = torch.zeros(1, 2, 256, 60)
    >>> torch.allclose(first(x), second(x), atol=1e-5)
    True
    """
    model = unscale_logits(model)
    nodes, arrays = trace(network)
    shapes = {name: array.shape for name, array in arrays.items()}
    if nodes != model.nodes or shapes != model.array_shapes:
        raise ModelFileError("its layers are not those of the network that it names")
    stored = {name: torch.from_numpy(array.copy()) for name, array in model.arrays.items()}
    scale = stored["standardize.scale"][:, 0].double()
    network.std.copy_(1 / scale)
    network.mean.copy_(-stored["standardize.shift"][:, 0] / scale)
    for name, module in network.network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.copy_(stored[f"{name}.weight"])
            if module.bias is not None:
                module.bias.copy_(stored[f"{name}.bias"].view(-1))
        elif isinstance(module, BatchNorm | SubSpectralNorm):
            scale, shift = (stored[f"{name}.{part}"].double() for part in ("scale", "shift"))
            _set_norm(name, module, scale, shift, torch.zeros_like(scale), torch.ones_like(scale) - module.eps)


@torch.no_grad()
def estimate_statistics(network: StandardizedNetwork, batches: Iterable[Tensor]) -> None:
    """Set the statistics of each norm, in place, to those of its input, and keep the logits.

    With statistics of the training data, the network computes in training nearly what it computes after it.

    Args:
        network: the network.
        batches: windows (batch, channels, n_mels, frames), all of the training data or many of them.

    Raises:
        ModelFileError: no statistics give the scales of a norm.
    """
    norms = {
        name: module for name, module in network.named_modules() if isinstance(module, BatchNorm | SubSpectralNorm)
    }
    measured = copy.deepcopy(network).double().eval()  # PyTorch's own layers compute in double, and call each module
    sums = {name: torch.zeros(3, *_rows(norm.running_mean).shape, dtype=torch.float64) for name, norm in norms.items()}

    def count(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x, sub_bands = inputs[0], sums[name].shape[1]
            bands = x.reshape(*x.shape[:2], sub_bands, -1)  # (batch, channels, sub_bands, values)
            values = [torch.ones_like(bands), bands, bands.square()]
            sums[name] += torch.stack([value.sum((0, 3)).T for value in values])

        return hook

    for name, module in measured.named_modules():
        if name in norms:
            module.register_forward_pre_hook(count(name))
    for x in batches:
        measured(x.double())
    for name, norm in norms.items():
        counts, total, squares = sums[name]
        mean = total / counts
        variance = (squares / counts - mean.square()).clamp_min(0)
        _set_norm(name, norm, *_scale_shift(norm), mean, variance)


@torch.no_grad()
def round_norms(network: nn.Module) -> None:
    """Round weight and bias of each norm to fp16, in place. The statistics follow, so scale and shift stay the same.

    Only a norm whose sub-bands share one weight needs this. The weights of other norms are what the file stores.
    """
    for norm in network.modules():
        if isinstance(norm, BatchNorm | SubSpectralNorm) and any(
            bool((values.half() != values).any()) for values in (norm.weight, norm.bias)
        ):
            scale, shift = _scale_shift(norm)
            # rounded up, since a smaller weight would need a negative variance
            weight = (_rows(norm.weight).double() * FP16_STEP).half().double()
            bias = _rows(norm.bias).half().double()
            divisor = torch.where(scale == 0, NO_SCALE, scale)
            variance = ((weight / divisor).square() - norm.eps).clamp_min(0)
            for values, found in (
                (norm.weight, weight),
                (norm.bias, bias),
                (norm.running_mean, (bias - shift) / divisor),
                (norm.running_var, variance),
            ):
                values.copy_(found.view_as(values))


def _scale_shift(norm: BatchNorm | SubSpectralNorm) -> tuple[Tensor, Tensor]:
    """Return scale and shift (sub_bands, channels) of a norm with its statistics."""
    scale = _rows(norm.weight).double() / torch.sqrt(_rows(norm.running_var).double() + norm.eps)
    return scale, _rows(norm.bias).double() - _rows(norm.running_mean).double() * scale


def _set_norm(
    name: str, norm: BatchNorm | SubSpectralNorm, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor
) -> None:
    """Set weight, bias and statistics of a norm to the given scale and shift, all (sub_bands, channels).

    The statistics are `mean` and `variance` if each sub-band has a weight of its own. If the sub-bands share one, it is
    the mean of those that the statistics would give, and the statistics follow from it.
    """
    scale = torch.where(scale == 0, NO_SCALE, scale)
    weight = scale * torch.sqrt(variance + norm.eps)
    bias = shift + mean * scale
    if len(_rows(norm.weight)) < len(scale):
        least = (scale.abs() * norm.eps**0.5).amax(0, keepdim=True)  # a variance is not negative
        weight = torch.maximum(weight.abs().mean(0, keepdim=True), least) * scale[:1].sign()
        bias = bias.mean(0, keepdim=True)
        if bool((scale.sign() != scale[:1].sign()).logical_and(scale.abs() > NO_SCALE).any()):
            raise ModelFileError(f"no statistics give the scales of its norm {name}")
        mean, variance = (bias - shift) / scale, (weight / scale).square() - norm.eps
    for values, found in (
        (norm.weight, weight),
        (norm.bias, bias),
        (norm.running_mean, mean),
        (norm.running_var, variance.clamp_min(0)),
    ):
        values.copy_(found.view_as(values))


def _rows(values: Tensor) -> Tensor:
    """Return values of a norm, (channels,) or (rows, channels), as (rows, channels)."""
    return values.view(-1, values.shape[-1])
