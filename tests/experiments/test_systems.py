"""Tables of systems: every row with every recipe, and the parameter counts of the paper."""

from pathlib import Path

import pytest
import torch

from scenelet.config import RunConfig
from scenelet.config.recipes import list_recipes, load_recipe
from scenelet.errors import UsageError
from scenelet.experiments.systems import list_tables, load_systems
from scenelet.training.network import build_network

RECIPES = ("comparison", "paper")
PAPERS = ("ablation", "imbalance", "table3", "table4")


def rows(name: str, recipe: str) -> dict[str, RunConfig]:
    table = load_systems(name)
    return {row.name: table.config(row, recipe) for row in table.rows}


def parameters(config: RunConfig, classes: int) -> int:
    bands = torch.ones(config.features.n_mels)
    return sum(p.numel() for p in build_network(config, classes, bands, bands).network.parameters())


def test_list_tables_finds_the_built_in_tables() -> None:
    assert list_tables() == ["ablation", "dcase2024", "default", "imbalance", "table3", "table4"]
    with pytest.raises(UsageError, match="did you mean 'table3'"):
        load_systems("table33")


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", ["ablation", "imbalance", "table3"])
def test_config_gives_all_rows_the_same_number_of_steps(name: str, recipe: str) -> None:
    configs = rows(name, recipe)
    lengths = {(c.schedule.epochs, c.schedule.batch_size, c.prune.epochs) for c in configs.values()}
    assert len(lengths) == 1
    assert len({config.window for config in configs.values()}) == 1
    for config in configs.values():
        parameters(config, 10)


def test_config_of_table_4_trains_as_long_as_the_paper() -> None:
    """Only the pruned rows, and one of our own, are fine-tuned after the 350 epochs; the baseline has its own 200."""
    table, configs = load_systems("table4"), rows("table4", "paper")
    lengths = {
        row.name: (
            configs[row.name].schedule.epochs,
            configs[row.name].schedule.batch_size,
            configs[row.name].prune.epochs if table.is_fine_tuned(row) else 0,
        )
        for row in table.rows
    }
    assert lengths.pop("Official baseline") == (200, 16, 0)
    assert {lengths.pop(name) for name in ("CP-ResNet(ch64)", "Ours", "Ours + CBLoss")} == {(350, 10, 0)}
    assert len(lengths) == 5
    assert set(lengths.values()) == {(350, 10, 200)}


def test_paper_is_the_papers_protocol() -> None:
    """The settings of section 6.1, and those of CP-ResNet, to which it refers."""
    paper = load_recipe("paper")
    schedule, prune, mixing = paper.schedule, paper.prune, paper.mixing
    assert (schedule.epochs, schedule.hold_epochs, schedule.decay_epochs) == (350, 50, 200)
    assert (schedule.optimizer, schedule.learning_rate, schedule.min_learning_rate) == ("adam", 1e-4, 1e-6)
    assert (schedule.batch_size, schedule.drop_last) == (10, True)
    assert (mixing.mixup_alpha, mixing.mixup_dominant, mixing.freqmix_alpha) == (0.3, True, 1.0)
    assert (paper.network.init, paper.precision, paper.augment.time_roll) == ("zero_residual", "fp32", 50)
    assert (paper.features.n_mels, paper.features.channels, paper.window.seconds) == (256, "stereo", 10.0)
    assert (prune.sparsity, prune.epochs, prune.learning_rate, prune.min_learning_rate) == (0.6, 200, 1e-4, 1e-6)


def test_config_takes_initial_weights_but_no_network_from_a_recipe(tmp_path: Path) -> None:
    path, table = tmp_path / "own.toml", load_systems("ablation")
    path.write_text('base = "comparison"\n[network]\ninit = "zero_residual"\n')
    assert {table.config(row, str(path)).network.init for row in table.rows} == {"zero_residual"}
    path.write_text('base = "comparison"\n[network]\nwidth = 32\n')
    with pytest.raises(UsageError, match=r"sets network\.width, but the table sets the networks"):
        table.config(table.rows[0], str(path))


