"""`scenelet reproduce --dry-run`: what the paper says about each row, what will run, and every difference."""

import json
import textwrap
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from scenelet.config import RunConfig
from scenelet.experiments.compute import FULL_PRECISION, stored_format
from scenelet.experiments.systems import PaperFigures, System, SystemTable
from scenelet.experiments.trial import used_config
from scenelet.nn.convert import to_scene_model
from scenelet.nn.prune import global_l1_masks
from scenelet.training.network import build_blank_network
from scenelet.utils.text import pluralize

WIDTH = 118
PAPER = "paper"
"""Value of `SystemTable.paper_name` in tables of the paper, which is the only one whose statements are known."""
BASELINE = "Official baseline"
ANY_ROW, MOST_ROWS = "*", ""
FORMAT_BYTES = {"fp32": 4, "fp16": 2, "auto": 2, "int8": 1, "int4": 1}  # of a kept weight, by the paper's rule
# which clips and seeds: arguments of the command, not of the protocol
NOT_COMPARED = {"seed", "split.fold", "split.city", "split.seed", "split.test_fraction"}


def statements(row: str) -> list[dict[str, Any]]:
    """List the paper's statements about a row of Table 3 or 4: "says", "ours" and "settings", see `paper.toml`.

    >>> [each["says"] for each in statements("Ours Pruned B")][-1]
    'as A'
    """
    data = resources.files(__package__).joinpath("paper.toml").read_text("utf-8")
    general = [ANY_ROW] if row == BASELINE else [ANY_ROW, MOST_ROWS]
    found = tomllib.loads(data)["statements"]
    return [{"ours": "", **each} for each in found if {row, *general} & set(each.get("rows", [MOST_ROWS]))]


def describe_row(table: SystemTable, row: System, config: RunConfig, classes: int) -> dict[str, Any]:
    """Compare what a row will run with what the paper says.

    Args:
        table, row, config: the table, the row and its settings.
        classes: the number of classes.

    Returns:
        "row"; "paper_name" and "paper", the printed figures; "statements", a list of {"says", "ours", "differences"};
        "differences" of settings that no statement is about; "network", the result of `network_size`; and "settings",
        all that will run. A row that the paper does not have has no statements. A difference is {"setting", "paper",
        "here"}.
    """
    config = used_config(config)
    config = config.model_copy(update={"prune": stored_format(config.prune)})
    own = _flat(config) | {"fine_tuned": table.is_fine_tuned(row), "teacher": row.teacher}
    expected = _flat(RunConfig()) | {"fine_tuned": False, "teacher": None}
    of_paper = statements(row.name) if row.paper is not None and table.paper_name == PAPER else []
    compared, named = [], set[str]()
    for statement in of_paper:
        values = _flat(statement["settings"])
        named |= set(values)
        differences = _differences(values, own)
        compared.append({"says": statement["says"], "ours": statement["ours"], "differences": differences})
    others = {key: value for key, value in expected.items() if key not in named}
    return {
        "row": row.name,
        "paper_name": table.paper_name,
        "paper": None if row.paper is None else row.paper.model_dump(),
        "statements": compared,
        "differences": _differences(others, own) if of_paper else [],
        "network": network_size(config, table.is_fine_tuned(row), classes),
        "settings": own,
    }


def network_size(config: RunConfig, fine_tuned: bool, classes: int) -> dict[str, int]:
    """Count a row's "parameters", "parameters_kept" by pruning, and their "bytes" by the paper's rule.

    A limit on the bytes needs a trained network, so nothing is pruned for it here.
    """
    network = build_blank_network(config, classes)
    masks = global_l1_masks(network, config.prune.sparsity) if fine_tuned and config.prune.max_bytes is None else None
    labels = tuple(f"class {k}" for k in range(classes))
    counts = to_scene_model(network, labels, config.features, config.window, masks).counts
    width = FORMAT_BYTES[config.prune.dtype if fine_tuned else FULL_PRECISION]
    kept = counts.parameters_kept
    return {"parameters": counts.parameters, "parameters_kept": kept, "bytes": width * kept}


