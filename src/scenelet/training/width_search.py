"""Search for the widest network within limits on arithmetic and on parameters, perhaps as a size rule counts them."""

import dataclasses

from scenelet.config import RunConfig
from scenelet.errors import UsageError
from scenelet.model.costs import macs
from scenelet.model.rules import Rule, apply_rule
from scenelet.model.sizes import sizes
from scenelet.nn import model_settings
from scenelet.nn.convert import to_scene_model
from scenelet.nn.quantize import WeightFormat, round_network
from scenelet.training.network import build_blank_network

DEPTHS = ("repeats", "blocks")  # settings of networks that hold their depth
MIN_WIDTHS = {"bc_resnet": 8}  # the smallest width of its paper; below, a network gets fewer layers
DEFAULT_MIN_WIDTH = 16
WIDTH_STEPS = {"cp_mobile": 8}  # it rounds counts of channels, so widths between two steps give the same network
MAX_WIDTH = 512


@dataclasses.dataclass(frozen=True)
class NetworkLimits:
    """Limits on the costs of a network, as `NetworkCosts`; None: no limit.

    Attributes:
        macs: maximum multiply-accumulates.
        parameter_bytes: maximum bytes of parameters.
        rule: the size rule that counts both; None: multiply-accumulates per second of sound, and bytes of all
            parameters, zeros included.
    """

    macs: int | None = None
    parameter_bytes: int | None = None
    rule: Rule | None = None


@dataclasses.dataclass(frozen=True)
class NetworkCosts:
    """Costs of a network, as `NetworkLimits.rule` counts them. Weights count in the format in which they are stored.

    Attributes:
        macs: multiply-accumulates, per second of sound or per clip of the rule.
        parameter_bytes: bytes of parameters.
        parameters: count of all parameters.
    """

    macs: int
    parameter_bytes: int
    parameters: int

    def within(self, limits: NetworkLimits) -> bool:
        """Return True if both limits are met.

        >>> NetworkCosts(30_000_000, 120_000, 60_000).within(NetworkLimits(parameter_bytes=128_000))
        True
        """
        return (limits.macs is None or self.macs <= limits.macs) and (
            limits.parameter_bytes is None or self.parameter_bytes <= limits.parameter_bytes
        )

    def text(self, rule: Rule | None) -> str:
        """Put the costs, which the rule counted, into words.

        >>> NetworkCosts(30_000_000, 120_000, 60_000).text(None)
        '30,000,000 multiply-accumulates per second of audio and 120,000 bytes of parameters'
        """
        per = "second of audio" if rule is None else f"clip of {rule.clip_seconds:g} s"
        counted = "" if rule is None else f", as {rule.name} counts"
        return f"{self.macs:,} multiply-accumulates per {per} and {self.parameter_bytes:,} bytes of parameters{counted}"


def search_width(
    config: RunConfig, labels: tuple[str, ...], limits: NetworkLimits, max_width: int = MAX_WIDTH
) -> tuple[RunConfig, NetworkCosts]:
    """Find the widest network within the limits, from width 1 to `max_width`.

    The network keeps its depth unless it would be narrower than `MIN_WIDTHS` allows. Then its depth is reduced step by
    step, and the widest of the networks that were tried is used. All other settings stay as they are.

    Returns:
        The settings with the network found, and its costs.

    Raises:
        UsageError: the network has no width to choose, or even the narrowest one exceeds the limits.
    """
    name = config.network.name
    available = model_settings(name)
    if "width" not in available:
        raise UsageError(
            f"--max-macs, --max-bytes, --rule: the network {name} has one size; choose another network.name"
        )
    depth = next((setting for setting in DEPTHS if setting in available), None)
    max_depth = getattr(config.network, depth) if depth else 1
    min_width = MIN_WIDTHS.get(name, DEFAULT_MIN_WIDTH)
    best: tuple[RunConfig, NetworkCosts] | None = None
    for layers in range(max_depth, 0, -1):
        candidate = config if depth is None else _with_network(config, **{depth: layers})
        found = _widest(candidate, labels, limits, max_width)
        if found is not None and (best is None or found[0].network.width > best[0].network.width):
            best = found
        if best is not None and best[0].network.width >= min_width:
            break
    if best is None:
        smallest = _with_network(config, width=1, **({depth: 1} if depth else {}))
        costs = network_costs(smallest, labels, limits.rule)
        remedy = "raise the limits, or use coarser features"
        clip = None if limits.rule is None else limits.rule.clip_seconds
        if clip is not None and config.window.seconds > clip:
            remedy += f" or windows as short as the clip (window.seconds={clip:g})"
        raise UsageError(
            f"--max-macs, --max-bytes, --rule: even the narrowest {name} takes {costs.text(limits.rule)}; {remedy}"
        )
    return best


def network_costs(config: RunConfig, labels: tuple[str, ...], rule: Rule | None = None) -> NetworkCosts:
    """Compute the costs of the network that the settings describe, perhaps by a rule. It need not be trained.

    No weight counts as zero, because nothing is pruned yet.
    """
    network = build_blank_network(config, len(labels))
    dtype: WeightFormat = "fp16" if config.prune.dtype == "auto" else config.prune.dtype
    round_network(network, dtype)
    model = to_scene_model(network, labels, config.features, config.window, None, dtype)
    by_type = sizes(model, 0)["dcase2024"]
    if rule is None:
        macs_per_window = macs(model.nodes, model.array_shapes, model.input_shape)
        return NetworkCosts(round(macs_per_window / config.window.seconds), by_type, model.counts.parameters)
    found = apply_rule(rule, model, 0)
    assert found.macs is not None
    # rounding leaves zeros among random weights, but after training they are others
    counted = by_type if rule.name == "dcase2021" else found.bytes
    return NetworkCosts(found.macs, counted, model.counts.parameters)


def _widest(
    config: RunConfig, labels: tuple[str, ...], limits: NetworkLimits, max_width: int
) -> tuple[RunConfig, NetworkCosts] | None:
    """Find the largest width within the limits by bisection, as both costs grow with the width."""
    step = WIDTH_STEPS.get(config.network.name, 1)
    low, high = 0, max_width // step + 1
    while high - low > 1:
        middle = (low + high) // 2
        fits = network_costs(_with_network(config, width=middle * step), labels, limits.rule).within(limits)
        low, high = (middle, high) if fits else (low, middle)
    found = _with_network(config, width=low * step)
    return (found, network_costs(found, labels, limits.rule)) if low else None


def _with_network(config: RunConfig, **changes: int) -> RunConfig:
    return config.model_copy(update={"network": config.network.model_copy(update=changes)})