@pytest.mark.parametrize(
    "recipe",
    [
        name
        for name in list_recipes()
        if name not in ("default", "single_network", "demo", "low_complexity") and not name.startswith("dcase20")
    ],
)
def test_config_keeps_the_meaning_of_names_in_every_recipe(recipe: str) -> None:
    for name in PAPERS:
        configs = rows(name, recipe)
        tuned = {row.name: load_systems(name).is_fine_tuned(row) for row in load_systems(name).rows}
        own = {
            (tuned[row], config.model_copy(update={"prune": config.prune.model_copy(update={"epochs": 1})}))
            for row, config in configs.items()
        }
        assert len(own) == len(configs)  # no two rows are equal
    ablation = rows("ablation", recipe)
    mixing = {
        name: (c.mixing.combine, c.mixing.mixup, c.mixing.freqmix, c.mixing.cutmix) for name, c in ablation.items()
    }
    assert mixing["Mixup only"] == ("one_of", True, False, False)
    assert mixing["FreqMix only"] == ("one_of", False, True, False)
    assert mixing["FreqMix or CutMix"] == ("one_of", False, True, True)
    first = ablation["N=3, S=2, affine all, Mixup or FreqMix (center)"]
    assert mixing[load_systems("ablation").reference] == ("one_of", True, True, False)
    assert (first.network.repeats, first.network.sub_bands, first.network.affine, first.network.shared) == (
        3,
        2,
        "all",
        True,
    )
    assert first.mixing.freqmix_position == "center"
    for config in rows("table3", recipe).values():
        assert config.network.name == "cp_resnet" or (config.network.repeats, config.network.shared) == (3, True)


def test_config_of_table_3_has_the_papers_parameters() -> None:
    counts = {name: parameters(config, 10) for name, config in rows("table3", "paper").items()}
    assert counts == {
        "CP-ResNet(ch64)": 898_580,
        "Shared-ResNet(N=3)": 603_668,
        "Shared-ResNet(N=3) + FreqMix": 603_668,
        "Shared-ResNet(N=3) + SSN(S=2)": 603_668,
        "Shared-ResNet(N=3) + FreqMix + SSN(S=2)": 603_668,
    }


def test_config_of_table_4_has_the_papers_parameters() -> None:
    configs = rows("table4", "paper")
    counts = {name: parameters(config, 3) for name, config in configs.items()}
    assert counts["Official baseline"] == 115_411
    assert counts["CP-ResNet(ch64)"] == 896_774
    assert {counts[name] for name in counts if name.startswith("Ours")} == {601_862}
    assert parameters(rows("ablation", "paper")["not shared"], 10) == 931_348


def test_config_of_table_3_switches_one_part_per_row() -> None:
    configs = rows("table3", "paper")
    on = {name: (c.network.sub_bands if "Shared" in name else 1, c.mixing.freqmix) for name, c in configs.items()}
    assert list(on.values()) == [(1, False), (1, False), (1, True), (2, False), (2, True)]
    assert all(config.mixing.mixup and config.loss.name == "cross_entropy" for config in configs.values())


@pytest.mark.parametrize("recipe", RECIPES)
def test_config_of_pruned_rows_differs_only_in_pruning(recipe: str) -> None:
    configs = rows("table4", recipe)
    dense = configs.pop("Ours + CBLoss, fine-tuned as long as A to D (not in the paper)")
    assert dense.prune.sparsity == 0
    assert configs["Ours + CBLoss"].model_copy(update={"prune": dense.prune}) == dense
    pruned = [config for name, config in configs.items() if "Pruned" in name]
    assert len(pruned) == len({config.prune for config in pruned}) == 4
    for config in pruned:
        assert config.model_copy(update={"prune": dense.prune}) == dense
        assert config.prune.sparsity == 0.6
        assert (config.prune.learning_rate, config.prune.epochs) == (dense.prune.learning_rate, dense.prune.epochs)


def test_pruned_recipes_differ_from_the_papers_only_in_pruning() -> None:
    assert {f"pruned_{letter}" for letter in "abcd"} <= set(list_recipes())
    paper = load_recipe("paper")
    for letter in "abcd":
        config = load_recipe(f"pruned_{letter}")
        assert config.model_copy(update={"prune": paper.prune}) == paper


def test_config_of_the_baseline_agrees_with_its_recipe() -> None:
    own, row = load_recipe("dcase2020_baseline"), rows("table4", "paper")["Official baseline"]
    assert (row.features, row.network, row.mixing.combine, row.augment.time_roll) == (
        own.features,
        own.network,
        own.mixing.combine,
        own.augment.time_roll,
    )
    assert (row.schedule.learning_rate, row.schedule.min_learning_rate, row.schedule.name) == (1e-3, 1e-3, "linear")


