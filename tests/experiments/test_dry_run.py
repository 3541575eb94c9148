"""The dry run of a table: every setting that differs from the paper is named, and the recipe `paper` has none."""

from typing import Any

import pytest

from scenelet.config import RunConfig, setting_keys
from scenelet.experiments import dry_run
from scenelet.experiments.dry_run import describe_row, dry_run_text, statements
from scenelet.experiments.systems import System, SystemTable, load_systems

PAPERS = ("table3", "table4")


def described(name: str, recipe: str) -> dict[str, dict[str, Any]]:
    table = load_systems(name)
    return {row.name: describe_row(table, row, table.config(row, recipe), table.classes) for row in table.rows}


def differences(row: dict[str, Any]) -> set[str]:
    return {each["setting"] for part in [row, *row["statements"]] for each in part["differences"]}


@pytest.mark.parametrize("name", PAPERS)
def test_describe_row_under_the_papers_recipe_has_no_difference(name: str) -> None:
    for row in described(name, "paper").values():
        assert differences(row) == set()
        assert row["statements"] or row["paper"] is None


def test_describe_row_counts_the_papers_parameters_and_bytes() -> None:
    rows = {name: row["network"] for name, row in described("table4", "paper").items()}
    assert rows["Ours"] == {"parameters": 601_862, "parameters_kept": 601_862, "bytes": 2_407_448}
    assert rows["Ours Pruned C"] == {"parameters": 601_862, "parameters_kept": 245_587, "bytes": 491_174}
    assert rows["CP-ResNet(ch64)"]["bytes"] == 3_587_096
    assert rows["Ours + CBLoss, fine-tuned as long as A to D (not in the paper)"]["bytes"] == 2_407_448


def other(value: Any) -> Any:
    """Return another value than this one, of any type: settings are only compared here."""
    return "another" if value is None or isinstance(value, str) else 7 if isinstance(value, bool) else None


@pytest.mark.filterwarnings("ignore:Pydantic serializer")
@pytest.mark.parametrize(("name", "row_name"), [("table4", "Ours Pruned A"), ("table3", "CP-ResNet(ch64)")])
def test_describe_row_names_each_setting_that_differs(
    name: str, row_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Change each setting in turn; the network itself is not built."""
    table = load_systems(name)
    row = next(each for each in table.rows if each.name == row_name)
    config = table.config(row, "paper")
    monkeypatch.setattr(dry_run, "network_size", lambda *_: {})
    monkeypatch.setattr(dry_run, "used_config", lambda config: config)
    monkeypatch.setattr(dry_run, "stored_format", lambda prune: prune)
    silent = set()
    for key in setting_keys():
        section, _, setting = key.rpartition(".")
        target = getattr(config, section) if section else config
        changed = target.model_copy(update={setting: other(getattr(target, setting))})
        whole: RunConfig = config.model_copy(update={section: changed}) if section else changed
        if key not in differences(describe_row(table, row, whole, 3)):
            silent.add(key)
    of_the_command = {"seed", "split.fold", "split.city", "split.seed", "split.test_fraction"}
    of_mixstyle = {"mixing.freq_mixstyle_alpha", "mixing.freq_mixstyle_probability"}
    of_teachers = {key for key in setting_keys() if key.startswith("distillation.")}
    without_effect = of_the_command | of_mixstyle | of_teachers | {"mixing.cutmix_alpha", "mixing.timemix_alpha"}
    if row_name == "Ours Pruned A":
        assert silent == without_effect | {"loss.label_smoothing"}
    else:
        of_pruning = {key for key in setting_keys() if key.startswith("prune.")}
        of_freqmix = {key for key in setting_keys() if key.startswith("mixing.freqmix_")}
        of_balanced_loss = {f"loss.{key}" for key in ("beta", "gamma", "activation", "normalize_weights")}
        assert silent == without_effect | of_pruning | of_freqmix | of_balanced_loss


def test_describe_row_names_fine_tuning_and_a_teacher() -> None:
    table = load_systems("table3")
    row = table.rows[1].model_copy(update={"fine_tune": True, "teacher": table.rows[0].name})
    found = describe_row(table, row, table.config(row, "paper"), 10)
    assert {"fine_tuned", "teacher"} <= differences(found)


def test_statements_exist_for_every_row_of_the_paper() -> None:
    """Each row has its network, and names in the statements are rows."""
    rows = {row.name for name in PAPERS for row in load_systems(name).rows if row.paper is not None}
    for row in rows:
        assert any("name" in each["settings"].get("network", {}) for each in statements(row))
    named = {name for row in rows for each in statements(row) for name in each.get("rows", [])}
    assert named == rows | {"*"}


def test_dry_run_text_says_what_runs_and_what_differs() -> None:
    table = load_systems("table4")
    rows = list(described("table4", "comparison").values())
    text = dry_run_text(table, "comparison", rows)
    for row in rows:
        for setting in differences(row):
            assert f"DIFFERS: {setting} is " in text
    assert "DIFFERS: schedule.epochs is 40, not 350" in text
    assert "ours: the paper has no such row" in text
    assert "The paper's 887K is a misprint" in text
    assert max(map(len, text.splitlines())) <= 120


def test_describe_row_of_a_table_of_ones_own_compares_nothing() -> None:
    table = SystemTable(title="Mine", reference="a", rows=(System(name="a"),))
    row = describe_row(table, table.rows[0], RunConfig(), 3)
    assert (row["paper"], row["statements"], row["differences"]) == (None, [], [])