def dry_run_text(table: SystemTable, recipe: str, rows: list[dict[str, Any]]) -> str:
    """Format the rows of `describe_row` as text."""
    lines = [f"{table.title}, with the recipe {recipe!r}. Nothing is trained.", ""]
    for row in rows:
        lines += [row["row"], *(f"  {line}" for line in _row_lines(row)), ""]
    count = sum(len(each["differences"]) for row in rows for each in [row, *row["statements"]])
    if any(row["statements"] for row in rows):
        ours = "`ours` is what the paper leaves open, or what we do on purpose."
        lines.append(f"DIFFERS marks {pluralize(count, 'setting')}. {ours}")
    return "\n".join("\n".join(textwrap.wrap(line, WIDTH, subsequent_indent=" " * 8)) for line in lines)


def _row_lines(row: Mapping[str, Any]) -> list[str]:
    own, size = row["settings"], row["network"]
    tuning = "no fine-tuning"
    if own["fine_tuned"]:
        limit = own["prune.max_bytes"]
        pruned = f"{100 * own['prune.sparsity']:g} % pruned" if limit is None else f"pruned to {limit:,} bytes"
        tuning = f"{pruned}, {own['prune.epochs']} epochs of fine-tuning, {own['prune.dtype']}"
    lines = [
        f"runs: {own['schedule.epochs']} epochs in batches of {own['schedule.batch_size']}, {own['precision']};"
        f" {tuning}; {size['parameters_kept']:,} of {size['parameters']:,} parameters kept, {size['bytes']:,} bytes",
    ]
    if row["paper"] is None:
        return [*lines, f"ours: the {row['paper_name']} has no such row"]
    lines.append(f"{row['paper_name']}: {_figures(PaperFigures.model_validate(row['paper']), size)}")
    for statement in row["statements"]:
        lines.append(f"paper: {statement['says']}")
        lines += [f"  ours: {statement['ours']}"] if statement["ours"] else []
        lines += [f"  {_difference(each)}" for each in statement["differences"]]
    return lines + [f"{_difference(each)}, and the paper does not name it" for each in row["differences"]]


def _figures(paper: PaperFigures, size: Mapping[str, int]) -> str:
    """Compare the printed sizes with the computed ones; the paper cuts 601,862 to 601K and rounds 603,668 to 604K."""
    printed = f"{paper.accuracy} %, {paper.parameters} parameters{', ' if paper.size else ''}{paper.size}"
    thousands = size["parameters_kept"] / 1000
    if paper.parameters == f"{size['parameters']:,}":
        return f"{printed}; here as many"
    if paper.parameters in (f"{int(thousands)}K", f"{round(thousands)}K"):
        return f"{printed}; here {thousands:.1f}K and {size['bytes'] / 1000:,.1f} kB, the same up to rounding"
    return f"{printed}; DIFFERS, see the network: here {thousands:.1f}K and {size['bytes'] / 1000:,.1f} kB"


def _difference(difference: Mapping[str, Any]) -> str:
    return (
        f"DIFFERS: {difference['setting']} is {json.dumps(difference['here'])}, not {json.dumps(difference['paper'])}"
    )


def _differences(expected: Mapping[str, Any], own: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"setting": key, "paper": value, "here": own[key]}
        for key, value in expected.items()
        if key not in NOT_COMPARED and _is_used(key, own) and own[key] != value
    ]


def _is_used(key: str, own: Mapping[str, Any]) -> bool:
    """Tell if a setting has an effect in a row, e.g. only a fine-tuned row is pruned."""
    section, _, name = key.partition(".")
    if section == "prune":
        return bool(own["fine_tuned"])
    if section == "mixing" and name != "combine":
        mixer = "freq_mixstyle" if name.startswith("freq_mixstyle") else name.partition("_")[0]
        return own["mixing.combine"] != "none" and bool(own.get(f"mixing.{mixer}", True) or name == mixer)
    if section == "loss" and name != "name":
        return bool(own["loss.name"] == ("cross_entropy" if name == "label_smoothing" else "class_balanced_focal"))
    return section != "distillation" or own["teacher"] is not None


def _flat(settings: RunConfig | Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings by dotted key, as values for JSON."""
    values = settings.model_dump(mode="json") if isinstance(settings, RunConfig) else settings
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= (
            {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, Mapping) else {name: value}
        )
    return flat
