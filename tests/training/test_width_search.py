"""Search for the widest network within limits on arithmetic and parameters."""

from pathlib import Path

import pytest

from scenelet.cli.options import parse_bytes, parse_count
from scenelet.config import RunConfig, WindowConfig
from scenelet.config import run_folder as runs
from scenelet.config.recipes import load_recipe
from scenelet.errors import UsageError
from scenelet.model.rules import RULES
from scenelet.training.network import load_network
from scenelet.training.train import train
from scenelet.training.width_search import NetworkCosts, NetworkLimits, network_costs, search_width

LABELS = ("a", "b", "c")
SCENES = tuple("abcdefghij")
"""As many labels as the challenge has scenes."""


MAX_WIDTH = 31
"""Networks of hundreds of channels take a second each to build, and no limit of these tests allows them."""


@pytest.fixture
def config() -> RunConfig:
    features = ["sample_rate=8000", "n_fft=256", "hop_length=256", "n_mels=32"]
    return load_recipe("paper_short", [*(f"features.{setting}" for setting in features), "window.seconds=1"])


def with_network(config: RunConfig, **network: int) -> RunConfig:
    return config.model_copy(update={"network": config.network.model_copy(update=network)})


def cost(config: RunConfig, **network: int) -> NetworkCosts:
    return network_costs(with_network(config, **network), LABELS)


def search(config: RunConfig, limits: NetworkLimits) -> tuple[RunConfig, NetworkCosts]:
    return search_width(config, LABELS, limits, MAX_WIDTH)


@pytest.mark.parametrize(
    "limits", [NetworkLimits(2_000_000, None), NetworkLimits(None, 100_000)], ids=["macs", "bytes"]
)
def test_search_width_finds_the_widest_within_a_limit(config: RunConfig, limits: NetworkLimits) -> None:
    found, measured = search(config, limits)
    assert found.network.width >= 16
    assert measured == network_costs(found, LABELS)
    assert measured.within(limits)
    assert not cost(found, width=found.network.width + 1).within(limits)
    network = found.network.model_copy(update={"width": config.network.width})
    assert found.model_copy(update={"network": network}) == config


def test_search_width_may_use_a_limit_up_to_the_last_byte(config: RunConfig) -> None:
    exact = cost(config, width=20)
    assert exact.within(NetworkLimits(exact.macs, exact.parameter_bytes))
    assert search(config, NetworkLimits(parameter_bytes=exact.parameter_bytes))[0].network.width == 20
    assert search(config, NetworkLimits(macs=exact.macs - 1))[0].network.width == 19


@pytest.mark.parametrize(("by_macs", "by_bytes"), [(18, 22), (22, 18)])
def test_search_width_meets_both_limits(config: RunConfig, by_macs: int, by_bytes: int) -> None:
    limits = NetworkLimits(cost(config, width=by_macs).macs, cost(config, width=by_bytes).parameter_bytes)
    assert search(config, limits)[0].network.width == 18


def test_network_costs_count_bytes_in_the_weight_format(config: RunConfig) -> None:
    """fp16 has two bytes per parameter. int8 has one per weight, and two per parameter of a norm."""

    def in_format(*changes: str) -> NetworkCosts:
        prune = load_recipe("paper_short", changes).prune
        return cost(config.model_copy(update={"prune": prune}), width=16)

    fp16, fp32, int8 = (in_format(f"prune.dtype={dtype}") for dtype in ("fp16", "fp32", "int8"))
    assert fp16.parameter_bytes == 2 * fp16.parameters == fp32.parameter_bytes // 2
    assert int8.parameters < int8.parameter_bytes < 1.2 * int8.parameters
    assert in_format("prune.dtype=auto", "prune.max_bytes=100000") == fp16


def test_search_width_reduces_depth_only_if_too_narrow(config: RunConfig) -> None:
    deep, less = cost(config, width=16), cost(config, width=16, repeats=2)
    found = search(config, NetworkLimits(deep.macs))[0].network
    assert (found.width, found.repeats) == (16, 3)
    own = config.model_copy(update={"network": config.network.model_copy(update={"shared": False})})
    limits = NetworkLimits(parameter_bytes=cost(own, width=16).parameter_bytes)
    assert cost(own, width=18, repeats=1).within(limits)  # it could be wider with fewer layers
    found = search(own, limits)[0].network
    assert (found.width, found.repeats) == (16, 3)
    assert less.macs < deep.macs
    shallower = search(config, NetworkLimits(less.macs))[0].network
    assert (shallower.width, shallower.repeats) == (16, 2)


def test_search_width_prefers_widest_then_deepest(config: RunConfig) -> None:
    limits = NetworkLimits(cost(config, width=14, repeats=1).macs)
    assert not cost(config, width=14, repeats=2).within(limits)
    found = search(config, limits)[0].network
    assert (found.width, found.repeats) == (14, 1)
    limits = NetworkLimits(cost(config, width=3).macs)
    assert not cost(config, width=4, repeats=1).within(limits)
    found = search(config, limits)[0].network
    assert (found.width, found.repeats) == (3, 3)


