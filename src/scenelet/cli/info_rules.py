"""Costs of a model by the size rules, as `scenelet info` prints them."""

import json
import textwrap
from typing import TYPE_CHECKING, Any

import typer

from scenelet.cli.options import Format

if TYPE_CHECKING:
    from scenelet.model.rules import Rule, RuleResult
    from scenelet.model.scene_model import SceneModel

WIDTH, NAME_WIDTH = 80, 20
"""Width of the description, and of the names in it, in characters."""


def check_rule(rule: "Rule", model: "SceneModel", disk_bytes: int, format: Format) -> None:
    """Print the costs of a model by a size rule beside its limits; exit with status 1 if they are exceeded."""
    from scenelet.model.rules import apply_rule

    found = apply_rule(rule, model, disk_bytes)
    if format is Format.json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        print_fact("rule", f"{rule.name}: {rule.counts}")
        print_fact("bytes", f"{found.bytes:,}{_limit(found.max_bytes)}")
        if found.macs is not None:
            print_fact("multiply-adds", f"{found.macs:,} per clip of {found.clip_seconds:g} s{_limit(found.max_macs)}")
        print_fact("result", verdict(found))
        if not found.is_within and found.clip_seconds is not None and model.window.seconds > found.clip_seconds:
            print_fact("", f"A clip counts as a whole window of {model.window.seconds:g} s, to which it is padded.")
    if not found.is_within:
        raise typer.Exit(1)


def _limit(limit: int | None) -> str:
    return "" if limit is None else f"; limit {limit:,}"


def verdict(found: "RuleResult") -> str:
    """Say if a model is within the limits of a rule, or what exceeds them."""
    if found.max_bytes is None:
        return "no limits"
    return "within the limits" if found.is_within else f"exceeds the limits by {' and '.join(found.excesses)}"


def print_sizes(found: dict[str, dict[str, Any]]) -> None:
    """Print a row per size rule; years with the same rule share one."""
    from scenelet.model.rules import RULES

    print(f"\n{'size by rule':<30} M MACs per clip; limits")
    rows: dict[tuple[Any, ...], list[str]] = {}
    for name, rule in RULES.items():
        same = (rule.counts, rule.unit, rule.max_bytes, rule.max_macs, rule.clip_seconds)
        rows.setdefault(same, []).append(name)
    for first, *others in rows.values():
        rule, result = RULES[first], found[first]
        name = f"{first} to {RULES[others[-1]].year}" if others else first
        cost = "" if rule.max_macs is None else f"{result['macs'] / 1e6:,.2f}"
        limits = [] if rule.max_bytes is None else [rule.format_bytes(rule.max_bytes).replace(".00", "")]
        limits += [] if rule.max_macs is None else [f"{rule.max_macs / 1e6:g} M"]
        text = f"{rule.counts}; {', '.join(limits)}" if limits else rule.counts
        size = rule.format_bytes(result["bytes"])
        print(f"{name:<{NAME_WIDTH - 1}}{size:>11} {cost:>6}  {text}")


def print_fact(name: str, text: str) -> None:
    """Print a name and a text that wraps beside it."""
    indent = " " * NAME_WIDTH
    print(textwrap.fill(f"{name:<{NAME_WIDTH}}{text}", WIDTH, subsequent_indent=indent, break_on_hyphens=False))