def test_config_of_the_default_table_is_the_whole_recipe() -> None:
    table, configs = load_systems("default"), rows("default", "paper_short")
    recipe = load_recipe("default")
    assert configs["trained"] == recipe
    files = {name: config for name, config in configs.items() if name != "trained"}
    assert {name: (file.prune.max_bytes, file.prune.dtype) for name, file in files.items()} == {
        "500 kB": (500_000, "auto"),
        "128 kB": (128_000, "int8"),
        "64 kB": (64_000, "int4"),
    }
    for file in files.values():
        own = file.prune.model_copy(update={"max_bytes": None, "dtype": recipe.prune.dtype})
        assert file.model_copy(update={"prune": own}) == recipe
    assert [table.is_fine_tuned(row) for row in table.rows] == [False, True, True, True]


@pytest.mark.parametrize("recipe", ["dcase2024", "dcase2024_baseline"])
def test_config_of_a_table_without_networks_is_the_whole_recipe(recipe: str) -> None:
    own = load_recipe(recipe)
    for percent in (5, 10, 25, 50, 100):
        split = own.split.model_copy(update={"percent": percent})
        assert rows("dcase2024", recipe)[f"{percent} %"] == own.model_copy(update={"split": split})


def test_with_reference_changes_the_reference() -> None:
    table = load_systems("table3")
    assert table.with_reference("Shared-ResNet(N=3)").reference == "Shared-ResNet(N=3)"
    with pytest.raises(UsageError, match="did you mean 'Shared-ResNet"):
        table.with_reference("Shared-ResNet(N=2)")


def test_config_of_an_unknown_recipe_is_an_error() -> None:
    table = load_systems("table3")
    with pytest.raises(UsageError, match=r"no recipe is named 'comparson'; there are .*; did you mean 'comparison'"):
        table.config(table.rows[0], "comparson")


OWN = """
title = "Mine"
reference = "as it is"

[[rows]]
name = "as it is"

[[rows]]
name = "wider"
fine_tune = true
settings.network = { width = 96 }
"""


def test_load_systems_reads_the_users_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    table = load_systems(str(path))
    assert [table.config(row, "comparison").network.width for row in table.rows] == [64, 96]
    assert [table.is_fine_tuned(row) for row in table.rows] == [False, True]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"wider"', '"as it is"', "two rows are named 'as it is'"),
        ('reference = "as it is"', 'reference = "as it"', "reference 'as it' is not a row; did you mean 'as it is'"),
        ("fine_tune = true", 'recipe = "fst"', "row 'wider': no recipe is named 'fst'; the recipes are"),
        ("fine_tune", "finetune", r"rows.1.finetune: Extra inputs are not permitted"),
        ("network = { width = 96 }", "split = { fold = '1' }", "row 'wider' sets split.fold or split.city"),
        ("fine_tune = true\nsettings.network = { width = 96 }", "settings.prune = { epochs = 1 }", "is not fine-tuned"),
        ('title = "Mine"', "title = Mine", "not valid TOML"),
        ('title = "Mine"', "", "title: Field required"),
        ('title = "Mine"', 'title = "Mine"\nmean_row = "wider"', "mean_row 'wider' is the name of a row"),
    ],
)
def test_load_systems_names_the_fault_of_a_table(old: str, new: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN.replace(old, new, 1))
    with pytest.raises(UsageError, match=words):
        load_systems(str(path))
    with pytest.raises(UsageError, match="no such file"):
        load_systems(str(tmp_path / "none.toml"))


TEACHER_TABLE = """
title = "Distilled"
reference = "plain"

[[rows]]
name = "distilled"
teacher = "plain"

[[rows]]
name = "plain"
"""


@pytest.mark.parametrize("name", ["plan", "distilled"], ids=["unknown row", "itself"])
def test_load_systems_rejects_a_teacher_that_is_not_another_row(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEACHER_TABLE.replace('teacher = "plain"', f'teacher = "{name}"'))
    with pytest.raises(UsageError, match=f"row 'distilled': its teacher '{name}' is not another row"):
        load_systems(str(path))


@pytest.mark.parametrize("teachers", ['"distilled"', '["wide", "distilled"]'])
def test_load_systems_rejects_a_circle_of_teachers(teachers: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'{TEACHER_TABLE}teacher = {teachers}\n\n[[rows]]\nname = "wide"\n')
    with pytest.raises(UsageError, match="teachers form a circle"):
        load_systems(str(path))


def test_table_3_holds_the_papers_accuracies() -> None:
    papers = [row.paper for row in load_systems("table3").rows]
    assert [paper.accuracy for paper in papers if paper] == [82.1, 82.4, 82.7, 82.8, 82.9]