def test_search_width_uses_the_depth_setting_of_bc_resnet(config: RunConfig) -> None:
    broadcasted = config.model_copy(update={"network": load_recipe("paper_short", ["network.name=bc_resnet"]).network})
    broadcasted = broadcasted.model_copy(
        update={
            "features": load_recipe("paper_short", ["features.n_mels=64", "features.hop_length=2048"]).features,
            "network": broadcasted.network.model_copy(update={"sub_bands": 4}),
        }
    )
    limits = NetworkLimits(parameter_bytes=cost(broadcasted, width=10, blocks=2).parameter_bytes)
    found = search(broadcasted, limits)[0].network
    assert (found.width, found.blocks) == (10, 2)  # the smallest width of its paper is 8
    limits = NetworkLimits(parameter_bytes=cost(broadcasted, width=7, blocks=1).parameter_bytes)
    assert not cost(broadcasted, width=7, blocks=2).within(limits)
    found = search(broadcasted, limits)[0].network
    assert (found.width, found.blocks, found.repeats) == (7, 1, config.network.repeats)


@pytest.mark.parametrize(
    ("settings", "limits", "width"),
    [
        (["network.name=bc_resnet"], ("64kB",), 18),
        (["network.name=bc_resnet"], ("128kB",), 27),
        (["network.name=bc_resnet"], ("500kB",), 57),
        (["network.name=bc_resnet"], ("500kB", "30M"), 44),
        (["network.name=bc_resnet", "network.stem_stride=[2,4]"], ("128kB",), 27),
        (["network.name=bc_resnet", "network.stem_stride=[2,4]", "network.residual_norm=true"], ("500kB", "30M"), 56),
        (["network.name=cp_mobile"], ("64kB",), 16),
        (["network.name=cp_mobile"], ("128kB",), 32),
        (["network.name=cp_mobile"], ("500kB",), 64),
        (["network.name=cp_mobile"], ("500kB", "30M"), 64),
    ],
    ids=str,
)
def test_search_width_finds_each_network_for_the_usual_limits(
    settings: list[str], limits: tuple[str, ...], width: int
) -> None:
    """The features are those of the recipe `default`, and the weights are in fp16."""
    ten = tuple("abcdefghij")
    parsed = NetworkLimits(
        parse_count("--max-macs", limits[1]) if len(limits) > 1 else None, parse_bytes("--max-bytes", limits[0])
    )
    found, measured = search_width(load_recipe("default", [*settings, "prune.dtype=fp16"]), ten, parsed, max_width=80)
    assert found.network.width == width
    assert measured.within(parsed)
    step = 8 if found.network.name == "cp_mobile" else 1
    wider = found.network.model_copy(update={"width": width + step})
    assert not network_costs(found.model_copy(update={"network": wider}), ten).within(parsed)


def test_search_width_of_a_network_without_depth_setting(config: RunConfig) -> None:
    single = config.model_copy(update={"network": load_recipe("paper_short", ["network.name=cp_resnet"]).network})
    limits = NetworkLimits(parameter_bytes=cost(single, width=5).parameter_bytes)
    assert search(single, limits)[0].network == single.network.model_copy(update={"width": 5})


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (NetworkLimits(parameter_bytes=500), "bytes of parameters; raise the limits"),
        (NetworkLimits(macs=500), "multiply-accumulates per second"),
    ],
    ids=["bytes", "macs"],
)
def test_search_width_below_the_narrowest_raises(config: RunConfig, limits: NetworkLimits, words: str) -> None:
    narrowest = cost(config, width=1, repeats=1)
    with pytest.raises(UsageError, match=words) as caught:
        search(config, limits)
    assert f"takes {narrowest.macs:,} " in str(caught.value)
    assert f" {narrowest.parameter_bytes:,} bytes" in str(caught.value)


def test_search_width_of_bc_resnet_below_the_narrowest_raises(config: RunConfig) -> None:
    settings = ["network.name=bc_resnet", "network.sub_bands=4"]
    changed = {"network": load_recipe("paper_short", settings).network}
    changed["features"] = load_recipe("paper_short", ["features.n_mels=64", "features.hop_length=2048"]).features
    with pytest.raises(UsageError, match="even the narrowest bc_resnet takes"):
        search(config.model_copy(update=changed), NetworkLimits(macs=100))


def test_network_costs_by_a_rule_are_those_of_the_rule(config: RunConfig) -> None:
    """A network of width 4 in int8 has zeros by rounding. They do not count as such, since training moves weights."""
    small = with_network(config, width=4, sub_bands=2)
    small = small.model_copy(update={"prune": load_recipe("paper_short", ["prune.dtype=int8"]).prune})
    plain = network_costs(small, LABELS)
    by_rule = {name: network_costs(small, LABELS, RULES[name]) for name in ("dcase2020", "dcase2021", "dcase2022")}
    assert by_rule["dcase2022"].parameter_bytes == plain.parameters < plain.parameter_bytes
    assert by_rule["dcase2021"].parameter_bytes == plain.parameter_bytes
    assert by_rule["dcase2020"].parameter_bytes < plain.parameters
    norms = plain.parameter_bytes - plain.parameters  # two bytes each
    assert by_rule["dcase2022"].macs == plain.macs + norms  # in this network, each norm is called once
    assert by_rule["dcase2021"].macs == by_rule["dcase2020"].macs == 10 * by_rule["dcase2022"].macs  # clips of 10 s


