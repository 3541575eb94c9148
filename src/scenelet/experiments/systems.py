"""Tables of systems: the paper's, our own, and the user's, as TOML files.

Each row of a table is one system. Its settings are merged in this order: the recipe that the user chose, the table's
settings for all rows, the part of a recipe that the row names, and the row's own settings.
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

TABLES = resources.files(__package__).joinpath("tables")


class PaperFigures(Settings):
    """Results that the paper prints for a system: accuracies in percent, sizes as printed."""

    accuracy: float
    per_class: tuple[float, float, float] | None = Field(None, description="indoor, outdoor, transportation")
    parameters: str
    size: str = ""


class System(Settings):
    """One system of a table."""

    name: str
    recipe: str | None = Field(None, description="recipe whose own part is merged, without its base")
    settings: Mapping[str, dict[str, Any]] = Field({}, description="section -> setting -> value")
    fine_tune: bool | None = Field(None, description="None: as the table")
    teacher: str | Annotated[list[str], Field(min_length=1)] | None = Field(
        None,
        description="row whose network, before fine-tuning, is the teacher of this one, or several; a row that is named"
        " again teaches with the next seed",
    )
    paper: PaperFigures | None = None

    @property
    def teachers(self) -> list[str]:
        """Names of the rows that are teachers of this one.

        >>> System(name="small", teacher="large").teachers
        ['large']
        """
        return [self.teacher] if isinstance(self.teacher, str) else self.teacher or []


class SystemTable(Settings):
    """A table of systems to compare."""

    title: str
    reference: str = Field(description="name of the system that every other is tested against")
    rows: Annotated[tuple[System, ...], Field(min_length=1)]
    common: Mapping[str, dict[str, Any]] = Field({}, description="settings of all systems, as `System.settings`")
    recipe: str = Field("comparison", description="the default recipe")
    fine_tune: bool = Field(False, description="prune by `prune.sparsity` and fine-tune every system after training")
    mean_row: str | None = Field(
        None, min_length=1, description="name of a last row with the mean over all rows; None: there is no such row"
    )
    paper_name: str = Field("paper", description="who printed the figures of `paper`, as a word for headings")
    paper_data: str = Field("", description="the data of the paper's results")
    paper_clips: int | None = Field(None, description="number of test clips of the paper's results")
    classes: int = Field(10, description="number of classes of the networks of a dry run without recordings")

    @model_validator(mode="after")
    def _consistent(self) -> "SystemTable":
        names = [row.name for row in self.rows]
        duplicates = [name for name, count in Counter(names).items() if count > 1]
        if duplicates:
            raise ValueError(f"two rows are named {duplicates[0]!r}; rename one")
        if self.reference not in names:
            raise ValueError(f"reference {self.reference!r} is not a row{did_you_mean(self.reference, names)}")
        if self.mean_row in names:
            raise ValueError(f"mean_row {self.mean_row!r} is the name of a row; give it another")
        for row in self.rows:
            if "prune" in {*self.common, *row.settings} and not self.is_fine_tuned(row):
                raise ValueError(f"row {row.name!r} sets prune but is not fine-tuned; give it fine_tune = true")
            if {"fold", "city"} & {*self.common.get("split", {}), *row.settings.get("split", {})}:
                raise ValueError(f"row {row.name!r} sets split.fold or split.city; use --fold or --cities instead")
            for teacher in row.teachers:
                if teacher == row.name or teacher not in names:
                    raise ValueError(f"row {row.name!r}: its teacher {teacher!r} is not another row")
            if row.name in self._all_teachers(row):
                raise ValueError(f"row {row.name!r}: its teachers form a circle; remove one")
            if row.recipe is not None and row.recipe not in list_recipes():
                known = f"the recipes are {', '.join(list_recipes())}"
                raise ValueError(f"row {row.name!r}: no recipe is named {row.recipe!r}; {known}")
        return self

    def _all_teachers(self, row: System) -> set[str]:
        """Return the names of a row's teachers, of their teachers, and so on."""
        found, waiting = set[str](), [*row.teachers]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += next((other.teachers for other in self.rows if other.name == name), [])
        return found

    def config(self, row: System, recipe: str) -> RunConfig:
        """Build the settings of a row under a recipe, which is a name or a TOML file.

        If the table sets no networks, those of the recipe are used.

        Raises:
            UsageError: there is no such recipe, it changes the networks, or a setting is out of range.
        """
        values = read_values(recipe)
        if self._sets_networks():
            network = build_config({"network": values.pop("network", {})}, recipe).network
            changed = network.model_dump(exclude_defaults=True)
            if "init" in changed:  # not part of what a row's name says
                values["network"] = {"init": changed.pop("init")}
            if changed:
                settings = ", ".join(f"network.{key}" for key in changed)
                raise UsageError(
                    f"{recipe}: sets {settings}, but the table sets the networks; remove it from the recipe"
                )
        values = merge(values, self.common)
        if row.recipe is not None:
            values = merge(values, read_own_part(row.recipe)[0])
        return build_config(merge(values, row.settings), f"{row.name} under {recipe}")

    def _sets_networks(self) -> bool:
        """Return whether the table itself sets networks, so that a recipe must not."""
        return "network" in self.common or any(row.recipe or "network" in row.settings for row in self.rows)

    def is_fine_tuned(self, row: System) -> bool:
        """Tell if the row's network is pruned (or keeps all weights) and fine-tuned after training."""
        return self.fine_tune if row.fine_tune is None else row.fine_tune

    def with_reference(self, reference: str) -> "SystemTable":
        """Return a copy of the table with another row as the reference.

        Raises:
            UsageError: the table has no such row.
        """
        names = [row.name for row in self.rows]
        if reference not in names:
            hint = did_you_mean(reference, names)
            raise UsageError(f"no row is named {reference!r}{hint}; the rows are: {'; '.join(names)}")
        return self.model_copy(update={"reference": reference})


def list_tables() -> list[str]:
    """List the names of the built-in tables of systems.

    >>> "table3" in list_tables()
    True
    """
    return sorted(file.name.removesuffix(".toml") for file in TABLES.iterdir())


def load_systems(name: str) -> SystemTable:
    """Load a table of systems by the name of a built-in one, or from a TOML file.

    Raises:
        UsageError: there is no such table, or the file is not a valid table.

    >>> load_systems("table3").reference
    'CP-ResNet(ch64)'
    """
    path = Path(name)
    if name in list_tables():
        data = TABLES.joinpath(f"{name}.toml").read_bytes()
    elif path.suffix == ".toml":
        if not path.is_file():
            raise UsageError(f"{path}: no such file; give the TOML file of a table")
        data = path.read_bytes()
    else:
        known = sorted(["table2", *list_tables()])
        raise UsageError(f"no table is named {name!r}; the tables are {', '.join(known)}{did_you_mean(name, known)}")
    try:
        return SystemTable.model_validate(read_toml(data, name))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{name}: {where or 'the table'}: {first['msg'].removeprefix('Value error, ')}") from None
