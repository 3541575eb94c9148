"""A limit on arithmetic and on parameters -> the network's width and depth."""

import dataclasses

from scenelet.config import RunConfig
from scenelet.errors import UsageError
from scenelet.model.costs import macs
from scenelet.model.sizes import sizes
from scenelet.nn import model_settings
from scenelet.nn.convert import to_scene_model
from scenelet.nn.quantize import WeightFormat, round_network
from scenelet.training.network import build_blank_network

DEPTHS = ("repeats", "blocks")
"""What a network's depth is called, where it can be chosen."""
MIN_WIDTH = {"bc_resnet": 8}
"""Widths below which fewer layers are tried: of `bc_resnet` the paper's smallest, else `DEFAULT_MIN_WIDTH`."""
DEFAULT_MIN_WIDTH = 16
MAX_WIDTH = 512


@dataclasses.dataclass(frozen=True)
class NetworkLimits:
    """What a network may cost.

    Attributes:
        macs_per_second: multiply-accumulates for a second of sound; None: no limit.
        parameter_bytes: all parameters, zeros included, as DCASE counts them since 2022; None: no limit. Weights
            count by the format in which they are stored.
    """

    macs_per_second: int | None = None
    parameter_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class Costs:
    """What a network costs; see `NetworkLimits`."""

    macs_per_second: int
    parameter_bytes: int
    parameters: int

    def within(self, limits: NetworkLimits) -> bool:
        """Whether both limits are kept."""
        return (limits.macs_per_second is None or self.macs_per_second <= limits.macs_per_second) and (
            limits.parameter_bytes is None or self.parameter_bytes <= limits.parameter_bytes
        )


def search_width(config: RunConfig, labels: tuple[str, ...], limits: NetworkLimits) -> tuple[RunConfig, Costs]:
    """The settings with the widest network that is within the limits, as deep as the settings say.

    Where it would be narrower than `MIN_WIDTH` says it is made shallower, step by step, and the widest of these is
    taken. Everything else, features included, stays as it is.

    Raises:
        UsageError: the network has no width to choose, or even the narrowest is too large.
    """
    taken = model_settings(config.network.name)
    if "width" not in taken:
        raise UsageError(
            f"--max-macs, --max-bytes: the network {config.network.name} has one size; choose another network.name"
        )
    depth = next((name for name in DEPTHS if name in taken), None)
    deepest = getattr(config.network, depth) if depth else 1
    narrow = MIN_WIDTH.get(config.network.name, DEFAULT_MIN_WIDTH)
    best: tuple[RunConfig, Costs] | None = None
    for steps in range(deepest, 0, -1):
        changed = config if depth is None else _with(config, **{depth: steps})
        found = _widest(changed, labels, limits)
        if found is not None and (best is None or found[0].network.width > best[0].network.width):
            best = found
        if best is not None and best[0].network.width >= narrow:
            break
    if best is None:
        least = costs(_with(config, width=1, **({depth: 1} if depth else {})), labels)
        raise UsageError(
            f"--max-macs, --max-bytes: even the narrowest {config.network.name} takes {least.macs_per_second:,}"
            f" multiply-accumulates a second and {least.parameter_bytes:,} bytes of parameters; allow more, or take"
            " coarser features"
        )
    return best


def costs(config: RunConfig, labels: tuple[str, ...]) -> Costs:
    """Of the network that these settings describe, untrained."""
    network = build_blank_network(config, len(labels))
    dtype: WeightFormat = "fp16" if config.prune.dtype == "auto" else config.prune.dtype
    round_network(network, dtype)
    model = to_scene_model(network, labels, config.features, config.window, None, dtype)
    multiplied = macs(model.nodes, model.array_shapes, model.input_shape)
    return Costs(
        macs_per_second=round(multiplied / config.window.seconds),
        parameter_bytes=sizes(model, 0)["dcase2022"],
        parameters=model.counts.parameters,
    )


def _widest(config: RunConfig, labels: tuple[str, ...], limits: NetworkLimits) -> tuple[RunConfig, Costs] | None:
    """By bisection: a wider network costs more of both."""
    low, high = 0, MAX_WIDTH + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if costs(_with(config, width=middle), labels).within(limits) else (low, middle)
    if low == 0:
        return None
    found = _with(config, width=low)
    return found, costs(found, labels)


def _with(config: RunConfig, **changes: int) -> RunConfig:
    return config.model_copy(update={"network": config.network.model_copy(update=changes)})