def test_search_width_by_a_rule_uses_its_counts_up_to_the_last(config: RunConfig) -> None:
    rule = RULES["dcase2024"]
    exact = network_costs(with_network(config, width=20), LABELS, rule)
    for limits, width in (
        (NetworkLimits(exact.macs, None, rule), 20),
        (NetworkLimits(exact.macs - 1, None, rule), 19),
        (NetworkLimits(None, exact.parameter_bytes, rule), 20),
        (NetworkLimits(None, exact.parameters, RULES["dcase2022"]), 20),
    ):
        found, measured = search(config, limits)
        assert found.network.width == width
        assert measured == network_costs(found, LABELS, limits.rule)


def test_search_width_by_a_rule_counts_long_windows_in_full(config: RunConfig) -> None:
    rule, long = RULES["dcase2024"], config.model_copy(update={"window": WindowConfig(seconds=4)})
    assert network_costs(long, LABELS).macs < 1.1 * network_costs(config, LABELS).macs
    assert network_costs(long, LABELS, rule).macs > 3.5 * network_costs(config, LABELS, rule).macs
    with pytest.raises(UsageError, match=r"or windows as short as the clip \(window.seconds=1\)") as caught:
        search(long, NetworkLimits(500, None, rule))
    narrowest = network_costs(with_network(long, width=1, repeats=1), LABELS, rule)
    assert f"takes {narrowest.macs:,} multiply-accumulates per clip of 1 s and " in str(caught.value)
    with pytest.raises(UsageError, match=r"coarser features$"):
        search(config, NetworkLimits(500, None, rule))


def test_search_width_of_a_network_of_one_size_raises(config: RunConfig) -> None:
    fixed = config.model_copy(
        update={"network": load_recipe("paper_short", ["network.name=dcase2020_baseline"]).network}
    )
    with pytest.raises(UsageError, match="the network dcase2020_baseline has one size"):
        search(fixed, NetworkLimits(1_000_000, None))


def test_low_complexity_recipe_is_the_result_for_dcase_limits() -> None:
    ten = tuple("abcdefghij")
    limits = NetworkLimits(parse_count("--max-macs", "30M"), parse_bytes("--max-bytes", "128kB"))
    default, tiny = load_recipe("single_network", ["prune.dtype=int8"]), load_recipe("low_complexity")
    found, measured = search_width(default, ten, limits, max_width=64)
    assert found.network == tiny.network
    assert tiny.network.width == 28
    assert network_costs(tiny, ten) == measured
    assert measured.macs <= 30_000_000
    assert measured.parameter_bytes <= 128_000


@pytest.mark.slow
def test_train_with_limits_stores_the_network_found(tone_set: Path, tiny_settings: list[str], tmp_path: Path) -> None:
    config = load_recipe("paper_short", [*tiny_settings, "schedule.epochs=1", 'split.fold="1"'])
    limits = NetworkLimits(parameter_bytes=4_000)
    found, measured = search_width(config, ("high", "low"), limits)
    assert found.network.width != config.network.width
    train(tone_set, tmp_path / "run", config, limits=limits)
    record = runs.read_record(tmp_path / "run")
    assert record.config == found
    network = load_network(tmp_path / "run", record)
    assert sum(p.numel() for p in network.parameters()) == measured.parameters
    # the same limits find the same network again, so the run resumes
    train(tone_set, tmp_path / "run", config, limits=limits, resume=True)


@pytest.mark.parametrize(
    ("year", "size", "macs"),
    [
        (2021, 123_159, 222_945_098),
        (2022, 116_917, 22_767_026),
        (2023, 123_159, 22_767_026),
        (2024, 123_159, 22_767_026),
        (2025, 123_159, 22_767_026),
    ],
)
def test_recipe_of_a_year_is_within_its_limits(year: int, size: int, macs: int) -> None:
    rule = RULES[f"dcase{year}"]
    costs = network_costs(load_recipe(f"dcase{year}"), SCENES, rule)
    assert (costs.parameters, costs.parameter_bytes, costs.macs) == (116_917, size, macs)
    assert size <= (rule.max_bytes or 0)
    assert rule.max_macs is None or macs <= rule.max_macs


def test_recipe_of_the_baseline_has_its_published_costs() -> None:
    costs = network_costs(load_recipe("dcase2024_baseline"), SCENES, RULES["dcase2024"])
    assert (costs.parameters, costs.parameter_bytes, costs.macs) == (61_148, 122_296, 29_419_156)
