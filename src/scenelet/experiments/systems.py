"""The paper's tables and our own, as rows of settings: `tables/*.toml`, or a file of the user's.

A row is a whole set of settings, made in this order: the recipe (a recipe: how much training there is), what
the table sets for all its rows, a recipe's own part, what the row sets.
"""

from collections import Counter
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from scenelet.config import RunConfig, Settings, build_config
from scenelet.config.recipes import list_recipes, merge, read_own_part, read_toml, read_values
from scenelet.errors import UsageError, did_you_mean


class PaperFigures(Settings):
    """What the paper prints in a row: accuracies in percent, the rest in its words."""

    accuracy: float
    per_class: tuple[float, float, float] | None = Field(None, description="indoor, outdoor, transportation")
    parameters: str
    size: str = ""


class System(Settings):
    """One system of a table."""

    name: str
    recipe: str | None = Field(None, description="whose own part is taken in, without what it stands on")
    settings: Mapping[str, dict[str, Any]] = Field({}, description="section -> setting -> value")
    fine_tune: bool | None = Field(None, description="None: as the table says")
    teacher: str | None = Field(None, description="the row whose network, before it is fine-tuned, teaches this one")
    paper: PaperFigures | None = None


class SystemTable(Settings):
    """Systems that are compared.

    Attributes:
        title: for people.
        reference: the row that every other is tested against.
        rows: the systems.
        common: settings of all rows.
        recipe: what it is meant to be run with.
        fine_tune: every row is fine-tuned after training, pruned by its own `prune.sparsity`.
        paper_data: what the paper's figures were measured on.
        paper_clips: the test clips behind them.
    """

    title: str
    reference: str
    rows: Annotated[tuple[System, ...], Field(min_length=1)]
    common: Mapping[str, dict[str, Any]] = Field({}, description="as `System.settings`")
    recipe: str = "comparison"
    fine_tune: bool = False
    paper_data: str = ""
    paper_clips: int | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "SystemTable":
        names = [row.name for row in self.rows]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"two rows are named {twice[0]!r}")
        if self.reference not in names:
            raise ValueError(f"reference {self.reference!r} is no row{did_you_mean(self.reference, names)}")
        for row in self.rows:
            if "prune" in {*self.common, *row.settings} and not self.fine_tuned(row):
                raise ValueError(f"row {row.name!r} sets prune and is not fine-tuned; give it fine_tune = true")
            if {"fold", "city"} & {*self.common.get("split", {}), *row.settings.get("split", {})}:
                raise ValueError(f"row {row.name!r} sets what is held out, which --fold and --cities do")
            if row.teacher is not None and (row.teacher == row.name or row.teacher not in names):
                raise ValueError(f"row {row.name!r}: its teacher {row.teacher!r} is no other row")
            if row.teacher is not None and self._taught_by_itself(row):
                raise ValueError(f"row {row.name!r}: its teachers teach each other in a circle")
            if row.recipe is not None and row.recipe not in list_recipes():
                known = f"there are {', '.join(list_recipes())}"
                raise ValueError(f"row {row.name!r}: no recipe is named {row.recipe!r}; {known}")
        return self

    def _taught_by_itself(self, row: System) -> bool:
        teachers = {one.name: one.teacher for one in self.rows}
        seen, name = {row.name}, row.teacher
        while name is not None and name not in seen:
            seen.add(name)
            name = teachers.get(name)
        return name is not None

    def config(self, row: System, recipe: str) -> RunConfig:
        """The row's settings under a recipe: the name of a recipe, or a TOML file.

        Raises:
            UsageError: no such recipe, one that changes the networks, or a setting that is out of range.
        """
        values = read_values(recipe)
        network = build_config({"network": values.pop("network", {})}, recipe).network
        changed = network.model_dump(exclude_defaults=True)
        if changed:
            settings = ", ".join(f"network.{key}" for key in changed)
            raise UsageError(
                f"{recipe}: sets {settings}, which a table's rows decide; a recipe is about training, so take it out"
            )
        values = merge(values, self.common)
        if row.recipe is not None:
            values = merge(values, read_own_part(row.recipe)[0])
        return build_config(merge(values, row.settings), f"{row.name} under {recipe}")

    def fine_tuned(self, row: System) -> bool:
        """Whether the row's network is pruned (or kept whole) and fine-tuned after training."""
        return self.fine_tune if row.fine_tune is None else row.fine_tune

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


def load_systems(name: str) -> SystemTable:
    """A table by name, or from a TOML file.

    Raises:
        UsageError: no table has this name, or the file is not a table.
    """
    path = Path(name)
    if name in list_tables():
        data = _folder().joinpath(f"{name}.toml").read_bytes()
    elif path.suffix == ".toml":
        if not path.is_file():
            raise UsageError(f"{path}: no such file of a table")
        data = path.read_bytes()
    else:
        known = sorted(["table2", *list_tables()])
        raise UsageError(f"no table is named {name!r}; there are {', '.join(known)}{did_you_mean(name, known)}")
    try:
        table = SystemTable.model_validate(read_toml(data, name))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{name}: {where or 'the table'}: {first['msg'].removeprefix('Value error, ')}") from None
    return table


def _folder() -> Any:
    return resources.files(__package__).joinpath("tables")
