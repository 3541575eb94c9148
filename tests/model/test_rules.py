"""Size rules: limits, clips and windows, and what exceeds a limit."""

import dataclasses

import pytest

from helpers.tiny_model import changed, tiny_model
from scenelet.config import WindowConfig
from scenelet.errors import UsageError
from scenelet.model.costs import torchinfo_macs
from scenelet.model.rules import RULES, RuleResult, apply_rule, clip_macs, find_rule
from scenelet.model.scene_model import SceneModel, TrainingCounts
from scenelet.model.sizes import sizes


def with_windows(seconds: float, **settings: float) -> SceneModel:
    return changed(tiny_model(), window=WindowConfig(seconds=seconds, **settings))


def test_rules_have_the_limits_of_their_year() -> None:
    limits = {name: (rule.max_bytes, rule.max_macs, rule.clip_seconds) for name, rule in RULES.items()}
    assert limits == {
        "paper": (None, None, None),
        "dcase2020": (512_000, None, 10),
        "dcase2020_with_ssn": (512_000, None, 10),
        "dcase2021": (128_000, None, 10),
        **dict.fromkeys(("dcase2022", "dcase2023", "dcase2024", "dcase2025"), (128_000, 30_000_000, 1)),
        "disk": (None, None, None),
    }
    assert all(rule.year is None or str(rule.year) in name for name, rule in RULES.items())


@pytest.mark.parametrize(
    ("window", "seconds", "count"),
    [
        (with_windows(1), 1, 1),
        (with_windows(1), 10, 10),
        (with_windows(1, hop_seconds=0.5), 10, 19),
        (with_windows(5), 1, 1),  # padded
        (with_windows(4), 10, 3),  # the last window is half empty
    ],
    ids=["equal", "ten", "overlapping", "padded", "rest"],
)
def test_clip_macs_count_every_window_of_the_clip(window: SceneModel, seconds: float, count: int) -> None:
    assert clip_macs(window, seconds) == count * torchinfo_macs(window)


@pytest.mark.parametrize("name", RULES)
def test_apply_rule_gives_counts_beside_the_limits(name: str) -> None:
    model, rule = tiny_model(), RULES[name]
    found = apply_rule(rule, model, 1234)
    macs = None if rule.clip_seconds is None else clip_macs(model, rule.clip_seconds)
    assert found == RuleResult(name, sizes(model, 1234)[name], rule.max_bytes, rule.clip_seconds, macs, rule.max_macs)
    assert found.is_within
    assert found.to_json() == {**dataclasses.asdict(found), "is_within": True}


def test_apply_rule_meets_a_limit_up_to_the_last_byte() -> None:
    model = tiny_model()
    for parameters, excesses in ((64_000, ()), (64_001, ("2 bytes",))):
        found = apply_rule(RULES["dcase2024"], changed(model, counts=TrainingCounts(conv=parameters, conv_kept=1)), 0)
        assert found.excesses == excesses
    int8 = apply_rule(RULES["dcase2022"], changed(model, counts=TrainingCounts(conv=128_001, conv_kept=1)), 0)
    assert (int8.excesses, int8.is_within) == (("1 byte",), False)


def test_excesses_name_bytes_and_macs() -> None:
    both = RuleResult("dcase2024", 200_000, 128_000, 1, 30_000_001, 30_000_000)
    assert both.excesses == ("72,000 bytes", "1 multiply-accumulate")
    assert RuleResult("dcase2021", 100, 128_000, 10, 90_000_000, None).is_within  # this year has no such limit


def test_find_rule_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"--rule dcase24: no such size rule; did you mean 'dcase2024'\?; give one of"):
        find_rule("dcase24")
    with pytest.raises(
        UsageError, match="--rule disk: this size rule has no limits; give one of dcase2020, "
    ) as caught:
        find_rule("disk", needs_limits=True)
    assert "paper" not in str(caught.value)
    assert find_rule("disk").name == "disk"
