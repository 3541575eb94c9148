"""The paper's tables and our own, as rows of settings: `tables/*.toml`.

A row is a whole set of settings, made in this order: the budget (a recipe: how much training there is), what
the table sets for all its rows, a recipe's own part, what the row sets.
"""

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any

from pydantic import Field

from scenelet.config import RunConfig, Settings, build_config
from scenelet.errors import UsageError, did_you_mean
from scenelet.recipes import list_recipes, merge, read_own_part, read_values


class PaperFigures(Settings):
    """What the paper prints in a row: accuracies in percent, the rest in its words."""

    accuracy: float
    per_class: tuple[float, float, float] | None = Field(None, description="indoor, outdoor, transportation")
    parameters: str
    size: str = ""


class Row(Settings):
    """One system of a table."""

    name: str
    recipe: str | None = Field(None, description="whose own part is taken in, without what it stands on")
    settings: Mapping[str, dict[str, Any]] = Field({}, description="section -> setting -> value")
    paper: PaperFigures | None = None


class SystemTable(Settings):
    """Systems that are compared.

    Attributes:
        title: for people.
        reference: the row that every other is tested against.
        rows: the systems.
        common: settings of all rows.
        fine_tune: every row is fine-tuned after training, pruned by its own `prune.sparsity`.
        paper_data: what the paper's figures were measured on.
        paper_clips: the test clips behind them.
    """

    title: str
    reference: str
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]
    common: Mapping[str, dict[str, Any]] = Field({}, description="as `Row.settings`")
    fine_tune: bool = False
    paper_data: str = ""
    paper_clips: int | None = None

    def config(self, row: Row, budget: str) -> RunConfig:
        """The row's settings under a budget: the name of a recipe, or a TOML file.

        Raises:
            UsageError: no such budget, one that changes the networks, or a setting that is out of range.
        """
        values = read_values(budget)
        network = build_config({"network": values.pop("network", {})}, budget).network
        changed = network.model_dump(exclude_defaults=True)
        if changed:
            settings = ", ".join(f"network.{key}" for key in changed)
            raise UsageError(
                f"{budget}: sets {settings}, which a table's rows decide; a budget is about training, so take it out"
            )
        if "name" not in row.settings.get("network", {}):  # one that names another network has that one's defaults
            values = merge(values, {"network": self.common.get("network", {})})
        values = merge(values, {key: section for key, section in self.common.items() if key != "network"})
        if row.recipe is not None:
            values = merge(values, read_own_part(row.recipe)[0])
        return build_config(merge(values, row.settings), f"{row.name} under {budget}")

    def against(self, reference: str) -> "SystemTable":
        """The same table with another reference row.

        Raises:
            UsageError: it has no such row.
        """
        names = [row.name for row in self.rows]
        if reference not in names:
            rows = "; ".join(names)
            raise UsageError(f"no row is named {reference!r}{did_you_mean(reference, names)}; there are: {rows}")
        return self.model_copy(update={"reference": reference})


def list_tables() -> list[str]:
    """Names of the tables of systems that come with scenelet."""
    return sorted(file.name.removesuffix(".toml") for file in _folder().iterdir())


@functools.cache
def load_table_of_systems(name: str) -> SystemTable:
    """A table by name.

    Raises:
        UsageError: no table has this name.
    """
    if name not in list_tables():
        known = sorted(["table2", *list_tables()])
        raise UsageError(f"no table is named {name!r}; there are {', '.join(known)}{did_you_mean(name, known)}")
    table = SystemTable.model_validate(tomllib.loads(_folder().joinpath(f"{name}.toml").read_text(encoding="utf-8")))
    names = [row.name for row in table.rows]
    assert table.reference in names
    assert len(set(names)) == len(names)
    assert {row.recipe for row in table.rows} <= {None, *list_recipes()}
    return table


def _folder() -> Any:
    return resources.files(__package__).joinpath("tables")
